"""Postgres decides, orders and keeps what memory does, down to the last odd value (G1, G5, G12)."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, get_args
from urllib.parse import quote

import pytest

from lift_sys.backends.errors import SessionStoreError
from lift_sys.local import LocalSupabase
from lift_sys.spec_sessions import (
    HoleResolution,
    InMemorySessionStore,
    IRDraft,
    PostgresSessionStore,
    PromptRevision,
    PromptSession,
    SessionStore,
    SQLiteSessionStore,
    SupabaseSessionStore,
)
from lift_sys.spec_sessions.models import Source, Status
from tests.databases import ask

ODD: dict[str, Any] = {
    "numbers": [
        1, 1.0, -0.0, 0.0, 1e2, 1e16, 10**16, 1e308, 5e-324, 10**30, -(10**4299), 0.1, 1e-7,
        9007199254740993, True, False, None,
    ],
    "keys": {"b": 1, "a": 2, "": 3, "ä": 4, "𝄞": 5, "\u2028": 6, "\x7f": 7, "\\": 8, '"': 9},
    "text": ["", " ", "\n\t\r", "\u0001\u001f", "\\u0000", "e\u0301", "\u202eabc", "\uffff", "𐀀"],
    "deep": [[[[[[[[[[{"x": []}]]]]]]]]]],
}  # fmt: skip


@pytest.fixture(params=["postgres", "supabase", "odd settings"])
def store(
    request: pytest.FixtureRequest, stack: LocalSupabase, user: str
) -> Iterator[SessionStore]:
    if request.param == "supabase":
        with SupabaseSessionStore(stack.url, stack.anon_key, user, stack.jwt(user)) as store:
            yield store
        return
    url = stack.database_url
    if request.param == "odd settings":
        settings = (
            "DateStyle=SQL,DMY", "TimeZone=Asia/Kathmandu", "IntervalStyle=sql_standard",
            "standard_conforming_strings=off", "default_transaction_isolation=repeatable\\ read",
            "search_path=pg_temp", "xmloption=document", "quote_all_identifiers=on",
        )  # fmt: skip
        url += "?options=" + quote(" ".join(f"-c {setting}" for setting in settings))
    with PostgresSessionStore(url, user) as store:
        yield store


def odd_session() -> PromptSession:
    first, last = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
    session = PromptSession.create_new("prompt", metadata=ODD)
    session.created_at, session.updated_at = first, last
    for at in (first, last, datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
               datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=14)))):  # fmt: skip
        session.revisions.append(
            PromptRevision(
                timestamp=at, content="ä𝄞\\u0000'\"$$\n", revision_type="hole_fill",
                target_hole="x", metadata=ODD,
            )
        )  # fmt: skip
    session.ir_drafts.append(
        IRDraft(version=2**31 - 1, ir={"intent": {"summary": "'$$'"}}, smt_results=[ODD],
                ambiguities=[ODD], created_at=first, metadata=ODD)
    )  # fmt: skip
    session.pending_resolutions.append(
        HoleResolution(hole_id="", resolution_text="", resolution_type="specify_effect",
                       timestamp=last, metadata=ODD)
    )  # fmt: skip
    return session


def exact(session: PromptSession | None) -> str:
    """Return a session as text that tells 1 from 1.0, 0.0 from -0.0, and one order from another."""
    return repr(session.to_dict()) if session else "nothing"


def test_odd_values_come_back_to_the_letter(store: SessionStore) -> None:
    session = odd_session()
    store.create(session)
    assert exact(store.get(session.session_id)) == exact(session)
    session.revisions.append(session.revisions[0])
    store.update(session)
    assert exact(store.refresh(PromptSession.from_dict(session.to_dict()))) == exact(session)
    assert exact(store.list_all()[0]) == exact(session)
    (summary,) = store.list_page().items
    assert repr(summary.metadata) == repr(session.metadata)
    assert summary.preview == session.original_input


def test_the_same_session_from_elsewhere_is_the_same(store: SessionStore) -> None:
    session = odd_session()
    store.create(session)
    again = PromptSession.from_dict(session.to_dict())
    again.mark_resolution_applied("")
    store.update(again)
    assert store.get(session.session_id) == again


CHANGES: dict[str, tuple[Any, Any]] = {
    "1 and 1.0": (1, 1.0),
    "1 and true": (1, True),
    "0 and false": (0, False),
    "0.0 and -0.0": (0.0, -0.0),
    "1e23 and 10**23": (1e23, 10**23),
    "1e16 and 10**16": (1e16, 10**16),
    "2**53+1": (2**53 + 1, float(2**53)),
    "order of keys": ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
    "order of items": ([1, 2], [2, 1]),
    "null and nothing": ({"a": None}, {}),
    "text and number": ("1", 1),
    "composed": ("é", "e\u0301"),
    "null and false": (None, False),
    "nested": ([{"a": [1]}], [{"a": [True]}]),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_counts_as_a_change_of_history_is_alike(
    stack: LocalSupabase, user: str, tmp_path: Any, name: str
) -> None:
    old, new = CHANGES[name]

    def outcome(store: SessionStore) -> str:
        with store:
            session = PromptSession.create_new("prompt")
            session.session_id = name
            session.add_resolution(
                HoleResolution(
                    hole_id="h", resolution_text="x", resolution_type="add_constraint",
                    metadata={"value": old},
                )
            )  # fmt: skip
            store.create(session)
            data = session.to_dict()
            data["pending_resolutions"][0] |= {"metadata": {"value": new}, "applied": True}
            try:
                store.update(PromptSession.from_dict(data))
            except SessionStoreError as error:
                return f"{type(error).__name__}: {error}"
            stored = store.get(name)
            assert stored is not None
            return repr(stored.pending_resolutions[0].metadata) + str(stored.version)

    outcomes = {
        outcome(InMemorySessionStore(user)),
        outcome(SQLiteSessionStore(tmp_path / "x.db", user)),
        outcome(PostgresSessionStore(stack.database_url, user)),
    }
    assert len(outcomes) == 1, outcomes


def test_previews_are_cut_by_characters_and_ids_ordered_by_code_points(
    store: SessionStore,
) -> None:
    memory = InMemorySessionStore(store.user_id)
    at = datetime(2026, 1, 1, tzinfo=UTC)
    for sid in ("a", "B", "ä", "z", "Z", "é", "e\u0301", "\uffff", "𐀀", "_", "-", "0", "10", "2",
                "𝄞" * 255):  # fmt: skip
        session = PromptSession.create_new("prompt", original_input="𝄞e\u0301" * 100)
        session.session_id, session.created_at, session.updated_at = sid, at, at
        memory.create(PromptSession.from_dict(session.to_dict()))
        store.create(session)
    for limit in (1, 4, 1000):
        assert walk(store, limit) == walk(memory, limit)
    assert [s.session_id for s in store.list_all()] == [s.session_id for s in memory.list_all()]


def walk(store: SessionStore, limit: int) -> list[tuple[str, str]]:
    found, cursor = [], None
    while True:
        page = store.list_page(limit=limit, cursor=cursor)
        found += [(item.session_id, item.preview) for item in page.items]
        if (cursor := page.next_cursor) is None:
            return found


def no_such_session(session: PromptSession) -> None:
    session.session_id, session.version = "other", 2**31 - 1


def another_version(session: PromptSession) -> None:
    session.version = 2**31 - 1


def another_version_and_history(session: PromptSession) -> None:
    session.version = 7
    session.revisions.pop()


def missing_items(session: PromptSession) -> None:
    session.ir_drafts.pop()
    session.revisions.pop()


def changed_items(session: PromptSession) -> None:
    session.revisions.reverse()
    session.ir_drafts.pop()


def unapplied(session: PromptSession) -> None:
    (resolution,) = session.pending_resolutions
    session.pending_resolutions[0] = resolution.model_copy(update={"applied": False})


@pytest.mark.parametrize(
    "spoil",
    [
        no_such_session,
        another_version,
        another_version_and_history,
        missing_items,
        changed_items,
        unapplied,
    ],
)
def test_of_several_reasons_the_same_one_is_named(
    store: SessionStore, spoil: Callable[[PromptSession], None]
) -> None:
    def complaint(store: SessionStore) -> str:
        session = odd_session()
        session.session_id = "s"
        session.mark_resolution_applied("")
        store.create(session)
        changed = PromptSession.from_dict(session.to_dict())
        spoil(changed)
        with pytest.raises(SessionStoreError) as caught:
            store.update(changed)
        return f"{type(caught.value).__name__}: {caught.value}"

    assert complaint(store) == complaint(InMemorySessionStore(store.user_id))


def test_current_ir_holds_whatever_a_draft_may_hold(stack: LocalSupabase, user: str) -> None:
    """jsonb takes fewer values than json does; none of those that are accepted is among them."""
    with PostgresSessionStore(stack.database_url, user) as store:
        session = odd_session()
        long = "".join(chr(c) for c in range(1, 0x3000)) + "𐀀\U0010ffff"
        session.ir_drafts.append(
            IRDraft(version=1, ir={"intent": {"summary": long, "rationale": "\\u0000 \\ud800"}})
        )
        store.create(session)
    stored = ask(
        stack.database_url,
        "select current_ir #>> '{intent,summary}' from public.sessions where user_id = %s",
        user,
    )
    assert stored == [(long,)]


def test_every_status_and_source_is_listed(store: SessionStore) -> None:
    """The list names them one by one: a new one has to be added there."""
    made = []
    for status in get_args(Status):
        for source in get_args(Source):
            session = PromptSession.create_new(source)
            session.status = status
            made.append(store.create(session))
            assert [s.session_id for s in store.list_page(status=status, source=source).items] == [
                session.session_id
            ]
    assert {s.session_id for s in store.list_page().items} == set(made)


def test_the_longest_names_in_the_widest_characters_are_taken(stack: LocalSupabase) -> None:
    with PostgresSessionStore(stack.database_url, "𝄞" * 255) as store:
        session = PromptSession.create_new("prompt", original_input="x")
        session.session_id = "𐀀" * 255
        store.create(session, idempotency_key="𝄞" * 255)
        session.add_revision(session.revisions[0])
        store.update(session)
        assert store.list_page().items[0].session_id == session.session_id
        assert store.get(session.session_id) == session
