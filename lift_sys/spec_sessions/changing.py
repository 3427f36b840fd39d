"""Changing a stored session although others change it too: get, edit, update, and again."""

from collections.abc import Callable
from typing import Any, Final, TypeVar

from tenacity import (
    AsyncRetrying,
    Retrying,
    retry_if_exception_type,
    stop_after_attempt,
    wait_random_exponential,
)

from lift_sys.backends.call import WriteKey
from lift_sys.backends.errors import SessionConflictError, SessionNotFoundError
from lift_sys.spec_sessions import rules
from lift_sys.spec_sessions.models import PromptSession
from lift_sys.spec_sessions.refine import Refinement, refine
from lift_sys.spec_sessions.store import AsyncSessionStore, SessionStore

T = TypeVar("T")

ATTEMPTS: Final = 20
"""How often an edit is made because another writer came first."""
_POLICY: Final[dict[str, Any]] = {
    "retry": retry_if_exception_type(SessionConflictError),
    "stop": stop_after_attempt(ATTEMPTS),
    # Of those who lost together only one wins the next time, unless they come one by one.
    "wait": wait_random_exponential(multiplier=0.002, max=0.25),
    "reraise": True,
}


def change(
    store: SessionStore,
    session_id: str,
    edit: Callable[[PromptSession], T],
    *,
    when: Callable[[T], bool] = lambda _: True,
    idempotency_key: str | WriteKey | None = None,
) -> tuple[PromptSession, T]:
    """Get a session, edit it and store it; where another writer came first, on what it stored.

    Args:
        store: where it is.
        session_id: which session.
        edit: changes the session it is given; is called again after a conflict. What it raises
            ends the change, with nothing stored.
        when: says of what `edit` returned whether there is anything to store.
        idempotency_key: see ``SessionStore.update``.

    Returns:
        The session as it is stored, and what `edit` returned.

    Raises:
        SessionNotFoundError: there is no such session.
        SessionConflictError: others came first, twenty times in a row.
    """
    session: PromptSession | None = None

    def once() -> tuple[PromptSession, T]:
        nonlocal session
        session = store.get(session_id) if session is None else store.refresh(session)
        if session is None:
            raise rules.not_found(session_id)
        result = edit(session)
        if when(result):
            store.update(session, idempotency_key=idempotency_key)
        return session, result

    return Retrying(**_POLICY)(once)


async def change_async(
    store: AsyncSessionStore,
    session_id: str,
    edit: Callable[[PromptSession], T],
    *,
    when: Callable[[T], bool] = lambda _: True,
    idempotency_key: str | WriteKey | None = None,
) -> tuple[PromptSession, T]:
    """Change a session as ``change`` does, on an async store."""
    session: PromptSession | None = None

    async def once() -> tuple[PromptSession, T]:
        nonlocal session
        session = await (store.get(session_id) if session is None else store.refresh(session))
        if session is None:
            raise rules.not_found(session_id)
        result = edit(session)
        if when(result):
            await store.update(session, idempotency_key=idempotency_key)
        return session, result

    return await AsyncRetrying(**_POLICY)(once)


async def written_before(store: AsyncSessionStore, session_id: str, key: WriteKey) -> int | None:
    """Return as which version a change with that key was stored; None where none was.

    A change that cannot be made any more may be one that was made: others have moved the session
    on since, or deleted it.

    Args:
        store: where the session is, or was.
        session_id: which session.
        key: with a fingerprint of the caller's own, or the change would not be recognised.

    Raises:
        IdempotencyKeyReusedError: the key belongs to another write.
    """
    probe = PromptSession(session_id=session_id)
    try:
        # No stored session is at version 0: this is refused, unless the store knows the key.
        await store.update(probe, idempotency_key=key)
    except (SessionConflictError, SessionNotFoundError):
        return None
    return probe.version


def process(
    store: SessionStore, session_id: str, *, idempotency_key: str | WriteKey | None = None
) -> tuple[PromptSession, Refinement]:
    """Apply the pending resolutions of a stored session; nothing is stored where none applies.

    May run twice, or in two places at once: each resolution is applied once.

    Raises:
        SessionNotFoundError: there is no such session.
    """
    return change(store, session_id, refine, when=_has_draft, idempotency_key=idempotency_key)


async def process_async(
    store: AsyncSessionStore, session_id: str, *, idempotency_key: str | WriteKey | None = None
) -> tuple[PromptSession, Refinement]:
    """Apply the pending resolutions of a stored session as ``process`` does, on an async store."""
    return await change_async(
        store, session_id, refine, when=_has_draft, idempotency_key=idempotency_key
    )


def _has_draft(done: Refinement) -> bool:
    return done.draft is not None
