"""Lists: their order (G9), and that nothing is missing from them (G10)."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lift_sys.spec_sessions import InvalidSessionError, PromptSession, SessionStore
from lift_sys.testing import samples
from lift_sys.testing.guarantees import guarantee
from lift_sys.testing.harness import StoreHarness
from lift_sys.testing.observe import exact, holds, stored, walk

# By code points U+FFFF comes before U+1F600, by UTF-16 code units after it; by a language's rules
# "a" comes before "B" and next to "\u00e1".
_BY_ENCODING = ["\U0001f600", "\uffff", "\u4e2d", "\u00e9", "\u00e1", "e\u0301"]
_BY_LANGUAGE = ["z", "Z", "B", "a", "a_", "aa", "a-", "a b", "_", "9", "10", "-"]
IDS_IN_ORDER = sorted([*_BY_ENCODING, *_BY_LANGUAGE], reverse=True)


class Order:
    """G9: items in the order they were added; lists latest first, then id descending."""

    @guarantee("G9")
    @pytest.mark.parametrize("step", [1, 0, -1], ids=["forward", "still", "backward"])
    def test_items_keep_the_order_they_were_added_in_whatever_their_clocks_say(
        self, harness: StoreHarness, step: int
    ) -> None:
        store, session = harness.store(), PromptSession()
        for number in range(1, 13):
            samples.grow(session, number, samples.START + timedelta(seconds=number * step))
        store.create(session)
        for number in range(13, 25):
            samples.grow(session, number, samples.START + timedelta(seconds=number * step))
            store.update(session)
        assert holds(store, session)

    @guarantee("G9")
    def test_lists_run_by_updated_at_descending(self, harness: StoreHarness) -> None:
        store = harness.store()
        moments = [
            datetime.min.replace(tzinfo=UTC),
            datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
            datetime(1970, 1, 1, tzinfo=UTC),
            samples.START - timedelta(microseconds=1),
            samples.START,
            samples.START + timedelta(microseconds=1),
            samples.START + timedelta(milliseconds=1),
            datetime.max.replace(tzinfo=UTC),
        ]
        by_id = {f"{(n * 5) % 8}": moment for n, moment in enumerate(moments)}
        store.create_many(
            samples.session(session_id=name, updated_at=by_id[name]) for name in sorted(by_id)
        )
        _assert_listed(store, sorted(by_id, key=by_id.__getitem__, reverse=True))

    @guarantee("G9")
    def test_among_equals_lists_run_by_id_descending_code_point_by_code_point(
        self, harness: StoreHarness
    ) -> None:
        store = harness.store()
        ids = [IDS_IN_ORDER[(n * 7) % len(IDS_IN_ORDER)] for n in range(len(IDS_IN_ORDER))]
        store.create_many(samples.session(session_id=name) for name in ids)
        _assert_listed(store, IDS_IN_ORDER)

    @guarantee("G9")
    def test_the_order_is_by_updated_at_and_by_no_other_clock(self, harness: StoreHarness) -> None:
        store = harness.store()
        for name, created, updated in (("a", 3, 1), ("b", 1, 3), ("c", 2, 2)):
            store.create(
                samples.session(
                    session_id=name,
                    created_at=samples.START + timedelta(days=created),
                    updated_at=samples.START + timedelta(days=updated),
                )
            )
        _assert_listed(store, ["b", "c", "a"])

    @guarantee("G9")
    def test_an_update_moves_a_session_to_where_its_clock_says(self, harness: StoreHarness) -> None:
        store = harness.store()
        sessions = {
            name: samples.session(session_id=name, updated_at=samples.START + timedelta(days=day))
            for day, name in enumerate("abc")
        }
        store.create_many(sessions.values())
        for days, order in ((9, "acb"), (-9, "cba"), (1, "cba")):
            sessions["a"].updated_at = samples.START + timedelta(days=days)
            store.update(sessions["a"])
            _assert_listed(store, list(order))

    @guarantee("G9")
    def test_list_active_holds_the_active_ones_alone(self, harness: StoreHarness) -> None:
        store = harness.store()
        sessions = {name: samples.session(session_id=name) for name in "abcd"}
        store.create_many(sessions.values())
        sessions["d"].finalize()
        sessions["b"].abandon()
        for name in "db":
            store.update(sessions[name])
        assert [s.session_id for s in store.list_active()] == ["c", "a"]
        assert sorted(s.session_id for s in store.list_all()) == list("abcd")
        sessions["d"].status, sessions["d"].updated_at = "active", samples.START
        store.update(sessions["d"])
        assert [s.session_id for s in store.list_active()] == ["d", "c", "a"]

    @guarantee("G9")
    @pytest.mark.parametrize("status", [None, "active", "finalized", "abandoned"])
    @pytest.mark.parametrize("source", [None, "prompt", "code"])
    def test_a_page_holds_what_it_was_asked_for(
        self, harness: StoreHarness, status: Any, source: Any
    ) -> None:
        store = harness.store()
        expected = []
        for number in range(18):
            has = ("active", "finalized", "abandoned")[number % 3], ("prompt", "code")[number % 2]
            name = f"{number:02}"
            store.create(samples.session(session_id=name, status=has[0], source=has[1]))
            if status in (None, has[0]) and source in (None, has[1]):
                expected.append(name)
        for limit in (1, 2, 1000):
            found = walk(store, status=status, source=source, limit=limit)
            assert [item.session_id for item in found] == expected[::-1]
        page = store.list_page(status=status, source=source, limit=3)
        assert len(page.items) == 3

    @guarantee("G9")
    @pytest.mark.parametrize("tied", [True, False], ids=["tied", "apart"])
    @pytest.mark.parametrize("limit", [1, 2, 3, 4, 6, 11, 12, 13])
    def test_pages_of_any_size_give_each_session_once_and_in_order(
        self, harness: StoreHarness, limit: int, tied: bool
    ) -> None:
        store = harness.store()
        for number in range(12):
            at = samples.START + timedelta(microseconds=0 if tied else number)
            store.create(samples.session(session_id=f"{number:02}", updated_at=at))
        expected = [f"{number:02}" for number in range(12)][::-1]
        cursor = None
        for start in range(0, 12, limit):
            page = store.list_page(limit=limit, cursor=cursor)
            assert [item.session_id for item in page.items] == expected[start : start + limit]
            assert (page.next_cursor is None) == (start + limit >= 12)
            cursor = page.next_cursor

    @guarantee("G9")
    @pytest.mark.parametrize("change", ["delete", "touch", "add", "finalize"])
    def test_pages_skip_and_repeat_nothing_that_nobody_touched(
        self, harness: StoreHarness, change: str
    ) -> None:
        store = harness.store()
        sessions = _numbered(store, 12)
        page = store.list_page(limit=4)
        seen = [item.session_id for item in page.items]
        touched = {
            "delete": ["11", "08", "07"],
            "touch": ["10", "08", "05"],
            "finalize": ["09", "08", "07"],
            "add": [],
        }[change]
        _CHANGES[change](store, [sessions[name] for name in touched])
        while page.next_cursor is not None:
            page = store.list_page(limit=4, cursor=page.next_cursor)
            seen += [item.session_id for item in page.items]
        untouched = [name for name in sorted(sessions, reverse=True) if name not in touched]
        assert [name for name in seen if name in untouched] == untouched

    @guarantee("G9")
    def test_a_cursor_is_a_place_and_not_a_number_of_sessions(self, harness: StoreHarness) -> None:
        store = harness.store()
        _numbered(store, 6)
        cursor = store.list_page(limit=2).next_cursor
        for _ in range(2):
            page = store.list_page(limit=1, cursor=cursor)
            assert [item.session_id for item in page.items] == ["03"]
        for item in store.list_all():
            store.delete(item.session_id)
        page = store.list_page(cursor=cursor)
        assert (page.items, page.next_cursor) == ([], None)

    @guarantee("G9")
    def test_a_page_has_50_sessions_if_not_asked_otherwise(self, harness: StoreHarness) -> None:
        store = harness.store()
        _numbered(store, 51)
        assert len(store.list_page().items) == 50

    @guarantee("G9")
    @guarantee("G13")
    @pytest.mark.parametrize(
        ("argument", "value"),
        [
            ("limit", 0),
            ("limit", -1),
            ("limit", 1001),
            ("limit", True),
            ("limit", 1.0),
            ("limit", "5"),
            ("limit", None),
            ("status", "open"),
            ("status", ""),
            ("status", ["active"]),
            ("source", "voice"),
            ("source", 1),
        ],
    )
    def test_what_is_no_argument_of_a_page_is_refused_by_name(
        self, harness: StoreHarness, argument: str, value: Any
    ) -> None:
        store = harness.store()
        with pytest.raises(InvalidSessionError, match=argument):
            store.list_page(**{argument: value})

    @guarantee("G9")
    @guarantee("G13")
    @pytest.mark.parametrize(
        "cursor",
        [
            "",
            " ",
            "x",
            "null",
            "W10",
            "e30",
            "\u00e9",
            "\0",
            "\ud800",
            "a" * 10_000,
            7,
            b"x",
            "WzEsMl0",
        ],
        ids=repr,
    )
    def test_what_is_no_cursor_is_refused_by_name(self, harness: StoreHarness, cursor: Any) -> None:
        store = harness.store()
        store.create(samples.session())
        with pytest.raises(InvalidSessionError, match="cursor"):
            store.list_page(cursor=cursor)

    @guarantee("G9")
    @guarantee("G13")
    def test_a_cursor_that_was_tampered_with_gives_sessions_of_the_list_or_is_refused(
        self, harness: StoreHarness
    ) -> None:
        store = harness.store()
        _numbered(store, 4)
        cursor = store.list_page(limit=2).next_cursor or ""
        everything = [exact(item) for item in walk(store)]
        for index in range(len(cursor)):
            for put in ("", "A", "-", "\u00e9"):
                tampered = cursor[:index] + put + cursor[index + 1 :]
                try:
                    found = store.list_page(cursor=tampered).items
                except InvalidSessionError:
                    continue
                assert [exact(item) for item in found] == everything[len(everything) - len(found) :]


class Complete:
    """G10: nothing is cut, at any length."""

    @guarantee("G10")
    @pytest.mark.parametrize("count", [999, 1000, 1001, 10_000])
    def test_a_long_history_comes_back_whole(self, harness: StoreHarness, count: int) -> None:
        store, session = harness.store(), PromptSession()
        session.revisions.extend(samples.revision(f"{n}") for n in range(count))
        session.ir_drafts.extend(samples.draft(n + 1, ir={}) for n in range(count))
        session.pending_resolutions.extend(samples.resolution(f"{n}") for n in range(count))
        store.create(session)
        assert holds(store, session)
        (listed,) = store.list_all()
        assert exact(listed) == exact(session)

    @guarantee("G10")
    @pytest.mark.parametrize("count", [1001, 10_000])
    def test_many_items_added_at_once_come_back_whole(
        self, harness: StoreHarness, count: int
    ) -> None:
        store, session = harness.store(), samples.session()
        store.create(session)
        behind = stored(store, session.session_id)
        session.revisions.extend(samples.revision(f"{n}") for n in range(count))
        session.ir_drafts.extend(samples.draft(n + 1, ir={}) for n in range(1001))
        session.pending_resolutions.extend(samples.resolution(f"{n}") for n in range(1001))
        store.update(session)
        assert holds(store, session)
        assert exact(store.refresh(behind)) == exact(session)

    @guarantee("G10")
    def test_a_history_that_grows_past_a_thousand_in_steps_comes_back_whole(
        self, harness: StoreHarness
    ) -> None:
        store, session = harness.store(), PromptSession()
        store.create(session)
        for size in (998, 1, 1, 1, 1):
            session.revisions.extend(samples.revision(f"{n}") for n in range(size))
            store.update(session)
            assert holds(store, session)

    @guarantee("G10")
    def test_a_thousand_and_one_resolutions_become_applied(self, harness: StoreHarness) -> None:
        store, session = harness.store(), PromptSession()
        session.pending_resolutions.extend(samples.resolution(f"{n}") for n in range(1001))
        store.create(session)
        behind = stored(store, session.session_id)
        for index in range(1001):
            session.mark_applied_at(index)
        store.update(session)
        assert holds(store, session)
        assert exact(store.refresh(behind)) == exact(session)

    @guarantee("G10")
    @guarantee("G9")
    def test_a_thousand_and_one_sessions_are_listed_whole(self, harness: StoreHarness) -> None:
        store = harness.store()
        sessions = [
            samples.session(session_id=f"{n:04}", updated_at=samples.START + timedelta(seconds=n))
            for n in range(1001)
        ]
        for start in (0, 500):
            store.create_many(sessions[start : start + 501 if start else 500])
        expected = [exact(session) for session in reversed(sessions)]
        assert [exact(session) for session in store.list_all()] == expected
        assert [exact(session) for session in store.list_active()] == expected
        ids = [session.session_id for session in reversed(sessions)]
        assert [item.session_id for item in store.list_page(limit=1000).items] == ids[:1000]
        for limit in (1000, 7):
            assert [item.session_id for item in walk(store, limit=limit)] == ids


def _assert_listed(store: SessionStore, ids: list[str]) -> None:
    """Every list has these sessions in this order."""
    for found in (
        store.list_all(),
        store.list_active(),
        list(walk(store)),
        list(walk(store, limit=2)),
    ):
        assert [session.session_id for session in found] == ids


def _numbered(store: SessionStore, count: int) -> dict[str, PromptSession]:
    """Store sessions "00", "01", ..., all updated at the same instant, and return them by id."""
    sessions = {f"{n:02}": samples.session(session_id=f"{n:02}") for n in range(count)}
    store.create_many(sessions.values())
    return sessions


def _delete(store: SessionStore, sessions: list[PromptSession]) -> None:
    for session in sessions:
        store.delete(session.session_id)


def _touch(store: SessionStore, sessions: list[PromptSession]) -> None:
    for session in sessions:
        store.update(samples.grow(session))


def _add(store: SessionStore, sessions: list[PromptSession]) -> None:
    del sessions
    for name in ("zz", "075", "-"):
        store.create(samples.session(session_id=name))


def _finalize(store: SessionStore, sessions: list[PromptSession]) -> None:
    for session in sessions:
        session.finalize()
        session.updated_at = samples.START
        store.update(session)


_CHANGES: dict[str, Callable[[SessionStore, list[PromptSession]], None]] = {
    "delete": _delete,
    "touch": _touch,
    "add": _add,
    "finalize": _finalize,
}
