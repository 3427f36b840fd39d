"""What may not pass from a process to its forked child: locks, threads, open files."""

import os
import weakref
from typing import Final, Protocol


class BeginsAnew(Protocol):
    """Something whose state belongs to the process that made it."""

    def begin_anew(self) -> None:
        """Replace what belongs to the parent. Called in the child, before anything else runs."""


_MEMBERS: Final[weakref.WeakSet[BeginsAnew]] = weakref.WeakSet()


def watch_forks(member: BeginsAnew) -> None:
    """Have `member` begin anew in every forked child, for as long as it lives."""
    _MEMBERS.add(member)


def _in_child() -> None:
    for member in list(_MEMBERS):
        member.begin_anew()


if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(after_in_child=_in_child)
