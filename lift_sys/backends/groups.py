"""Writes that wait at the same time are carried out together: one transaction, one disk sync.

A disk takes as long to make one write permanent as to make fifty. So whoever has the turn to write
carries out the writes of all who wait, and each caller is answered once all of them are on disk.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeAlias

from lift_sys.backends.call import Backend, Call, User


class Job:
    """A write and what came of it.

    Attributes:
        call: what is to be done.
        user: for whom.
        done: whether there is an outcome: an `answer`, or an `error` in its place.
    """

    __slots__ = ("answer", "call", "done", "error", "user")

    def __init__(self, call: Call[Any], user: User) -> None:
        self.call = call
        self.user = user
        self.done = False
        self.answer: Any = None
        self.error: BaseException | None = None

    def settle(self, answer: Any, error: BaseException | None = None) -> None:
        """Take note of the outcome."""
        self.answer = answer
        self.error = error
        self.done = True


class GroupBackend(Backend, Protocol):
    """A backend to which several writes together are cheaper than one after the other."""

    def carry_out(self, jobs: Sequence[Job]) -> None:
        """Carry out the first of `jobs`, one at least: each as ``execute`` would, and settle them.

        Whether a job is refused is its own affair. Nothing came of the jobs that are not settled.
        """


CarryOut: TypeAlias = Callable[[Sequence[Job]], None]


class _Place:
    """A place in the line: of a thread that sleeps until its job is done or it is to lead."""

    __slots__ = ("job", "leads", "woken")

    def __init__(self, job: Job) -> None:
        self.job = job
        self.leads = False
        self.woken = threading.Lock()
        self.woken.acquire()


class Line:
    """Threads that want to write: the first leads, the others wait in line until it has ended.

    Then the next one leads, with the jobs of all who wait by then.

    Args:
        carry_out: see ``GroupBackend.carry_out``.
    """

    def __init__(self, carry_out: CarryOut) -> None:
        self._carry_out = carry_out
        self._guard = threading.Lock()
        self._waiting: deque[_Place] = deque()
        self._led = False

    def join(self, job: Job, timeout: float) -> bool:
        """Wait until `job` is settled, by this thread or by another one.

        Args:
            job: what this thread wants done.
            timeout: for how many seconds to wait until somebody begins with it.

        Returns:
            Whether it was. Otherwise nothing came of it, and nothing will.
        """
        place = self._queued(job)
        if place is not None and not self._woken(place, timeout):
            return False
        if not job.done:
            self._lead(job)
        return True

    def _queued(self, job: Job) -> _Place | None:
        """Return a place at the end of the line, or None where nobody leads and this thread may."""
        with self._guard:
            if not self._led:
                self._led = True
                return None
            place = _Place(job)
            self._waiting.append(place)
            return place

    def _woken(self, place: _Place, timeout: float) -> bool:
        """Sleep until the job is done or the place is to lead; return whether it came to that."""
        try:
            if place.woken.acquire(timeout=timeout):
                return True
            if self._left(place):
                return False
            return place.woken.acquire()  # somebody carries it out just now
        except BaseException:  # an interrupt
            if not self._left(place) and place.leads:
                self._hand_over()
            raise

    def _left(self, place: _Place) -> bool:
        """Leave the line; return whether that was possible still."""
        with self._guard:
            if place not in self._waiting:
                return False
            self._waiting.remove(place)
            return True

    def _lead(self, job: Job) -> None:
        followers = self._followers()
        try:
            self._carry_out([job, *(follower.job for follower in followers)])
        finally:
            self._hand_over([follower for follower in followers if not follower.job.done])
            for follower in followers:
                if follower.job.done:
                    follower.woken.release()

    def _followers(self) -> list[_Place]:
        """Take those who wait out of the line."""
        if threading.current_thread() is threading.main_thread():
            return []  # an interrupt, which only it can meet, is to end no write but its own
        with self._guard:
            followers = list(self._waiting)
            self._waiting.clear()
            return followers

    def _hand_over(self, first: Sequence[_Place] = ()) -> None:
        """Let the next one lead; `first` are before those in the line."""
        with self._guard:
            self._waiting.extendleft(reversed(first))
            self._led = bool(self._waiting)
            if self._led:
                leader = self._waiting.popleft()
                leader.leads = True
                leader.woken.release()
