"""The registry: how the contract suite opens each store of this package, one line a backend."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from lift_sys.spec_sessions import (
    AsyncInMemorySessionStore,
    AsyncPostgresSessionStore,
    AsyncSQLiteSessionStore,
    AsyncSupabaseSessionStore,
    InMemorySessionStore,
    PostgresSessionStore,
    SQLiteSessionStore,
    SupabaseSessionStore,
)
from lift_sys.testing.harness import Capability, StoreHarness


@dataclass(frozen=True)
class Registered:
    """One backend of this package.

    Attributes:
        module: its name in ``lift_sys.backends``.
        store: the public class.
        open: makes a harness; is given an empty folder to keep data in.
    """

    module: str
    store: Callable[..., Any]
    open: Callable[[Callable[..., Any], Path], StoreHarness]


def _in_memory(store: Callable[..., Any], folder: Path) -> StoreHarness:
    del folder
    return StoreHarness(store)


def _on_disk(store: Callable[..., Any], folder: Path) -> StoreHarness:
    opener = partial(store, folder / "sessions.db")
    return StoreHarness(opener, Capability.DURABLE, Capability.SHARED_BETWEEN_PROCESSES)


def _postgres(store: Callable[..., Any], folder: Path) -> StoreHarness:
    from lift_sys.testing.served import PostgresHarness

    del folder
    return PostgresHarness(store)


def _supabase(store: Callable[..., Any], folder: Path) -> StoreHarness:
    from lift_sys.testing.served import SupabaseHarness

    del folder
    return SupabaseHarness(store, tokens=False)


def _supabase_user(store: Callable[..., Any], folder: Path) -> StoreHarness:
    from lift_sys.testing.served import SupabaseHarness

    del folder
    return SupabaseHarness(store, tokens=True)


BACKENDS: Final[Mapping[str, Registered]] = {
    "memory": Registered("memory", InMemorySessionStore, _in_memory),
    "memory-async": Registered("memory", AsyncInMemorySessionStore, _in_memory),
    "sqlite": Registered("sqlite", SQLiteSessionStore, _on_disk),
    "sqlite-async": Registered("sqlite", AsyncSQLiteSessionStore, _on_disk),
    "postgres": Registered("postgres", PostgresSessionStore, _postgres),
    "postgres-async": Registered("postgres", AsyncPostgresSessionStore, _postgres),
    "supabase": Registered("supabase", SupabaseSessionStore, _supabase),
    "supabase-async": Registered("supabase", AsyncSupabaseSessionStore, _supabase),
    "supabase-user": Registered("supabase", SupabaseSessionStore, _supabase_user),
    "supabase-user-async": Registered("supabase", AsyncSupabaseSessionStore, _supabase_user),
}
"""By the name that ``--require-backends`` and the report know it by."""


def open_harness(name: str, folder: Path) -> StoreHarness:
    """Return a harness for the backend of that name, with its data in `folder` if it has files.

    Raises:
        KeyError: there is no such backend.
    """
    registered = BACKENDS[name]
    return registered.open(registered.store, folder)
