"""What the contract suite is told of a store: how to open it, and what it promises beyond the core.

The suite never asks which store it runs on. It asks the harness for stores on shared data, and
for what only some backends can show, such as a server to cut off.
"""

import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager
from enum import StrEnum
from types import TracebackType
from typing import Self, TypeAlias, cast

import pytest

from lift_sys.spec_sessions import AsyncSessionStore, SessionStore
from lift_sys.testing.blocking import BlockingStore

Opener: TypeAlias = Callable[[str], SessionStore | AsyncSessionStore]
"""Opens a store of its own for the user with that id, as another process would."""


class Capability(StrEnum):
    """What a store may promise beyond the guarantees that every store gives."""

    DURABLE = "keeps what is acknowledged when it is closed and opened again"
    SHARED_BETWEEN_PROCESSES = "serves several processes on the same data"
    ROW_SECURITY = "lets the database itself keep users apart, by their tokens"
    NETWORKED = "talks to a server, which can be away"


class StoreHarness:
    """Opens the stores that a contract test needs, and closes them.

    Args:
        opener: opens a store for a user id. Called once for a store that is not ``DURABLE``. To
            be ``SHARED_BETWEEN_PROCESSES`` it must be picklable: a class or a ``partial`` of one.
        capabilities: what the store promises beyond the core.
        token: makes a user's access token, where the store wants one.

    Attributes:
        patience: for how many seconds a test waits for what should happen at once; spent only
            when it does not happen.
    """

    patience: float = 30.0

    def __init__(
        self,
        opener: Opener,
        *capabilities: Capability,
        token: Callable[[str], str] | None = None,
    ) -> None:
        self.opener = opener
        self.capabilities = frozenset(capabilities)
        self._token = token
        self._first: SessionStore | None = None
        self._opened: list[SessionStore] = []

    def user(self) -> str:
        """Return the id of a user that has nothing yet: data are never removed, only left alone."""
        return f"user-{uuid.uuid4()}"

    def store(self, user_id: str | None = None) -> SessionStore:
        """Return a store for that user, or for a new one, on the data that all of them share."""
        user_id = user_id or self.user()
        if self._first is None:
            self._first = self._open(user_id)
        return self.view(self._first, user_id)

    def view(self, store: SessionStore, user_id: str | None = None) -> SessionStore:
        """Return a view of `store` for that user, or for a new one, with the user's token."""
        user_id = user_id or self.user()
        return store.for_user(user_id, access_token=self._token and self._token(user_id))

    def reopen(self, user_id: str) -> SessionStore:
        """Return a second store over the same data, as another process would open it.

        Skips the test where the store is not ``DURABLE``.
        """
        self.require(Capability.DURABLE)
        return self._open(user_id)

    def require(self, capability: Capability) -> None:
        """Skip the test, as not applicable, where the store lacks `capability`."""
        if capability not in self.capabilities:
            pytest.skip(f"not {capability.name}: it does not say that it {capability.value}")

    def close(self) -> None:
        """Close every store that was opened."""
        self._first = None
        while self._opened:
            self._opened.pop().close()

    def hasty(self) -> SessionStore:
        """Return a store for a new user that gives up on its server after some seconds.

        A networked harness overrides this; the default skips the test.
        """
        pytest.skip("the harness cannot cut a server off")

    def outage(self) -> AbstractContextManager[None]:
        """Keep the server away from its clients inside the ``with`` block.

        A networked harness overrides this; the default skips the test.
        """
        pytest.skip("the harness cannot cut a server off")

    def lost_answers(self) -> AbstractContextManager[None]:
        """Let the server carry out the next request inside the block, and drop its answer.

        A networked harness overrides this; the default skips the test.
        """
        pytest.skip("the harness cannot drop answers")

    def requests(self) -> int:
        """Return how many requests were sent so far, all stores together.

        A networked harness overrides this; the default skips the test.
        """
        pytest.skip("the harness counts no requests")

    def unmigrated(self, user_id: str) -> SessionStore:
        """Return a store for that user on a database that lacks the migrations.

        A harness over a database with migrations overrides this; the default skips the test.
        """
        del user_id
        pytest.skip("the harness offers no database without migrations")

    def impostor(self, user_id: str, token_of: str) -> SessionStore:
        """Return a store that claims to act for `user_id` and carries the token of `token_of`.

        A harness with ``ROW_SECURITY`` overrides this; the default skips the test.
        """
        del user_id, token_of
        self.require(Capability.ROW_SECURITY)
        raise NotImplementedError("impostor: a harness with ROW_SECURITY offers it")

    def _open(self, user_id: str) -> SessionStore:
        return self._closing(self.opener(user_id))

    def _closing(self, opened: SessionStore | AsyncSessionStore) -> SessionStore:
        """Return `opened`, to be closed with the harness; an async one is adapted."""
        store = blocking(opened)
        self._opened.append(store)
        return store

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def blocking(store: SessionStore | AsyncSessionStore) -> SessionStore:
    """Return `store` itself, or an adapter that runs an async one on the background loop."""
    if hasattr(store, "__aenter__"):
        return BlockingStore(cast("AsyncSessionStore", store))
    return store
