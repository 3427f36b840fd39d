"""What the networked stores cost, beside the bare call: the same function, the same arguments.

Run it as ``python -m tests.benchmarks.networked``; it starts a stack of its own. The bare calls get
arguments that were encoded beforehand and only parse the answer. The bare Postgres connection has
the user's role and claims for good; the store sets them with each call.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from itertools import cycle
from typing import Any, Final

import httpx
import psycopg
from pydantic_core import from_json
from rich.console import Console

from lift_sys.backends import remote
from lift_sys.backends.call import Call, User
from lift_sys.backends.supabase import _Settings
from lift_sys.local import LocalSupabase
from lift_sys.spec_sessions import PostgresSessionStore, SupabaseSessionStore, operations
from lift_sys.spec_sessions.functions import FUNCTIONS
from tests.benchmarks.embedded import (
    ITEM_BYTES,
    ROUNDS,
    Step,
    appends,
    filled,
    latest,
    loads,
    revision,
    show,
)

USER: Final = "bench"
SIZES: Final = (10, 1_000, 10_000)
FEW: Final = (10, 100, 1_000)

Send = Callable[[Call[Any]], Callable[[], object]]


def updates(store: Any, items: int) -> Iterator[Call[Any]]:
    """Yield the calls that append one item after the other, each as if the last was answered."""
    for session in cycle([filled(store, items) for _ in range(max(1, min(40, 1_000 // items)))]):
        session.add_revision(revision())
        flow = operations.update(store._origin, session, None)
        yield next(flow)
        with suppress(StopIteration):
            flow.send(session.version + 1)


def bare_appends(store: Any, items: int, send: Send) -> Step:
    """Return what makes one bare call after the other."""
    calls = updates(store, items)
    ready = [send(next(calls)) for _ in range(ROUNDS + 20)][::-1]

    def step() -> None:
        ready.pop()()

    return step


def postgres_sender(connection: psycopg.Connection) -> Send:
    """Return what prepares the bare call of psycopg."""

    def send(call: Call[Any]) -> Callable[[], object]:
        arguments, key = remote.arguments_json(call).decode(), remote.key_json(call).decode()
        query = f"select public.{call.name}_v1(%s, %s, %s)"
        return lambda: connection.execute(query.encode(), (USER, arguments, key)).fetchone()

    return send


def supabase_sender(stack: LocalSupabase, client: httpx.Client) -> Send:
    """Return what prepares the bare call of httpx."""
    settings = _Settings(stack.url, stack.service_key, FUNCTIONS, "public", remote.BUDGET)
    headers = {
        "apikey": stack.service_key,
        "Authorization": f"Bearer {stack.service_key}",
        "Content-Type": "application/json",
    }

    def send(call: Call[Any]) -> Callable[[], object]:
        path, body = settings.path(call.name), settings.body(call, User(USER))
        return lambda: from_json(client.post(path, content=body, headers=headers).content)

    return send


def compare(name: str, store: Any, send: Send) -> None:
    """Print every group for one store."""
    show(
        f"Append one item of {ITEM_BYTES} bytes, {name}, by length of the history",
        "bare, history 10",
        {
            **{f"bare, history {n:,}": bare_appends(store, n, send) for n in SIZES},
            **{f"history {n:,}": appends(store, n) for n in SIZES},
        },
    )
    show(
        f"Load a session, {name}",
        "10 items",
        {f"{n:,} items": loads(store, n) for n in FEW},
        rounds=60,
    )
    show(
        f"The 20 latest sessions, {name}",
        "of 1,000",
        {"of 1,000": latest(store.for_user("few"), 1_000)},
    )


def main() -> None:
    """Print every group, or those of the kinds that are named: ``postgres``, ``supabase``."""
    kinds = sys.argv[1:] or ["postgres", "supabase"]
    console = Console()
    with LocalSupabase(record_requests=False) as stack:
        if "postgres" in kinds:
            options = "-c role=authenticated"
            with (
                PostgresSessionStore(stack.authenticator_url, USER) as store,
                closing(
                    psycopg.connect(stack.authenticator_url, autocommit=True, options=options)
                ) as connection,
            ):
                claims = f'{{"sub":"{USER}","role":"authenticated"}}'
                connection.execute("select set_config('request.jwt.claims', %s, false)", [claims])
                compare("Postgres", store, postgres_sender(connection))
        if "supabase" in kinds:
            with (
                SupabaseSessionStore(stack.url, stack.service_key, USER) as project,
                httpx.Client() as client,
            ):
                compare("Supabase", project, supabase_sender(stack, client))
        console.print("Targets: append at most 1.5 times the bare call on Postgres, 1.25 times on")
        console.print("Supabase, and the same at every length of the history.")


if __name__ == "__main__":
    main()
