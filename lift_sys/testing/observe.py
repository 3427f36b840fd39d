"""What the suite can see of a store, written down so that nothing hides in an ``==``."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from typing import Any, TypeVar

from lift_sys.spec_sessions import PromptSession, SessionStore, SessionSummary

T = TypeVar("T")


def exact(value: object) -> str:
    """Return text that is equal for two values just where both are equal and of the same types.

    That ``True == 1 == 1.0`` and ``0.0 == -0.0`` must not hide that a store changed one into
    another. Order counts, also that of the members of JSON objects.
    """
    return repr(value)


def stored(store: SessionStore, session_id: str) -> PromptSession:
    """Return what the store holds under that id, which there must be."""
    found = store.get(session_id)
    assert found is not None, f"{session_id!r} is not stored"
    return found


def holds(store: SessionStore, session: PromptSession) -> bool:
    """Return whether the store holds that session exactly as it is, version included."""
    return exact(store.get(session.session_id)) == exact(session)


def walk(store: SessionStore, **options: Any) -> Iterator[SessionSummary]:
    """Yield every summary, page by page, as ``list_page`` gives them with those options."""
    cursor = None
    while True:
        page = store.list_page(cursor=cursor, **options)
        yield from page.items
        cursor = page.next_cursor
        if cursor is None:
            return


def content(store: SessionStore) -> str:
    """Return all that a user can see: whole sessions and summaries."""
    return exact((store.list_all(), list(walk(store))))


def error_of(action: Callable[[], object]) -> Exception | None:
    """Return what `action` raises, or None."""
    try:
        action()
    except Exception as error:  # noqa: BLE001  # the test judges it
        return error
    return None


def within(seconds: float, action: Callable[[], T]) -> T:
    """Return what `action` returns, and fail where it takes longer: it waits for something.

    Raises:
        AssertionError: it did not end in that time.
        Exception: what `action` raised.
    """
    (result,) = at_once(seconds, [action])
    return result


def at_once(seconds: float, jobs: Sequence[Callable[[], T]]) -> list[T]:
    """Run the jobs in a thread each, started together, and return what they return.

    Args:
        seconds: how long to wait for all of them.
        jobs: what to run; their threads are left behind where they do not end.

    Raises:
        AssertionError: one did not end in that time.
        Exception: what the first of them that failed raised.
    """
    start = threading.Barrier(len(jobs))
    futures: list[Future[T]] = [Future() for _ in jobs]

    def work(job: Callable[[], T], future: Future[T]) -> None:
        start.wait()
        try:
            future.set_result(job())
        except BaseException as error:  # noqa: BLE001  # raised again in the waiting thread
            future.set_exception(error)

    for job, future in zip(jobs, futures, strict=True):
        threading.Thread(target=work, args=(job, future), daemon=True).start()
    _, waiting = wait(futures, seconds)
    assert not waiting, f"{len(waiting)} of {len(jobs)} blocked for {seconds} s"
    return [future.result() for future in futures]
