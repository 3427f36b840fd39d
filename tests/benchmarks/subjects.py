"""What is measured, whoever made it: one class a contender, the same work asked of each."""

from __future__ import annotations

import secrets
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Self

from tests.benchmarks.measure import Act


def tag(name: str) -> str:
    """Return a name that no other contender has, nor the same one behind a proxy."""
    return f"{name} {secrets.token_hex(4)}"


class Unoffered(Exception):  # noqa: N818  # an answer, and no failure
    """The contender has nothing of the kind."""


class Subject(ABC):
    """One way to keep sessions.

    A method that returns an ``Act`` does outside of the timer what belongs there, such as building
    the payload; the act is what is timed.

    Attributes:
        name: what the rows call it.
        family: where it keeps sessions: memory, sqlite, postgres or supabase.
        kind: ``ours``, ``theirs`` or ``floor``.
        answers: what a load gives: validated models, dicts or parsed JSON.
        blocking: whether its acts block, so that several writers are threads and not tasks.
        one_by_one: whether turns can only be added one after the other, even to begin with.
        longest: the longest history that it can be brought to in reasonable time.
        refines: whether it knows drafts.
        most_listed: the most sessions that it can be given to list in reasonable time.
        most_contending: the most writers of one session that it serves in reasonable time.
    """

    name: str
    family: str
    kind: str
    answers: str
    blocking: bool
    one_by_one = False
    refines = False
    longest = 10_000
    most_listed = 100_000
    most_contending = 100

    async def open(self) -> None:  # noqa: B027  # some have nothing to open
        """Connect and make tables."""

    async def close(self) -> None:  # noqa: B027  # nor to close
        """Release what was opened."""

    @abstractmethod
    async def create(self) -> Act:
        """Return what stores a new session of one turn."""

    @abstractmethod
    async def grow(self, session: str, texts: Sequence[str]) -> None:
        """Store a new session that has these turns."""

    @abstractmethod
    async def append(self, session: str, text: str) -> Act:
        """Return what adds a turn, after those whose acts were asked for before."""

    async def refine(self, session: str, text: str) -> Act:
        """Return what adds a turn and a draft of the representation that came of it."""
        raise Unoffered

    @abstractmethod
    async def load(self, session: str) -> Act:
        """Return what reads a session whole."""

    @abstractmethod
    async def adopt(self, other: Self, session: str) -> None:
        """Take over a session from the same contender on other connections."""

    async def refresh(self, session: str, text: str) -> Act:
        """Let somebody else add a turn; return what brings it here."""
        raise Unoffered

    async def fill(self, count: int) -> None:
        """Store so many sessions for one user."""
        raise Unoffered

    async def latest(self, count: int) -> Act:
        """Return what lists the 20 latest of the sessions of ``fill(count)``."""
        raise Unoffered

    async def contend(self, session: str, text: str) -> Act:
        """Return what adds a turn although others add theirs to the same session."""
        raise Unoffered

    async def stored_bytes(self) -> int:
        """Return how many bytes the database takes."""
        raise Unoffered
