"""G16: when a store is opened, when it is closed, and what it closes."""

import itertools
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache

import pytest

from lift_sys.spec_sessions import SessionStore, StoreClosedError
from lift_sys.testing import samples
from lift_sys.testing.guarantees import guarantee
from lift_sys.testing.harness import StoreHarness, blocking
from lift_sys.testing.observe import at_once, holds

USES: dict[str, Callable[[SessionStore], object]] = {
    "create": lambda store: store.create(samples.session()),
    "create_many": lambda store: store.create_many([samples.session()]),
    "get": lambda store: store.get("id"),
    "get_of_no_id": lambda store: store.get(""),
    "update": lambda store: store.update(samples.session()),
    "refresh": lambda store: store.refresh(samples.session()),
    "delete": lambda store: store.delete("id"),
    "delete_of_no_id": lambda store: store.delete(""),
    "list_active": lambda store: store.list_active(),
    "list_all": lambda store: store.list_all(),
    "list_page": lambda store: store.list_page(),
}


class Lifecycle:
    """G16: opening and closing."""

    @guarantee("G16")
    def test_construction_does_no_io(self, harness: StoreHarness) -> None:
        user = harness.user()
        with _io_of_this_thread() as seen:
            store = harness.opener(user)
            store.for_user(harness.user())
        blocking(store).close()
        assert seen == []

    @guarantee("G16")
    def test_a_store_that_was_never_used_can_be_closed(self, harness: StoreHarness) -> None:
        store = blocking(harness.opener(harness.user()))
        store.close()
        store.close()

    @guarantee("G16")
    @pytest.mark.parametrize("name", USES)
    @pytest.mark.parametrize("used", [True, False], ids=["used", "unused"])
    def test_a_closed_store_says_so(self, harness: StoreHarness, name: str, used: bool) -> None:
        store = blocking(harness.opener(harness.user()))
        if used:
            store.create(samples.session())
        store.close()
        store.close()
        for _ in range(2):
            with pytest.raises(StoreClosedError):
                USES[name](store)

    @guarantee("G16")
    @pytest.mark.parametrize("name", USES)
    def test_a_closed_view_says_so_and_closes_nothing_else(
        self, harness: StoreHarness, name: str
    ) -> None:
        store, session = harness.store(), samples.session()
        store.create(session)
        view, sibling = harness.view(store), harness.view(store, store.user_id)
        view.create(samples.session())
        view.close()
        view.close()
        with pytest.raises(StoreClosedError):
            USES[name](view)
        assert holds(store, session)
        assert holds(sibling, session)

    @guarantee("G16")
    @pytest.mark.parametrize("name", USES)
    def test_a_store_that_closes_takes_its_views_along(
        self, harness: StoreHarness, name: str
    ) -> None:
        store = blocking(harness.opener(harness.user()))
        view = harness.view(store)
        view.create(samples.session())
        store.close()
        with pytest.raises(StoreClosedError):
            USES[name](view)

    @guarantee("G16")
    def test_a_with_block_closes_what_it_was_given(self, harness: StoreHarness) -> None:
        store = harness.store()
        with harness.view(store, store.user_id) as view:
            session = samples.session()
            view.create(session)
        with pytest.raises(StoreClosedError):
            view.list_all()
        assert holds(store, session)

    @guarantee("G16")
    def test_a_with_block_lets_errors_through(self, harness: StoreHarness) -> None:
        store = harness.store()
        with pytest.raises(ZeroDivisionError), store.for_user(store.user_id) as view:
            _ = 1 / 0
        with pytest.raises(StoreClosedError):
            view.list_all()

    @guarantee("G16")
    def test_a_store_tells_its_user(self, harness: StoreHarness) -> None:
        user, other = harness.user(), harness.user()
        store = harness.store(user)
        view = store.for_user(other)
        assert (store.user_id, view.user_id, view.for_user(user).user_id) == (user, other, user)

    @guarantee("G16")
    def test_a_store_is_what_the_protocol_describes(self, harness: StoreHarness) -> None:
        assert isinstance(harness.store(), SessionStore)

    @guarantee("G16")
    def test_what_another_store_keeps_open_stays_open(self, harness: StoreHarness) -> None:
        user = harness.user()
        first, second = harness.reopen(user), harness.reopen(user)
        session = samples.session()
        first.create(session)
        first.close()
        assert holds(second, session)

    @guarantee("G16")
    @guarantee("G15")
    def test_closing_a_store_in_use_leaves_whole_answers_or_says_that_it_is_closed(
        self, harness: StoreHarness
    ) -> None:
        store = blocking(harness.opener(harness.user()))
        working, closed = threading.Barrier(5), threading.Event()

        def work() -> None:
            for turn in itertools.count():
                if turn == 3:
                    working.wait(harness.patience)
                late = closed.is_set()
                try:
                    session = samples.session()
                    store.create(session)
                    assert holds(store, session)
                except StoreClosedError:
                    assert turn >= 3
                    return
                assert not late

        def close() -> None:
            working.wait(harness.patience)
            store.close()
            closed.set()

        at_once(harness.patience, [work, work, work, work, close])


_watched = threading.local()
_IO = ("sqlite3.connect", "socket.connect", "socket.getaddrinfo", "subprocess.Popen", "os.mkdir")


@contextmanager
def _io_of_this_thread() -> Iterator[list[str]]:
    """Gather what this thread opens: files to be written, databases, connections, processes."""
    _install_hook()
    seen: list[str] = []
    _watched.events = seen
    try:
        yield seen
    finally:
        _watched.events = None


@cache
def _install_hook() -> None:
    # Python cannot take an audit hook back, so there is one, idle while nothing is watched.
    sys.addaudithook(_note)


def _note(event: str, arguments: tuple[object, ...]) -> None:
    events = getattr(_watched, "events", None)
    if events is None:
        return
    if event in _IO or (event == "open" and set(str(arguments[1])) & set("wxa+")):
        events.append(f"{event} {arguments[0]}")
