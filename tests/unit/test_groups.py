"""The line of those who want to write: together, in order, none lost, none done twice."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from lift_sys.backends.call import Call, User
from lift_sys.backends.groups import Job, Line

LONG = 60.0


def job(number: int) -> Job:
    return Job(Call(f"{number}", number, str, writes=True), User("u"))


class Writer:
    """Notes the groups it is given; each group waits for a permit before it is carried out."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.line = Line(self.carry_out)
        self.entered = threading.Semaphore(0)
        self.permits = threading.Semaphore(0)
        self.most = 1_000
        self.failure: BaseException | None = None

    def carry_out(self, jobs: Sequence[Job]) -> None:
        self.groups.append([each.call.arguments for each in jobs])
        self.entered.release()
        assert self.permits.acquire(timeout=LONG)
        failure, self.failure = self.failure, None
        if failure is not None:
            raise failure
        for each in jobs[: self.most]:
            each.settle(each.call.arguments)

    def join(self, number: int, timeout: float = LONG) -> Any:
        mine = job(number)
        return mine.answer if self.line.join(mine, timeout) else "gave up"

    def wait_for(self, waiting: int) -> None:
        """Return once so many wait in the line."""
        while len(self.line._waiting) != waiting:
            threading.Event().wait(0.001)


@pytest.fixture
def writer() -> Writer:
    return Writer()


Start = Callable[..., "Future[Any]"]


@pytest.fixture
def start() -> Iterator[Start]:
    with ThreadPoolExecutor(20) as threads:
        yield threads.submit


def line_up(writer: Writer, start: Start, numbers: Sequence[int]) -> "list[Future[Any]]":
    """Have the first lead, and the others wait in their order."""
    futures = [start(writer.join, numbers[0])]
    assert writer.entered.acquire(timeout=LONG)
    for waiting, number in enumerate(numbers[1:], 1):
        futures.append(start(writer.join, number))
        writer.wait_for(waiting)
    return futures


def test_who_waits_while_one_leads_is_carried_out_together_in_order(
    writer: Writer, start: Start
) -> None:
    futures = line_up(writer, start, range(6))
    writer.permits.release(2)
    assert [future.result(LONG) for future in futures] == list(range(6))
    assert writer.groups == [[0], [1, 2, 3, 4, 5]]


def test_what_is_left_over_goes_before_what_came_meanwhile(writer: Writer, start: Start) -> None:
    writer.most = 2
    futures = line_up(writer, start, range(5))
    writer.permits.release()
    assert writer.entered.acquire(timeout=LONG)  # 1 leads, with all the others
    futures.append(start(writer.join, 5))
    writer.wait_for(1)
    writer.permits.release(10)
    assert [future.result(LONG) for future in futures] == list(range(6))
    assert writer.groups == [[0], [1, 2, 3, 4], [3, 4, 5], [5]]


def test_who_gives_up_waiting_is_not_carried_out_later(writer: Writer, start: Start) -> None:
    (leading,) = line_up(writer, start, [0])
    assert start(writer.join, 1, 0.01).result(LONG) == "gave up"
    assert start(writer.join, 2, 0).result(LONG) == "gave up"
    writer.permits.release(2)
    assert leading.result(LONG) == 0
    assert writer.join(3) == 3
    assert writer.groups == [[0], [3]]


def test_who_is_being_carried_out_does_not_give_up(writer: Writer, start: Start) -> None:
    leading = start(writer.join, 0)
    assert writer.entered.acquire(timeout=LONG)
    first = start(writer.join, 1)
    writer.wait_for(1)
    hasty = start(writer.join, 2, 0.2)
    writer.wait_for(2)
    writer.permits.release()
    assert writer.entered.acquire(timeout=LONG)
    with pytest.raises(TimeoutError):
        hasty.result(0.5)  # it had 0.2 s to be begun with, and was
    writer.permits.release()
    assert [future.result(LONG) for future in (leading, first, hasty)] == [0, 1, 2]


def test_a_leader_that_fails_takes_nobody_along(writer: Writer, start: Start) -> None:
    futures = line_up(writer, start, range(4))
    writer.permits.release()
    assert writer.entered.acquire(timeout=LONG)  # 1 leads
    writer.failure = MemoryError()
    writer.permits.release(2)
    with pytest.raises(MemoryError):
        futures[1].result(LONG)
    assert [futures[number].result(LONG) for number in (0, 2, 3)] == [0, 2, 3]
    assert writer.groups == [[0], [1, 2, 3], [2, 3]]


def test_the_main_thread_leads_for_itself_only(
    writer: Writer, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[threading.Thread] = []

    def as_main(number: int) -> Any:
        seen.append(threading.current_thread())
        return writer.join(number)

    monkeypatch.setattr(threading, "main_thread", lambda: seen[0] if seen else None)
    futures = line_up(writer, start, [0])
    futures.append(start(as_main, 1))
    writer.wait_for(1)
    futures += [start(writer.join, number) for number in (2, 3)]
    writer.wait_for(3)
    writer.permits.release(3)
    assert {future.result(LONG) for future in futures} == {0, 1, 2, 3}
    assert [len(group) for group in writer.groups] == [1, 1, 2]
    assert writer.groups[1] == [1]


@pytest.mark.parametrize("leads", [False, True])
def test_who_is_interrupted_in_the_line_leaves_it_to_the_others(
    writer: Writer, start: Start, monkeypatch: pytest.MonkeyPatch, *, leads: bool
) -> None:
    futures = line_up(writer, start, [0])
    interrupted = job(1)
    place = writer.line._queued(interrupted)
    assert place is not None
    futures.append(start(writer.join, 2))
    writer.wait_for(2)

    woken = place.woken

    class Interrupted:
        """The place's lock, where an interrupt ends the sleep."""

        release = woken.release

        def acquire(self, timeout: float) -> bool:
            if leads:  # it is woken to lead, and interrupted just then
                writer.permits.release()
                assert woken.acquire(timeout=timeout)
            raise KeyboardInterrupt

    monkeypatch.setattr(place, "woken", Interrupted())
    with pytest.raises(KeyboardInterrupt):
        writer.line._woken(place, LONG)
    writer.permits.release(3)
    assert [future.result(LONG) for future in futures] == [0, 2]
    assert writer.groups == [[0], [2]]
    assert not interrupted.done


def test_many_threads_get_each_their_own(start: Start) -> None:
    """Nothing is lost, mixed up or done twice, whatever the order."""
    done: list[int] = []
    turn = threading.Lock()

    def carry_out(jobs: Sequence[Job]) -> None:
        assert turn.acquire(blocking=False)  # one leads at a time
        for each in jobs[:3]:
            done.append(each.call.arguments)
            each.settle(-each.call.arguments)
        turn.release()

    line = Line(carry_out)

    def work(first: int) -> None:
        for number in range(first, first + 200):
            mine = job(number)
            assert line.join(mine, LONG)
            assert mine.answer == -number

    futures = [start(work, first) for first in range(0, 4_000, 200)]
    for future in futures:
        future.result(LONG)
    assert sorted(done) == list(range(4_000))
    assert not line._led
