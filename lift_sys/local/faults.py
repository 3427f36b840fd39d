"""What a proxy can do wrong on request: the faults a client of a real service must survive."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

_R = TypeVar("_R")

_HTML = b"<html><head><title>%b</title></head><body><h1>%b</h1></body></html>\n"


@dataclass(frozen=True)
class Answer:
    """What the client gets in place of the server's own answer.

    Attributes:
        status: the HTTP status code.
        headers: names and values, ``content-length`` excepted.
        body: the whole body.
    """

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


@dataclass(frozen=True)
class Fault:
    """What goes wrong with one request; the functions of this module make the usual ones.

    Attributes:
        wait: seconds to wait before the server gets the request.
        forward: whether the server gets the request at all.
        wait_after: seconds to wait between the server's answer and handing it on.
        answer: replaces the server's answer (HTTP only).
        keep: how much of the answer's body the client gets, from 0 to 1 (HTTP only).
        cut: whether the connection ends without any answer.
    """

    wait: float = 0.0
    forward: bool = True
    wait_after: float = 0.0
    answer: Answer | None = None
    keep: float = 1.0
    cut: bool = False

    def after_commit(self) -> Fault:
        """Return the same fault, but only once the server has done the work."""
        return replace(self, forward=True)


NO_FAULT = Fault()


def delay(seconds: float) -> Fault:
    """Hold the request back for ``seconds``, then treat it well."""
    return Fault(wait=seconds)


def delay_answer(seconds: float) -> Fault:
    """Let the server do the work, then hold its answer back for ``seconds``."""
    return Fault(wait_after=seconds)


def cut() -> Fault:
    """End the connection before the server hears of the request."""
    return Fault(forward=False, cut=True)


def drop_answer() -> Fault:
    """Let the server do the work, then end the connection without a byte of its answer."""
    return Fault(cut=True)


def truncate_answer(keep: float = 0.5) -> Fault:
    """Hand on all headers but only the share ``keep`` of the body, then end the connection."""
    return Fault(keep=keep)


def html_502() -> Fault:
    """Answer as a load balancer without a backend does: 502 with a page of HTML."""
    return Fault(forward=False, answer=_page(502, b"502 Bad Gateway"))


def html_200() -> Fault:
    """Answer as a captive portal does: 200, with a page of HTML where JSON should be."""
    return Fault(forward=False, answer=_page(200, b"Welcome"))


def empty_200() -> Fault:
    """Answer 200 with no body at all."""
    return Fault(forward=False, answer=Answer(200))


def unavailable(retry_after: int = 1) -> Fault:
    """Answer 503 and ask to come back after ``retry_after`` seconds."""
    return Fault(forward=False, answer=_busy(503, "service unavailable", retry_after))


def too_many_requests(retry_after: int = 1) -> Fault:
    """Answer 429 and ask to come back after ``retry_after`` seconds."""
    return Fault(forward=False, answer=_busy(429, "too many requests", retry_after))


def _page(status: int, title: bytes) -> Answer:
    return Answer(status, (("Content-Type", "text/html"),), _HTML % (title, title))


def _busy(status: int, message: str, retry_after: int) -> Answer:
    headers = (("Content-Type", "application/json"), ("Retry-After", str(retry_after)))
    return Answer(status, headers, b'{"message":"%b"}' % message.encode())


@dataclass
class Injection(Generic[_R]):
    """A fault in force, and how often it struck.

    Attributes:
        fault: what goes wrong.
        remaining: how many more requests it will strike; None for no limit.
        when: which requests it strikes; None for all.
        hits: how many it has struck.
    """

    fault: Fault
    remaining: int | None
    when: Callable[[_R], bool] | None
    hits: int = 0

    def strikes(self, request: _R) -> bool:
        """Say whether this request is struck, and count it if so."""
        if self.remaining == 0 or (self.when is not None and not self.when(request)):
            return False
        if self.remaining is not None:
            self.remaining -= 1
        self.hits += 1
        return True


@dataclass
class FaultPlan(Generic[_R]):
    """The faults in force at one proxy; safe to use from any thread."""

    _injections: list[Injection[_R]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def inject(
        self, fault: Fault, *, times: int | None, when: Callable[[_R], bool] | None
    ) -> Iterator[Injection[_R]]:
        """Put a fault in force until the block ends."""
        injection = Injection(fault, times, when)
        with self._lock:
            self._injections.append(injection)
        try:
            yield injection
        finally:
            with self._lock:
                self._injections.remove(injection)

    def draw(self, request: _R) -> Fault:
        """Return what goes wrong with this request; of several faults the oldest strikes."""
        with self._lock:
            struck = next((one for one in self._injections if one.strikes(request)), None)
        return NO_FAULT if struck is None else struck.fault
