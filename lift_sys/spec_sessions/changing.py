"""Changing a stored session although others change it too: get, edit, update, and again."""

from collections.abc import Callable
from typing import Final, TypeVar

from lift_sys.backends.call import WriteKey
from lift_sys.backends.errors import SessionConflictError
from lift_sys.spec_sessions import rules
from lift_sys.spec_sessions.models import PromptSession
from lift_sys.spec_sessions.store import AsyncSessionStore, SessionStore

T = TypeVar("T")

ATTEMPTS: Final = 20
"""How often an edit is made again because another writer came first."""


def change(
    store: SessionStore,
    session_id: str,
    edit: Callable[[PromptSession], T],
    *,
    idempotency_key: str | WriteKey | None = None,
) -> tuple[PromptSession, T]:
    """Get a session, edit it and store it; where another writer came first, on what it stored.

    Args:
        store: where it is.
        session_id: which session.
        edit: changes the session it is given; is called again after a conflict. What it raises
            ends the change, with nothing stored.
        idempotency_key: see ``SessionStore.update``.

    Returns:
        The session as it is stored, and what `edit` returned.

    Raises:
        SessionNotFoundError: there is no such session.
        SessionConflictError: others came first, twenty times in a row.
    """
    session = store.get(session_id)
    if session is None:
        raise rules.not_found(session_id)
    attempt = 0
    while True:
        attempt += 1
        result = edit(session)
        try:
            store.update(session, idempotency_key=idempotency_key)
        except SessionConflictError:
            if attempt == ATTEMPTS:
                raise
            session = store.refresh(session)
        else:
            return session, result


async def change_async(
    store: AsyncSessionStore,
    session_id: str,
    edit: Callable[[PromptSession], T],
    *,
    idempotency_key: str | WriteKey | None = None,
) -> tuple[PromptSession, T]:
    """Change a session as ``change`` does, on an async store."""
    session = await store.get(session_id)
    if session is None:
        raise rules.not_found(session_id)
    attempt = 0
    while True:
        attempt += 1
        result = edit(session)
        try:
            await store.update(session, idempotency_key=idempotency_key)
        except SessionConflictError:
            if attempt == ATTEMPTS:
                raise
            session = await store.refresh(session)
        else:
            return session, result
