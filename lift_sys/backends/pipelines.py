"""Several statements of Postgres in one transaction and one round trip, over libpq.

All are sent at once, and one end for all (the protocol's Sync), which commits. Where one fails,
those after it are skipped and nothing is kept.

A statement is prepared under a name that has a digest of its text, so it cannot be mistaken for
another one, whoever prepared it.
"""

import hashlib
from collections.abc import Sequence
from typing import Final, Protocol

from psycopg import OperationalError
from psycopg.abc import PQGen
from psycopg.errors import error_from_result
from psycopg.pq import ExecStatus, PipelineStatus
from psycopg.pq.abc import PGconn, PGresult
from psycopg.waiting import Ready, Wait

_READABLE: Final = int(Ready.R)
_LABEL_BYTES: Final = 42
"""A name may have 63 bytes; digits of the digest follow the label."""


class Statement:
    """One statement.

    Args:
        label: what it is for, in ASCII; stands in the server's list of prepared statements.
        text: what it says, its parameters written as $1, $2, ....

    Attributes:
        text: the same, in UTF-8.
        name: what it is prepared as.
    """

    def __init__(self, label: str, text: str) -> None:
        self.text = text.encode()
        digest = hashlib.sha256(self.text).hexdigest()
        self.name = f"{label[:_LABEL_BYTES]} {digest[:20]}".encode()


class PreparingConnection(Protocol):
    """A connection that remembers what is prepared on it."""

    prepared: set[bytes]

    @property
    def pgconn(self) -> PGconn:
        """The connection of libpq."""


def pipeline(
    connection: PreparingConnection,
    statements: Sequence[tuple[Statement, Sequence[bytes]]],
    *,
    prepares: bool,
) -> PQGen[bytes | None]:
    """Run statements as one transaction; for ``Connection.wait``.

    Args:
        connection: in no transaction.
        statements: each with its parameters, as text.
        prepares: whether to have the server keep the statements for the next time.

    Returns:
        The first value of the last one's first row.

    Raises:
        psycopg.Error: the first failure; then nothing was done. Without an SQLSTATE: the connection
            is lost, and everything may have been done.
    """
    pgconn = connection.pgconn
    if pgconn.pipeline_status == PipelineStatus.OFF:
        pgconn.enter_pipeline_mode()
    new = _send(connection, statements, prepares=prepares)
    while pgconn.flush():
        if (yield Wait.RW) & _READABLE:
            pgconn.consume_input()
    results = yield from _results(pgconn)
    for name, result in zip(new, results, strict=False):
        if name and result.status == ExecStatus.COMMAND_OK:
            connection.prepared.add(name)
    for result in results:
        if result.status == ExecStatus.FATAL_ERROR:
            raise error_from_result(result, encoding="utf-8")
    return results[-1].get_value(0, 0)


def _send(
    connection: PreparingConnection,
    statements: Sequence[tuple[Statement, Sequence[bytes]]],
    *,
    prepares: bool,
) -> list[bytes | None]:
    """Queue commands; return for each the name that it prepares, if it does."""
    pgconn, commands = connection.pgconn, list[bytes | None]()
    for statement, parameters in statements:
        if not prepares:
            pgconn.send_query_params(statement.text, parameters)
        else:
            if statement.name not in connection.prepared:
                pgconn.send_prepare(statement.name, statement.text)
                commands.append(statement.name)
            pgconn.send_query_prepared(statement.name, parameters)
        commands.append(None)
    pgconn.pipeline_sync()
    return commands


def _results(pgconn: PGconn) -> PQGen[list[PGresult]]:
    """Return the result of each command, once the server has ended the transaction."""
    results: list[PGresult] = []
    ended = False
    while True:
        while pgconn.is_busy():
            if (yield Wait.R) & _READABLE:
                pgconn.consume_input()
        result = pgconn.get_result()
        if result is not None and result.status == ExecStatus.PIPELINE_SYNC:
            return results
        if result is not None:
            results.append(result)
        elif ended:  # a command's results end with one None, those of a lost connection with two
            raise OperationalError("the connection ended")
        ended = result is None
