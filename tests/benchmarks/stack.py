"""The servers that everybody is measured on, in a process of their own.

In this process the gateway and the proxy would take turns with the contender they serve. There
they run beside it, as servers do.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

SEED_SCHEMA = "seed"


@dataclass(frozen=True)
class Traffic:
    """What went over a wire.

    Attributes:
        round_trips: turns on the Postgres wire, or HTTP requests.
        sent: bytes from the client: everything on the Postgres wire; of HTTP the request line,
            headers and body.
    """

    round_trips: int
    sent: int


class Site:
    """Where the servers are, and what passes through the proxies.

    Attributes:
        database_url: of Postgres, as its owner.
        proxied_url: the same, through a proxy that counts and delays.
        url: of the Supabase project; its gateway counts and delays.
        key: the project's service key.
    """

    def __init__(self, connection: Connection, known: dict[str, str]) -> None:
        self._connection = connection
        self.database_url = known["database_url"]
        self.proxied_url = known["proxied_url"]
        self.url = known["url"]
        self.key = known["key"]

    def database(self, name: str, *, proxied: bool = False) -> str:
        """Return the address of a database of a peer's own, made where there is none."""
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            found = connection.execute("select 1 from pg_database where datname = %s", (name,))
            if found.fetchone() is None:
                connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        parts = urlsplit(self.proxied_url if proxied else self.database_url)
        return urlunsplit(parts._replace(path=f"/{name}"))

    def delay(self, seconds: float) -> None:
        """Let every answer through a proxy come so much later."""
        self._ask("delay", seconds)

    def count(self) -> None:
        """Begin to count anew."""
        self._ask("count", None)

    def traffic(self, family: str) -> Traffic:
        """Return what passed the family's proxy since ``count``."""
        traffic: Traffic = self._ask(family, None)
        return traffic

    def _ask(self, what: str, argument: Any) -> Any:
        self._connection.send((what, argument))
        return self._connection.recv()


@contextmanager
def running(folder: Path | None = None) -> Iterator[Site]:
    """Start the servers in a process of their own, and stop them at the end.

    Args:
        folder: keeps their data, and has Postgres wait for the disk at each commit; None for a
            temporary one, where it does not.
    """
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(there, folder))
    process.start()
    there.close()
    with closing(here):
        try:
            yield Site(here, here.recv())
        finally:
            here.close()
            process.join()


def _serve(connection: Connection, folder: Path | None) -> None:
    from lift_sys.local import LocalSupabase, WireProxy
    from lift_sys.local.faults import delay_answer

    with (
        LocalSupabase(data_dir=folder, schemas=("public", SEED_SCHEMA)) as stack,
        WireProxy(stack.database_url) as wire,
        ExitStack() as delays,
    ):
        connection.send(
            {
                "database_url": stack.database_url,
                "proxied_url": wire.database_url,
                "url": stack.url,
                "key": stack.service_key,
            }
        )
        while (asked := _next(connection)) is not None:
            what, argument = asked
            answer: Any = None
            if what == "delay":
                delays.close()
                if argument:
                    for proxy in (wire, stack.gateway):
                        delays.enter_context(proxy.fault(delay_answer(argument), times=None))
            elif what == "count":
                wire.reset()
                stack.gateway.reset()
            elif what == "postgres":
                answer = Traffic(wire.round_trips, wire.sent)
            else:
                requests = stack.gateway.requests
                answer = Traffic(len(requests), sum(map(_sent, requests)))
            connection.send(answer)


def _next(connection: Connection) -> Any:
    try:
        return connection.recv()
    except EOFError:
        return None


def _sent(request: Any) -> int:
    head = len(f"{request.method} {request.path}?{request.query} HTTP/1.1\r\n\r\n")
    headers = sum(len(name) + len(value) + 4 for name, value in request.headers.items())
    return head + headers + int(request.sent)
