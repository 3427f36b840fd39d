"""Two writers at once, for each pair of writes: only the outcomes that are legal one after another.

Each pair is raced many times over real connections. No race may end in a deadlock or in a
serialization failure: the store would try again and hide it, so the server's log is read too.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from lift_sys.local import LocalSupabase
from lift_sys.spec_sessions import PostgresSessionStore, PromptRevision, PromptSession

ROUNDS = 40
Write = Callable[[], Any]


@pytest.fixture(scope="module")
def stores(stack: LocalSupabase) -> Iterator[PostgresSessionStore]:
    log = Path(stack._folder) / "postgres.log"
    before = len(log.read_text())
    with PostgresSessionStore(stack.database_url, "nobody", pool_size=4) as store:
        yield store
    said = log.read_text()[before:]
    assert "deadlock detected" not in said
    assert "could not serialize" not in said


@pytest.fixture
def store(stores: PostgresSessionStore, user: str) -> PostgresSessionStore:
    return stores.for_user(user)


@pytest.fixture(scope="module")
def both() -> Iterator[Callable[[Write, Write], list[str]]]:
    """Runs two writes at the same moment and returns how each ended: "ok" or an error's name."""
    barrier = Barrier(2)

    def run(write: Write) -> str:
        barrier.wait()
        try:
            write()
        except Exception as error:  # noqa: BLE001  # the kind is what the test asks for
            return type(error).__name__
        return "ok"

    with ThreadPoolExecutor(2) as pool:
        yield lambda one, other: list(pool.map(run, (one, other)))


def new(session_id: str, content: str = "hello") -> PromptSession:
    session = PromptSession.create_new("prompt", original_input=content)
    session.session_id = session_id
    return session


def changed(store: PostgresSessionStore, session_id: str, content: str) -> PromptSession:
    session = store.get(session_id)
    assert session is not None
    session.add_revision(
        PromptRevision(timestamp=session.updated_at, content=content, revision_type="manual_edit")
    )
    return session


def contents(store: PostgresSessionStore, session_id: str) -> list[str] | None:
    session = store.get(session_id)
    return None if session is None else [revision.content for revision in session.revisions]


def test_two_creates_of_one_id(store: PostgresSessionStore, both: Any) -> None:
    for number in range(ROUNDS):
        sid = f"s{number}"
        one, other = new(sid, "one"), new(sid, "other")
        outcome = both(partial(store.create, one), partial(store.create, other))
        assert sorted(outcome) == ["SessionExistsError", "ok"]
        assert contents(store, sid) == [["one"], ["other"]][outcome.index("ok")]


def test_a_create_and_its_repetition(store: PostgresSessionStore, both: Any) -> None:
    for number in range(ROUNDS):
        key, one = f"k{number}", new(f"s{number}")
        other = PromptSession.from_dict(one.to_dict())
        assert both(
            partial(store.create, one, idempotency_key=key),
            partial(store.create, other, idempotency_key=key),
        ) == ["ok", "ok"]
    assert len(store.list_all()) == ROUNDS


def test_two_creates_with_one_key(store: PostgresSessionStore, both: Any) -> None:
    for number in range(ROUNDS):
        key, one, other = f"k{number}", new(f"one{number}"), new(f"other{number}")
        outcome = both(
            partial(store.create, one, idempotency_key=key),
            partial(store.create, other, idempotency_key=key),
        )
        assert sorted(outcome) == ["IdempotencyKeyReusedError", "ok"]
    assert len(store.list_all()) == ROUNDS


def test_creates_of_many_with_ids_in_common_in_any_order(
    store: PostgresSessionStore, both: Any
) -> None:
    for number in range(ROUNDS):
        ids = [f"{number}-{part}" for part in range(20)]
        forth, back = [new(sid) for sid in ids], [new(sid) for sid in reversed(ids)]
        outcome = both(partial(store.create_many, forth), partial(store.create_many, back))
        assert sorted(outcome) == ["SessionExistsError", "ok"]
    assert len(store.list_all()) == ROUNDS * 20


def test_two_updates_of_one_version(store: PostgresSessionStore, both: Any) -> None:
    for number in range(ROUNDS):
        sid = f"s{number}"
        store.create(new(sid))
        one, other = changed(store, sid, "one"), changed(store, sid, "other")
        outcome = both(partial(store.update, one), partial(store.update, other))
        assert sorted(outcome) == ["SessionConflictError", "ok"]
        assert contents(store, sid) == ["hello", ["one", "other"][outcome.index("ok")]]


def test_an_update_and_its_repetition(store: PostgresSessionStore, both: Any) -> None:
    for number in range(ROUNDS):
        key, sid = f"k{number}", f"s{number}"
        store.create(new(sid))
        one = changed(store, sid, "one")
        other = PromptSession.from_dict(one.to_dict())
        other = store.refresh(other)
        other.add_revision(one.revisions[-1])
        other.updated_at = one.updated_at
        assert both(
            partial(store.update, one, idempotency_key=key),
            partial(store.update, other, idempotency_key=key),
        ) == ["ok", "ok"]
        assert contents(store, sid) == ["hello", "one"]


def test_an_update_and_a_delete(store: PostgresSessionStore, both: Any) -> None:
    for number in range(ROUNDS):
        sid = f"s{number}"
        store.create(new(sid))
        one = changed(store, sid, "one")
        updated, deleted = both(partial(store.update, one), partial(store.delete, sid))
        assert deleted == "ok"
        assert updated in {"ok", "SessionNotFoundError"}
        assert contents(store, sid) is None


def test_a_delete_and_a_create_of_the_same_id(store: PostgresSessionStore, both: Any) -> None:
    for number in range(ROUNDS):
        sid = f"s{number}"
        store.create(new(sid, "old"))
        again = new(sid, "new")
        deleted, created = both(partial(store.delete, sid), partial(store.create, again))
        assert deleted == "ok"
        assert created in {"ok", "SessionExistsError"}
        assert contents(store, sid) == (["new"] if created == "ok" else None)


def test_two_deletes(store: PostgresSessionStore, both: Any) -> None:
    for number in range(ROUNDS):
        sid = f"s{number}"
        store.create(new(sid))
        assert both(partial(store.delete, sid), partial(store.delete, sid)) == ["ok", "ok"]
        assert contents(store, sid) is None


def test_a_reader_sees_whole_writes_only(store: PostgresSessionStore, both: Any) -> None:
    """The items that a version has are there with the version, in every way of reading."""
    session = new("s")
    store.create(session)

    def write() -> None:
        for _ in range(ROUNDS):
            for _ in range(3):
                session.add_revision(session.revisions[0])
            store.update(session)

    def read() -> None:
        known = new("s")
        for _ in range(ROUNDS):
            known = store.refresh(known)
            for seen in (known, store.get("s"), store.list_all()[0]):
                assert seen is not None
                assert len(seen.revisions) == 1 + 3 * (seen.version - 1)

    assert both(write, read) == ["ok", "ok"]
