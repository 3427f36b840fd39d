"""What a live database says of its tables, read from the Postgres catalogs in a few queries."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from psycopg import Connection
from psycopg.rows import dict_row

from lift_sys.contracts.sql import CLIENT_ROLES, SCHEMA

_TABLES: Final = """
    select c.oid, c.relname as name, c.relrowsecurity as row_security
    from pg_catalog.pg_class c
    where c.relnamespace = %(schema)s::regnamespace and c.relkind in ('r', 'p')
      and not c.relispartition
    order by c.relname
"""
_COLUMNS: Final = """
    select a.attrelid as oid, a.attname as name, a.attnum as number,
      pg_catalog.format_type(a.atttypid, a.atttypmod) as type, a.attnotnull as not_null,
      pg_catalog.pg_get_expr(d.adbin, d.adrelid) as default, a.attidentity <> '' as identity,
      a.attgenerated <> '' as generated,
      (select array_agg(e.enumlabel::text order by e.enumsortorder)
       from pg_catalog.pg_enum e where e.enumtypid = a.atttypid) as labels
    from pg_catalog.pg_attribute a
    left join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
    where a.attrelid = any(%(oids)s) and a.attnum > 0 and not a.attisdropped
    order by a.attrelid, a.attnum
"""
_CHECKS: Final = """
    select conrelid as oid, conname as name, conkey[1] as number,
      pg_catalog.pg_get_expr(conbin, conrelid) as condition
    from pg_catalog.pg_constraint
    where conrelid = any(%(oids)s) and contype = 'c' and array_length(conkey, 1) = 1
    order by conname
"""
_POLICIES: Final = """
    select polrelid as oid, polname as name, polpermissive as permissive,
      case polcmd when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update'
        when 'd' then 'delete' else 'all' end as operation,
      (select array_agg(coalesce(r.rolname::text, 'public')) from unnest(polroles) u(role)
       left join pg_catalog.pg_roles r on r.oid = u.role) as roles,
      pg_catalog.pg_get_expr(polqual, polrelid) as using,
      pg_catalog.pg_get_expr(polwithcheck, polrelid) as with_check
    from pg_catalog.pg_policy where polrelid = any(%(oids)s) order by polname
"""
_GRANTS: Final = """
    select c.oid, coalesce(r.rolname::text, 'public') as role, lower(g.privilege_type) as privilege
    from pg_catalog.pg_class c
    cross join lateral pg_catalog.aclexplode(
      coalesce(c.relacl, pg_catalog.acldefault('r', c.relowner))) g
    left join pg_catalog.pg_roles r on r.oid = g.grantee
    where c.oid = any(%(oids)s) and coalesce(r.rolname, 'public') = any(%(roles)s)
"""
_COLUMN_GRANTS: Final = """
    select a.attrelid as oid, coalesce(r.rolname::text, 'public') as role,
      lower(g.privilege_type) as privilege
    from pg_catalog.pg_attribute a
    cross join lateral pg_catalog.aclexplode(a.attacl) g
    left join pg_catalog.pg_roles r on r.oid = g.grantee
    where a.attrelid = any(%(oids)s) and coalesce(r.rolname, 'public') = any(%(roles)s)
"""


@dataclass(frozen=True)
class LiveColumn:
    """A column as the database has it; ``checks`` are the CHECKs over it alone, by name."""

    name: str
    type: str
    not_null: bool
    default: str | None
    identity: bool
    generated: bool
    labels: tuple[str, ...] | None
    checks: dict[str, str]


@dataclass(frozen=True)
class LivePolicy:
    """A row-level security policy as the database has it."""

    name: str
    permissive: bool
    operation: str
    roles: frozenset[str]
    using: str | None
    with_check: str | None


@dataclass(frozen=True)
class LiveTable:
    """A table as the database has it.

    Attributes:
        grants: the privileges on the whole table, by role.
        partial_grants: the privileges on some of its columns, by role.
    """

    name: str
    row_security: bool
    columns: dict[str, LiveColumn] = field(default_factory=dict)
    policies: tuple[LivePolicy, ...] = ()
    grants: dict[str, frozenset[str]] = field(default_factory=dict)
    partial_grants: dict[str, frozenset[str]] = field(default_factory=dict)


def read_catalog(connection: Connection[Any]) -> tuple[dict[str, LiveTable], frozenset[str]]:
    """Return the tables of the schema public by name, and the client roles that exist."""
    with connection.cursor(row_factory=dict_row) as cursor:
        found = cursor.execute(_TABLES, {"schema": SCHEMA}).fetchall()
        oids = [row["oid"] for row in found]
        arguments = {"oids": oids, "roles": list(CLIENT_ROLES)}
        columns, checks, policies, grants, partial = (
            _by_oid(cursor.execute(query, arguments).fetchall())
            for query in (_COLUMNS, _CHECKS, _POLICIES, _GRANTS, _COLUMN_GRANTS)
        )
        roles = cursor.execute("select rolname::text as name from pg_catalog.pg_roles").fetchall()
    tables = {
        row["name"]: LiveTable(
            row["name"],
            row["row_security"],
            _columns(columns[row["oid"]], checks[row["oid"]]),
            tuple(_policy(policy) for policy in policies[row["oid"]]),
            _grants(grants[row["oid"]]),
            _grants(partial[row["oid"]]),
        )
        for row in found
    }
    return tables, frozenset(row["name"] for row in roles)


def _by_oid(rows: Sequence[dict[str, Any]]) -> dict[int, list[dict[str, Any]]]:
    grouped: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        grouped[row["oid"]].append(row)
    return grouped


def _columns(
    rows: Sequence[dict[str, Any]], checks: Sequence[dict[str, Any]]
) -> dict[str, LiveColumn]:
    return {
        row["name"]: LiveColumn(
            row["name"],
            row["type"],
            row["not_null"],
            row["default"],
            row["identity"],
            row["generated"],
            None if row["labels"] is None else tuple(row["labels"]),
            {c["name"]: c["condition"] for c in checks if c["number"] == row["number"]},
        )
        for row in rows
    }


def _policy(row: dict[str, Any]) -> LivePolicy:
    return LivePolicy(
        row["name"],
        row["permissive"],
        row["operation"],
        frozenset(row["roles"]),
        row["using"],
        row["with_check"],
    )


def _grants(rows: Sequence[dict[str, Any]]) -> dict[str, frozenset[str]]:
    by_role: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        by_role[row["role"]].add(row["privilege"])
    return {role: frozenset(privileges) for role, privileges in by_role.items()}
