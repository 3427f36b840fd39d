"""G11: a user learns nothing of another user's sessions, and changes nothing of them."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from lift_sys.spec_sessions import (
    PermissionDeniedError,
    PromptSession,
    SessionNotFoundError,
    SessionStore,
    SessionStoreError,
)
from lift_sys.testing import samples
from lift_sys.testing.guarantees import guarantee
from lift_sys.testing.harness import StoreHarness
from lift_sys.testing.observe import content, error_of, exact, holds, stored, walk

ALIKE = {
    "case": ("{}a", "{}A"),
    "blank": ("{}", "{} "),
    "composition": ("{}\u00e9", "{}e\u0301"),
    "pattern": ("{}a", "{}%"),
    "joker": ("{}a", "{}_"),
    "prefix": ("{}", "{}/a"),
    "quote": ("{}a", "{}' or '1'='1"),
    "list": ("{}a", "{}a,{}b"),
    "braces": ("{}a", '{}a"}}'),
    "length": ("{}a", "{}" + "a" * 200),
}
"""Pairs of user ids that a careless store takes for one."""


class Isolation:
    """G11: users are kept apart."""

    @guarantee("G11")
    @pytest.mark.parametrize("name", ALIKE)
    def test_users_with_ids_that_look_alike_are_kept_apart(
        self, harness: StoreHarness, name: str
    ) -> None:
        unique = harness.user()
        mine, theirs = (harness.store(pattern.format(*[unique] * 2)) for pattern in ALIKE[name])
        session = samples.session()
        mine.create(session)
        assert theirs.get(session.session_id) is None
        assert content(theirs) == exact(([], []))
        theirs.delete(session.session_id)
        assert holds(mine, session)

    @guarantee("G11")
    def test_where_the_users_id_ends_and_the_sessions_begins_is_clear(
        self, harness: StoreHarness
    ) -> None:
        unique = harness.user()
        for between in ":/ \n.|":
            mine = harness.store(f"{unique}a")
            theirs = harness.store(f"{unique}a{between}b")
            session = samples.session(session_id=f"b{between}c")
            mine.create(session)
            assert theirs.get("c") is None
            theirs.create(samples.session(session_id="c"))
            assert holds(mine, session)

    @guarantee("G11")
    def test_another_users_session_cannot_be_read(self, harness: StoreHarness) -> None:
        mine, theirs, session = _mine_and_theirs(harness)
        assert theirs.get(session.session_id) is None
        for handle in (session, samples.unknown_copy(session)):
            with pytest.raises(SessionNotFoundError):
                theirs.refresh(handle)
        assert holds(mine, session)

    @guarantee("G11")
    def test_another_users_session_is_in_no_list(self, harness: StoreHarness) -> None:
        _, theirs, _ = _mine_and_theirs(harness)
        own = samples.session()
        theirs.create(own)
        assert [s.session_id for s in theirs.list_all()] == [own.session_id]
        assert [s.session_id for s in theirs.list_active()] == [own.session_id]
        for options in ({}, {"status": "active"}, {"source": "prompt"}):
            assert [s.session_id for s in walk(theirs, **options)] == [own.session_id]

    @guarantee("G11")
    def test_another_users_session_cannot_be_changed(self, harness: StoreHarness) -> None:
        mine, theirs, session = _mine_and_theirs(harness)
        got = stored(mine, session.session_id)
        before = content(mine)
        for handle in (got, samples.unknown_copy(session)):
            with pytest.raises(SessionNotFoundError):
                theirs.update(samples.grow(handle), idempotency_key="k")
        assert content(mine) == before
        assert content(theirs) == exact(([], []))

    @guarantee("G11")
    def test_another_users_session_cannot_be_deleted(self, harness: StoreHarness) -> None:
        mine, theirs, session = _mine_and_theirs(harness)
        theirs.delete(session.session_id)
        assert holds(mine, session)

    @guarantee("G11")
    def test_two_users_may_have_the_same_id(self, harness: StoreHarness) -> None:
        mine, theirs, session = _mine_and_theirs(harness)
        other = samples.session("other", session_id=session.session_id)
        assert theirs.create(other) == session.session_id
        theirs.update(samples.grow(other))
        mine.update(samples.grow(session, 5))
        assert holds(mine, session)
        assert holds(theirs, other)
        theirs.delete(other.session_id)
        assert holds(mine, session)

    @guarantee("G11")
    def test_a_handle_of_another_users_session_does_not_fit_ones_own_of_that_id(
        self, harness: StoreHarness
    ) -> None:
        mine, theirs, session = _mine_and_theirs(harness)
        own = samples.session("other", session_id=session.session_id)
        theirs.create(own)
        foreign = stored(mine, session.session_id)
        assert exact(theirs.refresh(foreign)) == exact(own)
        with pytest.raises(SessionStoreError):
            theirs.update(samples.grow(foreign))
        assert holds(theirs, own)

    @guarantee("G11")
    def test_another_users_cursor_leads_to_ones_own_sessions_alone(
        self, harness: StoreHarness
    ) -> None:
        mine, theirs = harness.store(), harness.store()
        for store, names in ((mine, "bdfh"), (theirs, "aceg")):
            store.create_many(samples.session(session_id=name) for name in names)
        cursor = mine.list_page(limit=2).next_cursor
        try:
            found = theirs.list_page(cursor=cursor).items
        except SessionStoreError:
            return
        assert [item.session_id for item in found] == ["e", "c", "a"]

    @guarantee("G11")
    @pytest.mark.parametrize("name", ["get", "delete", "update", "refresh", "create", "replay"])
    def test_what_a_user_is_told_does_not_depend_on_what_others_have(
        self, harness: StoreHarness, name: str
    ) -> None:
        mine, theirs, session = _mine_and_theirs(harness)
        secret = "only-mine-" + harness.user()
        session.metadata = {"secret": secret}
        mine.update(session, idempotency_key=secret)
        known, unknown = session.session_id, samples.session().session_id
        told = []
        for session_id in (known, unknown):
            handle = samples.unknown_copy(samples.session("x", session_id=session_id, version=9))
            answers = [_told(action) for action in _attempts(name, theirs, handle, secret)]
            told.append([answer.replace(session_id, "ID") for answer in answers])
        assert told[0] == told[1]
        assert secret not in str(told)

    @guarantee("G11")
    @guarantee("G15")
    def test_users_at_the_same_time_on_one_connection_do_not_mix(
        self, harness: StoreHarness
    ) -> None:
        views = [harness.store() for _ in range(8)]

        def work(view: SessionStore) -> None:
            for _ in range(10):
                session = samples.session(view.user_id)
                view.create(session)
                view.update(samples.grow(session))
                for found in view.list_all():
                    assert found.original_input == view.user_id
                for item in view.list_page().items:
                    assert item.preview == view.user_id

        with ThreadPoolExecutor(8) as threads:
            list(threads.map(work, views))
        assert [len(view.list_all()) for view in views] == [10] * 8

    @guarantee("G11")
    def test_the_database_itself_refuses_a_user_with_anothers_token(
        self, harness: StoreHarness
    ) -> None:
        victim, attacker = harness.user(), harness.user()
        impostor = harness.impostor(victim, token_of=attacker)
        mine, session = harness.store(victim), samples.session()
        mine.create(session)
        assert error_of(lambda: impostor.create(samples.session())) is not None
        for action in (
            lambda: impostor.get(session.session_id),
            impostor.list_all,
            lambda: impostor.list_page().items,
        ):
            try:
                assert not action()
            except (PermissionDeniedError, SessionNotFoundError):
                continue
        error_of(lambda: impostor.update(samples.grow(samples.unknown_copy(session))))
        error_of(lambda: impostor.delete(session.session_id))
        assert [exact(s) for s in mine.list_all()] == [exact(session)]


def _mine_and_theirs(harness: StoreHarness) -> tuple[SessionStore, SessionStore, PromptSession]:
    """Return the stores of two users, and a session that the first one has stored."""
    mine, theirs, session = harness.store(), harness.store(), samples.session()
    mine.create(session)
    return mine, theirs, session


def _attempts(
    name: str, store: SessionStore, session: PromptSession, key: str
) -> Iterator[Callable[[], object]]:
    """Yield what a user may try with a session's id."""
    if name == "get":
        yield lambda: store.get(session.session_id)
    elif name == "delete":
        yield lambda: store.delete(session.session_id)
    elif name == "refresh":
        yield lambda: store.refresh(session)
    elif name == "update":
        yield lambda: store.update(session)
    elif name == "replay":
        yield lambda: store.update(session, idempotency_key=key)
    elif name == "create":
        yield lambda: store.create(session)
        yield lambda: store.create(session)


def _told(action: Callable[[], object]) -> str:
    error = error_of(action)
    return "" if error is None else f"{type(error).__name__} {error} {vars(error)}"
