"""Many who change one session at once: each comes to it, none is lost (G7)."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lift_sys.spec_sessions import (
    AsyncInMemorySessionStore,
    InMemorySessionStore,
    PromptRevision,
    PromptSession,
    SessionConflictError,
    SQLiteSessionStore,
    change,
    change_async,
)
from lift_sys.spec_sessions.changing import ATTEMPTS

WRITERS = 50
CHANGES_EACH = 3


def said(content: str) -> Callable[[PromptSession], None]:
    def edit(session: PromptSession) -> None:
        first = session.revisions[0]
        session.add_revision(
            PromptRevision(timestamp=first.timestamp, content=content, revision_type="manual_edit")
        )

    return edit


def expected() -> list[str]:
    return sorted(f"{writer}.{turn}" for writer in range(WRITERS) for turn in range(CHANGES_EACH))


def heard(session: PromptSession | None) -> list[str]:
    assert session is not None
    return sorted(revision.content for revision in session.revisions[1:])


def test_fifty_threads(tmp_path: Path) -> None:
    with SQLiteSessionStore(tmp_path / "sessions.db") as store:
        session = PromptSession.create_new(original_input="all of us")
        store.create(session)

        def write(writer: int) -> None:
            for turn in range(CHANGES_EACH):
                change(store, session.session_id, said(f"{writer}.{turn}"))

        with ThreadPoolExecutor(WRITERS) as threads:
            list(threads.map(write, range(WRITERS)))
        assert heard(store.get(session.session_id)) == expected()


def test_fifty_tasks() -> None:
    async def main() -> None:
        async with AsyncInMemorySessionStore() as store:
            session = PromptSession.create_new(original_input="all of us")
            await store.create(session)

            async def write(writer: int) -> None:
                for turn in range(CHANGES_EACH):
                    await change_async(store, session.session_id, said(f"{writer}.{turn}"))

            await asyncio.gather(*map(write, range(WRITERS)))
            assert heard(await store.get(session.session_id)) == expected()

    asyncio.run(main())


def test_one_who_always_comes_too_late_is_told_so() -> None:
    store = InMemorySessionStore()
    session = PromptSession.create_new(original_input="mine")
    store.create(session)
    made = []

    def edit(mine: PromptSession) -> None:
        made.append(mine.version)
        theirs = store.get(mine.session_id)
        assert theirs is not None
        said("theirs")(theirs)
        store.update(theirs)
        said("mine")(mine)

    with pytest.raises(SessionConflictError):
        change(store, session.session_id, edit)
    assert made == list(range(1, ATTEMPTS + 1))
