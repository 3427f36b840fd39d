"""What the contract suite lets other processes do to the same data."""

import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnContext
from typing import Any

from lift_sys.spec_sessions import PromptSession
from lift_sys.testing import samples
from lift_sys.testing.harness import Opener, blocking
from lift_sys.testing.linear import Event, append_in_turns

SPAWN: SpawnContext = multiprocessing.get_context("spawn")
"""New interpreters: a forked one would share locks and connections with its parent."""


def pool(size: int) -> ProcessPoolExecutor:
    """Return a pool of new interpreters."""
    return ProcessPoolExecutor(size, mp_context=SPAWN)


def append_elsewhere(
    opener: Opener, user_id: str, session_ids: list[str], writer: str, turns: int
) -> dict[str, list[Event]]:
    """Open a store, and do what ``append_in_turns`` does."""
    with blocking(opener(user_id)) as store:
        return append_in_turns(store, session_ids, writer, turns)


def create_elsewhere(opener: Opener, user_id: str, document: dict[str, Any], key: str) -> str:
    """Open a store, and create the session that `document` describes with that key."""
    with blocking(opener(user_id)) as store:
        return store.create(PromptSession.from_dict(document), idempotency_key=key)


@contextmanager
def writing_elsewhere(opener: Opener, user_id: str, session_id: str) -> Iterator[Callable[[], int]]:
    """Let another process add to a session without end, and kill it at the end of the block.

    Yields:
        A function that waits for the next acknowledged write and returns its version.
    """
    ours, theirs = SPAWN.Pipe()
    process = SPAWN.Process(target=_write_on, args=(opener, user_id, session_id, theirs))
    process.start()
    theirs.close()
    try:
        yield ours.recv
    finally:
        process.kill()
        process.join()
        ours.close()


def _write_on(opener: Opener, user_id: str, session_id: str, acknowledge: Connection) -> None:
    store = blocking(opener(user_id))
    session = store.get(session_id)
    assert session is not None
    while True:
        for _ in range(20):
            samples.grow(session, session.version)
        store.update(session)
        acknowledge.send(session.version)  # fails when nobody is left to end this
