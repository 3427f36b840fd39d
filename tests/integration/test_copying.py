"""Copying between stores: interrupted anywhere, repeated, beside others, at any size."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from lift_sys.ir import lift
from lift_sys.spec_sessions import (
    HoleResolution,
    InMemorySessionStore,
    IRDraft,
    PromptRevision,
    PromptSession,
    SessionStore,
    SQLiteSessionStore,
    copying,
)
from lift_sys.spec_sessions.copying import CopyReport, copy_sessions

START = "2026-01-01T00:00:00Z"


def revision(text: str) -> PromptRevision:
    return PromptRevision(timestamp=START, content=text, revision_type="manual_edit")


def session(number: int) -> PromptSession:
    made = PromptSession.create_new(original_input=f"input {number}", metadata={"n": number})
    [ir] = lift("def f(a): return a")
    made.add_draft(IRDraft(version=1, ir=ir))
    for hole in ("a.type", "a.type"):
        made.add_resolution(
            HoleResolution(hole_id=hole, resolution_text="int", resolution_type="refine_signature")
        )
    return made


def content(store: SessionStore) -> list[dict[str, Any]]:
    """Everything in the store but the versions, which count the writes of each store."""
    return [{**s.to_dict(), "version": 0} for s in store.list_all()]


@pytest.fixture
def source() -> Iterator[SessionStore]:
    with InMemorySessionStore() as store:
        store.create_many([session(number) for number in range(7)])
        yield store


@pytest.fixture(params=["memory", "sqlite"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SessionStore]:
    opened: SessionStore = (
        InMemorySessionStore()
        if request.param == "memory"
        else SQLiteSessionStore(tmp_path / "target.db")
    )
    with opened as store:
        yield store


def outcome(report: CopyReport) -> tuple[int, int, int, int]:
    return len(report.copied), len(report.extended), report.unchanged, len(report.differing)


def test_everything_is_copied_and_found_there_the_next_time(
    source: SessionStore, target: SessionStore
) -> None:
    assert outcome(copy_sessions(source, target)) == (7, 0, 0, 0)
    assert content(target) == content(source)
    assert outcome(copy_sessions(source, target)) == (0, 0, 7, 0)


def test_what_grew_in_the_source_is_appended(source: SessionStore, target: SessionStore) -> None:
    copy_sessions(source, target)
    grown, answered, finished, *_ = source.list_all()
    grown.add_revision(revision("more"))
    answered.mark_resolution_applied("a.type")
    finished.finalize()
    for changed in (grown, answered, finished):
        source.update(changed)
    assert outcome(copy_sessions(source, target)) == (0, 3, 4, 0)
    assert content(target) == content(source)


def test_another_history_under_the_same_id_is_left_alone_and_reported(
    source: SessionStore, target: SessionStore
) -> None:
    copy_sessions(source, target)
    longer, other, applied, reborn, *_ = target.list_all()
    longer.add_revision(revision("only here"))
    target.update(longer)
    other.add_revision(revision("here"))
    target.update(other)
    changed = source.get(other.session_id)
    assert changed is not None
    changed.add_revision(revision("there"))
    source.update(changed)
    applied.mark_resolution_applied("a.type")
    target.update(applied)
    target.delete(reborn.session_id)
    reborn.created_at = "2020-01-01T00:00:00Z"  # type: ignore[assignment]  # text is parsed
    reborn.updated_at = "2020-01-01T00:00:00Z"  # type: ignore[assignment]  # text is parsed
    target.create(reborn)
    before = content(target)
    report = copy_sessions(source, target)
    assert set(report.differing) == {s.session_id for s in (longer, other, applied, reborn)}
    assert content(target) == before


class InterruptionError(Exception):
    """What stops a copy."""


class Breaking:
    """A store whose n-th call fails, before or after it was carried out."""

    def __init__(self, store: SessionStore, call: int, *, after: bool) -> None:
        self._store, self._left, self._after = store, call, after

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._store, name)

        def call(*args: Any, **options: Any) -> Any:
            self._left -= 1
            if self._left < 0 and not self._after:
                raise InterruptionError
            answer = method(*args, **options)
            if self._left < 0:
                raise InterruptionError
            return answer

        return call


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("broken", ["source", "target"])
def test_interrupted_at_any_point_it_can_be_repeated(
    source: SessionStore, broken: str, after: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "BATCH", 2)
    interruptions = 0
    for call in range(100):
        with InMemorySessionStore() as target:
            stores: dict[str, Any] = {"source": source, "target": target}
            stores[broken] = Breaking(stores[broken], call, after=after)
            try:
                copy_sessions(**stores)
            except InterruptionError:
                interruptions += 1
            else:
                break
            report = copy_sessions(source, target)
            assert len(report.copied) + report.unchanged == 7
            assert content(target) == content(source)
    assert interruptions >= 4


def test_a_session_larger_than_one_write_is_copied_in_several(
    target: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "_WRITE_BYTES", 4_000)
    monkeypatch.setattr("lift_sys.spec_sessions.encoding.MAX_WRITE_BYTES", 8_000)
    with InMemorySessionStore() as source:
        large = session(0)
        source.create(large)
        for number in range(20):
            large.add_revision(revision(f"{number} " * 500))
            source.update(large)
        source.create(session(1))
        assert outcome(copy_sessions(source, target)) == (2, 0, 0, 0)
        assert content(target) == content(source)
        for number in range(20):
            large.add_revision(revision(f"{number} " * 500))
            source.update(large)
        large.mark_resolution_applied("a.type")
        source.update(large)
        assert outcome(copy_sessions(source, target)) == (0, 1, 1, 0)
        assert content(target) == content(source)
        assert outcome(copy_sessions(source, target)) == (0, 0, 2, 0)


def test_copies_at_the_same_time_make_no_duplicates(
    source: SessionStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "BATCH", 3)
    stores = [SQLiteSessionStore(tmp_path / "t.db") for _ in range(6)]
    with ThreadPoolExecutor(6) as threads:
        reports = list(threads.map(lambda store: copy_sessions(source, store), stores))
    assert sum(len(report.copied) for report in reports) == 7
    assert not any(report.differing or report.extended for report in reports)
    assert content(stores[0]) == content(source)
    for store in stores:
        store.close()


def test_a_session_deleted_meanwhile_is_passed_over(source: SessionStore) -> None:
    class Deleting(InMemorySessionStore):
        """Loses a session between the list and the load."""

        def get(self, session_id: str) -> PromptSession | None:
            return None

    with Deleting() as store, InMemorySessionStore() as target:
        store.create(session(1))
        assert outcome(copy_sessions(store, target)) == (0, 0, 0, 0)
        assert target.list_all() == []


def test_progress_counts_every_session_once(source: SessionStore, target: SessionStore) -> None:
    done: list[int] = []
    copy_sessions(source, target, advance=done.append)
    copy_sessions(source, target, advance=done.append)
    assert sum(done) == 14


def test_only_the_user_of_the_stores_is_copied(source: SessionStore) -> None:
    source.for_user("other").create(session(9))
    with InMemorySessionStore() as target:
        copy_sessions(source.for_user("other"), target.for_user("other"))
        assert target.list_all() == []
        assert len(target.for_user("other").list_all()) == 1
