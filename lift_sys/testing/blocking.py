"""An async store, used from ordinary threads: every call runs on one loop in the background."""

import asyncio
import atexit
import threading
from collections.abc import Coroutine, Iterable
from concurrent.futures import Future
from functools import cache
from types import TracebackType
from typing import Any, Self, TypeVar

from lift_sys.backends.call import WriteKey
from lift_sys.spec_sessions import AsyncSessionStore, PromptSession, SessionPage
from lift_sys.spec_sessions.models import Source, Status

T = TypeVar("T")


@cache
def background_loop() -> asyncio.AbstractEventLoop:
    """Return the one loop of this process that async stores run on, started at the first use."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="lift-sys-testing", daemon=True)
    thread.start()

    def stop() -> None:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()

    atexit.register(stop)
    return loop


def submit(work: Coroutine[Any, Any, T]) -> Future[T]:
    """Start `work` as a task of the background loop; cancelling the future cancels the task."""
    return asyncio.run_coroutine_threadsafe(work, background_loop())


class BlockingStore:
    """Implements ``SessionStore`` by an async store.

    Args:
        store: what is adapted; it must only be used on the background loop.

    Attributes:
        asynchronous: the same.
    """

    def __init__(self, store: AsyncSessionStore) -> None:
        self.asynchronous = store

    @property
    def user_id(self) -> str:
        """See ``SessionStore.user_id``."""
        return self.asynchronous.user_id

    def create(
        self, session: PromptSession, *, idempotency_key: str | WriteKey | None = None
    ) -> str:
        """See ``SessionStore.create``."""
        return submit(self.asynchronous.create(session, idempotency_key=idempotency_key)).result()

    def create_many(
        self, sessions: Iterable[PromptSession], *, idempotency_key: str | WriteKey | None = None
    ) -> list[str]:
        """See ``SessionStore.create_many``."""
        work = self.asynchronous.create_many(sessions, idempotency_key=idempotency_key)
        return submit(work).result()

    def get(self, session_id: str) -> PromptSession | None:
        """See ``SessionStore.get``."""
        return submit(self.asynchronous.get(session_id)).result()

    def update(
        self, session: PromptSession, *, idempotency_key: str | WriteKey | None = None
    ) -> None:
        """See ``SessionStore.update``."""
        submit(self.asynchronous.update(session, idempotency_key=idempotency_key)).result()

    def refresh(self, session: PromptSession) -> PromptSession:
        """See ``SessionStore.refresh``."""
        return submit(self.asynchronous.refresh(session)).result()

    def delete(self, session_id: str) -> None:
        """See ``SessionStore.delete``."""
        submit(self.asynchronous.delete(session_id)).result()

    def list_active(self) -> list[PromptSession]:
        """See ``SessionStore.list_active``."""
        return submit(self.asynchronous.list_active()).result()

    def list_all(self) -> list[PromptSession]:
        """See ``SessionStore.list_all``."""
        return submit(self.asynchronous.list_all()).result()

    def list_page(
        self,
        *,
        status: Status | None = None,
        source: Source | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> SessionPage:
        """See ``SessionStore.list_page``."""
        work = self.asynchronous.list_page(status=status, source=source, limit=limit, cursor=cursor)
        return submit(work).result()

    def for_user(self, user_id: str, *, access_token: str | None = None) -> Self:
        """See ``SessionStore.for_user``."""
        return type(self)(self.asynchronous.for_user(user_id, access_token=access_token))

    def close(self) -> None:
        """See ``SessionStore.close``."""
        submit(self.asynchronous.close()).result()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        submit(self.asynchronous.__aexit__(kind, error, traceback)).result()
