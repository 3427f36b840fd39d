"""Harnesses for the stores that talk to a server: they bring a local stack, and can break it.

Needs the extra ``local``. The stack is started once a process, at the first use; where it cannot
be started, the tests are skipped.
"""

import atexit
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any, Final

import pytest

from lift_sys.spec_sessions import SessionStore
from lift_sys.testing.harness import Capability, Opener, StoreHarness

BUDGET: Final = 60.0
"""For how many seconds a store goes on trying: enough for the largest write on a busy machine."""
HASTY: Final = 2.0
"""The same for a store whose server is to be taken away."""

_KEPT = (Capability.DURABLE, Capability.SHARED_BETWEEN_PROCESSES, Capability.NETWORKED)


@cache
def local_stack(*, migrated: bool = True) -> Any:
    """Return the local stack of this process, with or without this release's migrations.

    Skips the test where it cannot be started.
    """
    try:
        from lift_sys.local import LocalStackError, LocalSupabase
    except ImportError as error:
        pytest.skip(f"the extra `local` is not installed: {error}")
    nothing = Path(tempfile.mkdtemp(prefix="lift-sys-"))
    stack = LocalSupabase() if migrated else LocalSupabase(migrations=nothing)
    try:
        stack.start()
    except LocalStackError as error:
        pytest.skip(f"the local stack does not start: {error}")
    finally:
        nothing.rmdir()
    atexit.register(stack.stop)
    return stack


@cache
def _wire() -> Any:
    from lift_sys.local import WireProxy

    proxy = WireProxy(local_stack().authenticator_url)
    proxy.start()
    atexit.register(proxy.stop)
    return proxy


class _ServedHarness(StoreHarness):
    """A harness with a proxy between the store and its server."""

    def __init__(
        self, proxy: Any, opener: Callable[..., Any], bare: Opener, **options: Any
    ) -> None:
        super().__init__(opener, *options.pop("capabilities", _KEPT), **options)
        self._proxy = proxy
        self._bare = bare

    def hasty(self) -> SessionStore:
        """See ``StoreHarness.hasty``."""
        opener: Callable[..., Any] = self.opener
        return self._closing(opener(self.user(), budget=HASTY))

    @contextmanager
    def outage(self) -> Iterator[None]:
        """See ``StoreHarness.outage``."""
        self._proxy.stop()
        try:
            yield
        finally:
            self._proxy.start()

    def lost_answers(self) -> AbstractContextManager[Any]:
        """See ``StoreHarness.lost_answers``."""
        from lift_sys.local import drop_answer

        fault: AbstractContextManager[Any] = self._proxy.fault(drop_answer())
        return fault

    def unmigrated(self, user_id: str) -> SessionStore:
        """See ``StoreHarness.unmigrated``."""
        return self._closing(self._bare(user_id))


class PostgresHarness(_ServedHarness):
    """Opens stores on the local Postgres, under row-level security.

    Args:
        store: the class to open.
    """

    def __init__(self, store: Callable[..., Any]) -> None:
        proxy = _wire()
        super().__init__(
            proxy,
            partial(store, proxy.database_url, budget=BUDGET),
            lambda user: store(local_stack(migrated=False).authenticator_url, user, budget=BUDGET),
        )

    def requests(self) -> int:
        """See ``StoreHarness.requests``."""
        count: int = self._proxy.round_trips
        return count


class SupabaseHarness(_ServedHarness):
    """Opens stores on the local Supabase stack.

    Args:
        store: the class to open.
        tokens: whether each user brings a token, and the key is the public one.
    """

    def __init__(self, store: Callable[..., Any], *, tokens: bool) -> None:
        stack = local_stack()
        self._store = store
        key = stack.publishable_key if tokens else stack.secret_key
        opener: Opener = partial(store, stack.url, key, budget=BUDGET)
        if tokens:
            opener = partial(_open_with_token, store, stack.url, key, stack.jwt_secret)
        super().__init__(
            stack.gateway,
            opener,
            lambda user: _open_bare(store, user),
            capabilities=(*_KEPT, *((Capability.ROW_SECURITY,) if tokens else ())),
            token=stack.jwt if tokens else None,
        )

    def requests(self) -> int:
        """See ``StoreHarness.requests``."""
        return len(self._proxy.requests)

    def impostor(self, user_id: str, token_of: str) -> SessionStore:
        """See ``StoreHarness.impostor``."""
        self.require(Capability.ROW_SECURITY)
        stack = local_stack()
        key, token = stack.publishable_key, stack.jwt(token_of)
        return self._closing(self._store(stack.url, key, user_id, token, budget=BUDGET))


def _open_with_token(
    store: Callable[..., Any],
    url: str,
    key: str,
    secret: str,
    user_id: str,
    budget: float = BUDGET,
) -> Any:
    import jwt

    claims = {"sub": user_id, "role": "authenticated", "aud": "authenticated", "exp": 2**31}
    return store(url, key, user_id, jwt.encode(claims, secret), budget=budget)


def _open_bare(store: Callable[..., Any], user_id: str) -> Any:
    stack = local_stack(migrated=False)
    return store(stack.url, stack.secret_key, user_id, budget=BUDGET)
