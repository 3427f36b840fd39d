"""How a live database differs from the tables that the contracts call for.

Names and types are compared with the catalogs. What a CHECK accepts is not read but tried: its
condition is evaluated on the contract's values and on those it mentions itself, so that
``in (...)``, ``= any (...)`` and an enum type all count by what they let through. Everything runs
in a read-only transaction.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import psycopg
from psycopg import Connection, sql

from lift_sys.contracts.catalog import LiveColumn, LivePolicy, LiveTable, read_catalog
from lift_sys.contracts.findings import Finding, Severity
from lift_sys.contracts.naming import identifier, literal
from lift_sys.contracts.sql import CLIENT_ROLES, grants, policies, policy_name, qualified
from lift_sys.contracts.tables import ALL_OPERATIONS, Table
from lift_sys.contracts.types import Column

_LONG_NAMES: Final = {
    "timestamptz": "timestamp with time zone",
    "timestamp": "timestamp without time zone",
    "time": "time without time zone",
    "timetz": "time with time zone",
    "varchar": "character varying",
    "char": "character",
    "int": "integer",
    "int2": "smallint",
    "int4": "integer",
    "int8": "bigint",
    "float4": "real",
    "float8": "double precision",
    "bool": "boolean",
    "decimal": "numeric",
}
_WIDER: Final = {
    "integer": {"bigint", "numeric"},
    "bigint": {"numeric"},
    "text": {"character varying"},
    # It keeps each number to the letter, which jsonb does not.
    "jsonb": {"json"},
}
"""What a hand-written migration may take instead, as it holds every value of the type named."""
_STRANGER: Final = "\N{REPLACEMENT CHARACTER} no value of any contract"
_LONG: Final = 60
_NUMERIC: Final = frozenset({"integer", "bigint", "numeric"})


def find_drift(connection: Connection[Any], tables: Sequence[Table]) -> list[Finding]:
    """Return how the database behind ``connection`` differs from ``tables``, table by table.

    Args:
        connection: idle, and not in autocommit mode; it is idle again afterwards.
        tables: what the contracts call for, at most one of each name.

    Raises:
        psycopg.Error: the database cannot be reached or its catalogs not be read.
    """
    connection.rollback()
    connection.read_only = True
    try:
        live, roles = read_catalog(connection)
        return [
            finding
            for table in tables
            if table.name in live
            for finding in _Comparison(connection, table, live[table.name], roles).findings()
        ]
    finally:
        connection.rollback()
        connection.read_only = None


def live_table_names(connection: Connection[Any]) -> list[str]:
    """Return the names of the tables in the schema public, in order."""
    tables, _ = read_catalog(connection)
    connection.rollback()
    return sorted(tables)


class _Comparison:
    """One table, as called for and as found."""

    def __init__(
        self, connection: Connection[Any], table: Table, live: LiveTable, roles: frozenset[str]
    ) -> None:
        self._connection = connection
        self._table = table
        self._live = live
        self._roles = roles

    def findings(self) -> Iterator[Finding]:
        yield from self._column_names()
        for column in self._table.columns:
            live = self._live.columns.get(column.name)
            if live is not None:
                yield from self._column(column, live)
        yield from self._row_security()
        yield from self._policies()
        yield from self._grants()

    def _column_names(self) -> Iterator[Finding]:
        wanted = {column.name: column for column in self._table.columns}
        missing = [name for name in wanted if name not in self._live.columns]
        known = {*wanted, *self._table.filled_elsewhere}
        extra = [c for c in self._live.columns.values() if c.name not in known and not c.generated]
        for name in missing:
            rename = next((c for c in extra if _same_type(wanted[name], c)), None)
            remedy = self._add_column(wanted[name])
            if rename is not None:
                old, new = identifier(rename.name), identifier(name)
                remedy = self._alter(f"rename column {old} to {new}") + f" or {remedy}"
            yield self._error("missing-column", name, "the contract has it, the table not", remedy)
        for live in extra:
            remedy = self._alter(f"drop column {identifier(live.name)}")
            remedy += ", add the property, or name it in filled_elsewhere"
            must = live.not_null and live.default is None and not live.identity
            message = "no property fills it" + (", so that no row can be added" if must else "")
            yield self._error("unfilled-column", live.name, message, remedy)
        for name in self._table.filled_elsewhere:
            if name not in self._live.columns:
                message = "filled_elsewhere names it, the table has no such column"
                yield self._error("missing-column", name, message, "remove it there, or add it")

    def _add_column(self, column: Column) -> str:
        default = f" default {column.default}" if column.default else ""
        null = "" if column.nullable else " not null"
        return self._alter(f"add column {identifier(column.name)} {column.type}{null}{default}")

    def _column(self, column: Column, live: LiveColumn) -> Iterator[Finding]:
        name = identifier(column.name)
        yield from self._nullability(column, live)
        if column.default is not None and not self._same_default(column, live):
            remedy = self._alter(f"alter column {name} set default {column.default}")
            found = f"its default is {live.default}" if live.default else "it has no default"
            message = f"{found}, the contract says {column.default}"
            yield self._error("missing-default", column.name, message, remedy)
        if column.default is None and live.default and not self._table.is_by_hand:
            remedy = self._alter(f"alter column {name} drop default")
            message = f"it has a default, {live.default}, that the contract does not say"
            yield self._warning("unexpected-default", column.name, message, remedy)
        if self._type_fits(column, live):
            yield from self._values(column, live)
        else:
            remedy = self._alter(f"alter column {name} type {column.type} using {name}")
            remedy += f"::{column.type}, or say x-postgres-type"
            message = f"its type is {live.type}, the contract calls for {column.type}"
            yield self._error("changed-type", column.name, message, remedy)

    def _nullability(self, column: Column, live: LiveColumn) -> Iterator[Finding]:
        name = identifier(column.name)
        if column.nullable and live.not_null:
            remedy = self._alter(f"alter column {name} drop not null")
            message = "the contract accepts null or absence there, the table does not"
            yield self._error("changed-nullability", column.name, message, remedy)
        elif not column.nullable and not live.not_null:
            remedy = self._alter(f"alter column {name} set not null")
            message = "the table accepts null there, the contract does not"
            yield self._error("changed-nullability", column.name, message, remedy)

    def _same_default(self, column: Column, live: LiveColumn) -> bool:
        if live.default is None:
            return False
        if live.default == column.default:
            return True
        query = f"select ({live.default})::text is not distinct from "  # noqa: S608 - the catalog's own expression, run read-only
        query += f"({column.default})::{live.type}::text"
        return self._ask(query) == [(True,)]

    def _type_fits(self, column: Column, live: LiveColumn) -> bool:
        if _same_type(column, live):
            return True
        if not self._table.is_by_hand:
            return False
        if column.allowed is not None and column.type == "text" and live.labels is not None:
            return True
        return live.type in _WIDER.get(column.type, ())

    def _values(self, column: Column, live: LiveColumn) -> Iterator[Finding]:
        if column.allowed is None and not column.samples:
            return
        wanted = {sample.text: sample.accepted for sample in column.samples}
        wanted |= dict.fromkeys(column.allowed or (), True)
        tried = self._try(live, [*wanted, *_further_values(column, live)])
        if tried is None:
            message = "its CHECKs cannot be evaluated on the contract's values"
            remedy = "compare them with the contract by hand"
            yield self._warning("unknown-values", column.name, message, remedy)
            return
        remedy = self._set_checks(column, live)
        refused = [value for value, wish in wanted.items() if wish and not tried[value]]
        if refused:
            message = f"the table refuses {_shown(refused)}, which the contract accepts"
            yield self._error("narrowed-values", column.name, message, remedy)
        others = [value for value, accepted in tried.items() if accepted and not wanted.get(value)]
        if others:
            shown = "any value" if _STRANGER in others else _shown(others)
            message = f"the table accepts {shown}, which the contract refuses"
            yield self._error("widened-values", column.name, message, remedy)

    def _try(self, live: LiveColumn, values: Sequence[str]) -> dict[str, bool] | None:
        """Return which of ``values`` the column accepts, or None if that cannot be evaluated."""
        if live.labels is not None:
            return {value: value in live.labels for value in values}
        if not live.checks:
            return dict.fromkeys(values, True)
        name = identifier(live.name)
        # A CHECK whose condition is null accepts the value.
        conditions = " and ".join(f"({check}) is not false" for check in live.checks.values())
        listed = ", ".join(f"({number}, {literal(v)})" for number, v in enumerate(values))
        query = f"select n, {conditions} from (select n, v::{live.type} as {name} from "  # noqa: S608 - quoted by literal and identifier; the rest is the catalog's
        query += f"(values {listed}) as given(n, v)) as tried order by n"
        answer = self._ask(query)
        if answer is None:
            return None
        return {values[number]: accepted for number, accepted in answer}

    def _ask(self, query: str) -> list[tuple[Any, ...]] | None:
        """Return the rows of ``query``, or None if Postgres cannot answer it."""
        try:
            with self._connection.transaction(), self._connection.cursor() as cursor:
                return cursor.execute(sql.SQL(query)).fetchall()
        except (psycopg.DataError, psycopg.ProgrammingError, psycopg.InternalError):
            return None

    def _set_checks(self, column: Column, live: LiveColumn) -> str:
        if live.labels is not None:
            return f"let the enum type {live.type} and the contract list the same values"
        actions = [f"drop constraint {identifier(name)}" for name in live.checks]
        actions += [f"add check ({check})" for check in column.checks]
        return self._alter(", ".join(actions)) if actions else "bring the contract's values in line"

    def _row_security(self) -> Iterator[Finding]:
        if not self._live.row_security:
            remedy = self._alter("enable row level security")
            message = "row-level security is off: whoever has a grant reaches every row"
            yield self._error("row-security-off", None, message, remedy)

    def _policies(self) -> Iterator[Finding]:
        if self._table.is_by_hand:
            yield from self._policies_by_hand()
            return
        known: set[str] = set()
        for operation, (using, with_check) in policies(self._table).items():
            live = self._policy_for(operation, using, with_check)
            remedy = self._create_policy(operation, using, with_check)
            if live is None:
                message = f"the owner's policy for {operation} is missing"
                yield self._error("missing-policy", None, message, remedy)
                continue
            known.add(live.name)
            if not _same_policy(live, using, with_check):
                message = f"the policy {live.name} for {operation} is not the contract's"
                drop = f"drop policy {identifier(live.name)} on {qualified(self._table.name)}"
                yield self._error("changed-policy", None, message, f"{drop}; {remedy}")
        for live in self._live.policies:
            if live.permissive and live.name not in known:
                remedy = f"drop policy {identifier(live.name)} on {qualified(self._table.name)}"
                message = f"the policy {live.name} lets more through than the contract"
                yield self._error("unexpected-policy", None, message, remedy)

    def _policy_for(
        self, operation: str, using: str | None, with_check: str | None
    ) -> LivePolicy | None:
        """Return the policy that says what the contract does, or else the one in its place."""
        candidates = [p for p in self._live.policies if p.operation == operation]
        same = (p for p in candidates if _same_policy(p, using, with_check))
        named = (p for p in candidates if p.name == policy_name(operation))
        return next(same, None) or next(named, None)

    def _policies_by_hand(self) -> Iterator[Finding]:
        """Compare policies with grants: either without the other does nothing, silently."""
        granted = self._granted("authenticated")
        covered = {
            operation
            for policy in self._live.policies
            if policy.roles & {"authenticated", "public"}
            for operation in (ALL_OPERATIONS if policy.operation == "all" else [policy.operation])
        }
        for operation in ALL_OPERATIONS:
            if operation in granted and operation not in covered:
                message = f"authenticated may {operation}, but no policy lets any row through"
                remedy = f"create a policy for {operation} to authenticated, or revoke it"
                yield self._error("missing-policy", None, message, remedy)
            if operation in covered and operation not in granted:
                message = f"a policy for {operation} stands there without the grant"
                remedy = f"grant {operation} to authenticated, or drop the policy"
                yield self._warning("missing-grant", None, message, remedy)
        yield from self._foreign_rows()

    def _foreign_rows(self) -> Iterator[Finding]:
        """Find policies of a hand-written table that do not ask whose the row is."""
        owner = self._table.owner
        if owner is None:
            return
        for policy in self._live.policies:
            conditions = [c for c in (policy.using, policy.with_check) if c is not None]
            if policy.permissive and not all(_asks(c, owner.condition) for c in conditions):
                name = f"{identifier(policy.name)} on {qualified(self._table.name)}"
                message = f"the policy {policy.name} may let through rows of other users"
                remedy = f"alter policy {name} so that each row satisfies {owner.condition}"
                yield self._error("changed-policy", None, message, remedy)

    def _create_policy(self, operation: str, using: str | None, with_check: str | None) -> str:
        clauses = (f" using ({using})" if using else "") + (
            f" with check ({with_check})" if with_check else ""
        )
        on = f"on {qualified(self._table.name)} for {operation} to authenticated"
        return f"create policy {policy_name(operation)} {on}{clauses}"

    def _grants(self) -> Iterator[Finding]:
        wanted: Mapping[str, Sequence[str]] = {} if self._table.is_by_hand else grants(self._table)
        judged = ("public", "anon") if self._table.is_by_hand else CLIENT_ROLES
        name = qualified(self._table.name)
        for role in judged:
            if role != "public" and role not in self._roles:
                continue
            has = self._live.grants.get(role, frozenset())
            wide = ", ".join(sorted(self._granted(role) - set(wanted.get(role, ()))))
            lacks = ", ".join(o for o in wanted.get(role, ()) if o not in has)
            if wide:
                remedy = f"revoke {wide} on table {name} from {role}"
                yield self._error("unexpected-grant", None, f"{role} may {wide}", remedy)
            if lacks:
                remedy = f"grant {lacks} on table {name} to {role}"
                yield self._error("missing-grant", None, f"{role} may not {lacks}", remedy)

    def _granted(self, role: str) -> frozenset[str]:
        """Return what ``role`` may do to the table or to some of its columns."""
        nothing = frozenset[str]()
        return self._live.grants.get(role, nothing) | self._live.partial_grants.get(role, nothing)

    def _alter(self, action: str) -> str:
        return f"alter table {qualified(self._table.name)} {action}"

    def _error(self, code: str, column: str | None, message: str, remedy: str) -> Finding:
        return Finding(code, Severity.ERROR, self._where(column), message, remedy)

    def _warning(self, code: str, column: str | None, message: str, remedy: str) -> Finding:
        return Finding(code, Severity.WARNING, self._where(column), message, remedy)

    def _where(self, column: str | None) -> str:
        return self._table.name if column is None else f"{self._table.name}.{column}"


def connect(url: str) -> Connection[Any]:
    """Return a connection to the database at ``url`` for ``find_drift``.

    Raises:
        psycopg.Error: it cannot be reached.
    """
    return psycopg.connect(url, connect_timeout=10, application_name="lift-sys contracts")


@contextmanager
def connected(url: str) -> Iterator[Connection[Any]]:
    """Give a connection to ``url`` and close it afterwards (see ``connect``)."""
    connection = connect(url)
    try:
        yield connection
    finally:
        connection.close()


def _same_type(column: Column, live: LiveColumn) -> bool:
    base, bracket, rest = column.type.partition("(")
    wanted = _LONG_NAMES.get(base, base) + (bracket + rest).replace(", ", ",")
    return live.type == wanted


def _further_values(column: Column, live: LiveColumn) -> list[str]:
    """Return values beyond the contract's that tell whether the CHECKs are wider than it."""
    if column.allowed is None:
        return []
    if live.labels is not None:
        return list(live.labels)
    conditions = " ".join(live.checks.values())
    if column.type in _NUMERIC:
        numbers = [int(value) for value in re.findall(r"-?\d+", conditions)][:100]
        biggest = max([abs(int(float(v))) for v in column.allowed] + [abs(n) for n in numbers])
        beyond = [*map(str, numbers), str(biggest + 1)]
        return [v for v in beyond if column.type == "numeric" or abs(int(v)) < 2**31]
    if column.type != "text":
        return []
    mentioned = [v.replace("''", "'") for v in re.findall(r"'((?:[^']|'')*)'", conditions)]
    return [*mentioned, _STRANGER]


def _same_policy(live: LivePolicy, using: str | None, with_check: str | None) -> bool:
    return (
        live.permissive
        and live.roles == {"authenticated"}
        and _bare(live.using) == _bare(using)
        and _bare(live.with_check) == _bare(with_check)
    )


def _asks(expression: str, condition: str) -> bool:
    """Tell whether ``condition`` is one of what ``expression`` joins by ``and``."""
    words = _words(expression)
    found = re.search(rf"(?<!\S){re.escape(_words(condition))}(?!\S)", words)
    return found is not None and not re.search(r"\bor\b|\bnot \(", expression.lower())


def _words(expression: str) -> str:
    """Return an expression's words, without parentheses and what Postgres adds to them."""
    return " ".join(re.sub(r"::text\b| as jwt\b|[()]", " ", expression.lower()).split())


def _bare(expression: str | None) -> str | None:
    """Return an expression without what Postgres adds to it: parentheses, aliases and casts."""
    if expression is None:
        return None
    # A literal's own cast to text is noise; one to another type would change the meaning.
    return re.sub(r"::text\b| as uuid\b|[\s()]", "", expression.lower())


def _shown(values: Sequence[str], limit: int = 5) -> str:
    listed = ", ".join(
        repr(value) if len(value) <= _LONG else f"a text of {len(value)} characters"
        for value in values[:limit]
    )
    return listed if len(values) <= limit else f"{listed} and {len(values) - limit} more"
