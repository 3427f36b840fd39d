"""One local stack for all, and the settings of a server on each store."""

from collections.abc import Iterator

import pytest

from lift_sys.local import LocalSupabase

STORES = ("sqlite", "postgres", "supabase")


@pytest.fixture(scope="session")
def stack() -> Iterator[LocalSupabase]:
    with LocalSupabase() as stack:
        yield stack


@pytest.fixture(params=STORES)
def settings(request: pytest.FixtureRequest, stack: LocalSupabase) -> dict[str, str]:
    """A server where users sign in with the stack's tokens, on one of the stores.

    On Supabase it has the publishable key only: what keeps users apart is their own token.
    """
    store = {
        "sqlite": {"LIFT_SYS_STORE": "sqlite:///sessions.db"},
        "postgres": {"LIFT_SYS_STORE": stack.authenticator_url},
        "supabase": {"LIFT_SYS_STORE": "supabase://", "SUPABASE_KEY": stack.anon_key},
    }
    return {
        **store[request.param],
        "LIFT_SYS_AUTH": "supabase",
        "SUPABASE_URL": stack.url,
        "SUPABASE_JWT_SECRET": stack.jwt_secret,
    }
