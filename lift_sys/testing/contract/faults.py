"""What fails, and what is left: whole writes (G6), servers away (G14), no migrations (G20)."""

import time
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from lift_sys.spec_sessions import (
    OutcomeUnknownError,
    PromptSession,
    SchemaOutdatedError,
    SessionStoreError,
    StoreUnavailableError,
)
from lift_sys.testing import samples
from lift_sys.testing.contract.lifecycle import USES
from lift_sys.testing.guarantees import guarantee
from lift_sys.testing.harness import StoreHarness
from lift_sys.testing.observe import content, error_of, exact, holds, stored

SERVED = {name: use for name, use in USES.items() if not name.endswith("_of_no_id")}
"""The operations that have to ask the server."""


class Atomic:
    """G6: a write happens whole or not at all."""

    @guarantee("G6")
    @pytest.mark.parametrize("place", [0, 1, 5])
    def test_an_iterable_that_fails_stores_nothing(self, harness: StoreHarness, place: int) -> None:
        store = harness.store()
        good = [samples.session(f"{n}") for n in range(6)]

        def failing() -> Iterator[PromptSession]:
            yield from good[:place]
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            store.create_many(failing())
        assert store.list_all() == []
        assert [session.version for session in good] == [0] * 6
        store.create_many(good)
        assert len(store.list_all()) == 6

    @guarantee("G6")
    @pytest.mark.parametrize("name", ["taken", "twice", "bad"])
    def test_a_refused_create_many_leaves_nothing_behind(
        self, harness: StoreHarness, name: str
    ) -> None:
        store, taken = harness.store(), samples.session()
        store.create(taken)
        before = content(store)
        good = [samples.session(f"{n}") for n in range(5)]
        wrong = {
            "taken": samples.session("x", session_id=taken.session_id),
            "twice": samples.session("x", session_id=good[0].session_id),
            "bad": samples.session("x", metadata={"x": float("nan")}),
        }[name]
        for key in (None, "k"):
            with pytest.raises(SessionStoreError):
                store.create_many([*good, wrong], idempotency_key=key)
            assert content(store) == before
        store.create_many(good, idempotency_key="k")
        assert len(store.list_all()) == 6

    @guarantee("G6")
    @pytest.mark.parametrize("name", ["stale", "rewritten", "bad_item", "bad_header", "gone"])
    def test_a_refused_update_leaves_nothing_behind(self, harness: StoreHarness, name: str) -> None:
        store, session = harness.store(), samples.grow(samples.session())
        store.create(session)
        handle = (
            samples.unknown_copy(session) if name != "stale" else stored(store, session.session_id)
        )
        if name == "stale":
            store.update(session)
        _WRONG[name](samples.grow(handle, 3))
        handle.mark_applied_at(1)
        handle.abandon()
        before, mine = content(store), exact(handle)
        for _ in range(2):
            with pytest.raises(SessionStoreError):
                store.update(handle)
        assert content(store) == before
        assert exact(handle) == mine
        if name != "gone":
            fresh = store.refresh(handle)
            assert exact(fresh) == exact(session)
            store.update(samples.grow(fresh, 4))
            assert holds(store, fresh)

    @guarantee("G6")
    def test_the_exception_of_a_driver_never_escapes(self, harness: StoreHarness) -> None:
        store, session = harness.store(), samples.session()
        store.create(session)
        for spoil in _WRONG.values():
            handle = stored(store, session.session_id)
            spoil(handle)
            error = error_of(partial(store.update, handle))
            assert error is None or isinstance(error, SessionStoreError)


class Faults:
    """G14: a server that is away, and comes back."""

    @guarantee("G14")
    @pytest.mark.parametrize("name", SERVED)
    def test_without_its_server_a_store_says_so_within_its_budget(
        self, harness: StoreHarness, name: str
    ) -> None:
        store, session = harness.hasty(), samples.session()
        with harness.outage():
            started = time.monotonic()
            with pytest.raises((StoreUnavailableError, OutcomeUnknownError)) as caught:
                SERVED[name](store)
            assert time.monotonic() - started < harness.patience
            assert caught.value.__cause__ is not None
        store.create(session)
        assert holds(store, session)

    @guarantee("G14")
    def test_the_store_works_again_by_itself_once_its_server_does(
        self, harness: StoreHarness
    ) -> None:
        store, session = harness.hasty(), samples.session()
        store.create(session)
        for _ in range(2):
            with harness.outage():
                assert isinstance(error_of(store.list_all), StoreUnavailableError)
            store.update(samples.grow(session))
            assert holds(store, session)

    @guarantee("G14")
    def test_a_write_that_failed_for_want_of_a_server_is_absent_or_said_to_be_unknown(
        self, harness: StoreHarness
    ) -> None:
        store, session = harness.hasty(), samples.session()
        with harness.outage():
            error = error_of(lambda: store.create(session, idempotency_key="k"))
        if isinstance(error, StoreUnavailableError):
            assert store.get(session.session_id) is None
        else:
            assert isinstance(error, OutcomeUnknownError)
        store.create(session, idempotency_key="k")
        assert [exact(s) for s in store.list_all()] == [exact(session)]


class Schema:
    """G20: a database that is not ready says what is to be done."""

    @guarantee("G20")
    @pytest.mark.parametrize("name", SERVED)
    def test_a_database_without_the_migrations_says_what_to_do(
        self, harness: StoreHarness, name: str
    ) -> None:
        store = harness.unmigrated(harness.user())
        with pytest.raises(SchemaOutdatedError, match="migrate"):
            SERVED[name](store)


def _rewrite(session: PromptSession) -> None:
    session.revisions[0] = samples.revision("another")


def _spoil_item(session: PromptSession) -> None:
    session.add_revision(samples.revision(metadata={"x": float("nan")}))


def _spoil_header(session: PromptSession) -> None:
    session.metadata["x"] = {1, 2}


def _lose(session: PromptSession) -> None:
    session.session_id = "no-such-session"


def _keep(session: PromptSession) -> None:
    del session


_WRONG: dict[str, Callable[[PromptSession], None]] = {
    "stale": _keep,
    "rewritten": _rewrite,
    "bad_item": _spoil_item,
    "bad_header": _spoil_header,
    "gone": _lose,
}
