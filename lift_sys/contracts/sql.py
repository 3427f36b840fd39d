"""The text of a migration: a ``Table`` as SQL in the style of Supabase's own migrations.

The same table always gives the same text. Text from a contract reaches the SQL only as a quoted
identifier, a quoted literal, or one line of a comment.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from lift_sys.contracts.naming import identifier, literal, one_line
from lift_sys.contracts.tables import Index, Table
from lift_sys.contracts.types import Column

MARKER: Final = "-- REVIEW({topic}): {text}"
"""A line like this stands in a migration for each decision that the contract leaves open."""
CONTRACT_LINE: Final = "-- Contract: "
SCHEMA: Final = "public"
CLIENT_ROLES: Final = ("public", "anon", "authenticated", "service_role")
UPDATED_AT_FUNCTION: Final = "public.set_contract_updated_at"

_SMALL_INTEGER_ALLOWED: Final = "  -- squawk-ignore prefer-bigint-over-int"
_FUNCTION: Final = f"""\
create or replace function {UPDATED_AT_FUNCTION}()
returns trigger
language plpgsql
security invoker
set search_path = ''
as $$
begin
  new.updated_at := now();
  return new;
end;
$$;
"""


def render(table: Table, moment: datetime) -> str:
    """Return the migration that makes ``table``.

    Args:
        table: a table of any pattern but by-hand.
        moment: the generation time, for the header.
    """
    return "\n".join(_parts(table, moment)) + "\n"


def qualified(name: str) -> str:
    """Return the table ``name`` with its schema, quoted as needed."""
    return f"{SCHEMA}.{identifier(name)}"


def policy_name(operation: str) -> str:
    """Return the name of the policy that lets an owner do ``operation``."""
    return f"owner_{operation}"


def grants(table: Table) -> dict[str, tuple[str, ...]]:
    """Return what each role may do with ``table``; a role not named may do nothing."""
    granted = {"service_role": table.operations}
    return granted | ({"authenticated": table.operations} if table.owner else {})


def policies(table: Table) -> dict[str, tuple[str | None, str | None]]:
    """Return, for each operation an owner has, the conditions ``using`` and ``with check``."""
    if table.owner is None:
        return {}
    condition = table.owner.condition
    clauses = {
        "select": (condition, None),
        "insert": (None, condition),
        "update": (condition, condition),
        "delete": (condition, None),
    }
    return {operation: clauses[operation] for operation in table.operations}


def _parts(table: Table, moment: datetime) -> Iterator[str]:
    contract = table.contract
    yield f"-- Generated from {one_line(contract.file)}"
    yield f"{CONTRACT_LINE}{one_line(contract.identity)} {contract.version}"
    yield f"-- Generation time: {moment:%Y-%m-%dT%H:%M:%SZ}"
    if table.markers:
        yield "-- REVIEW REQUIRED BEFORE APPLYING: settle each REVIEW(...) line, then delete it"
    yield ""
    # A migration that waits for a lock makes everything behind it wait too.
    yield "set local lock_timeout = '5s';"
    yield "set local statement_timeout = '60s';"
    yield ""
    yield from _create_table(table)
    yield from (_index_sql(table, index) for index in table.indexes)
    yield ""
    if table.keeps_updated_at:
        yield from _trigger(table)
    yield from _row_security(table)
    yield from (MARKER.format(topic=m.topic, text=one_line(m.text)) for m in table.markers)
    yield "-- End of migration"


def _create_table(table: Table) -> Iterator[str]:
    yield f"create table {qualified(table.name)} ("
    for position, column in enumerate(table.columns):
        if column.type == "integer":
            # The contract bounds the values, so the linter's advice to take bigint is moot.
            yield _SMALL_INTEGER_ALLOWED
        comma = "," if position < len(table.columns) - 1 else ""
        yield f"  {_column_sql(column)}{comma}"
    yield ");"
    contract = table.contract
    comment = f"{contract.title} (contract {contract.identity})"
    yield f"comment on table {qualified(table.name)} is {literal(comment)};"


def _column_sql(column: Column) -> str:
    parts = [identifier(column.name), column.type]
    if column.identity:
        parts.append("generated always as identity")
    if column.is_key:
        parts.append("primary key")
    elif not column.nullable:
        parts.append("not null")
    if column.default is not None:
        parts.append(f"default {column.default}")
    parts.extend(f"check ({check})" for check in column.checks)
    if column.references is not None:
        target = column.references
        parts.append(f"references {qualified(target.table)} ({identifier(target.column)})")
        if target.on_delete != "no action":
            parts.append(f"on delete {target.on_delete}")
    return " ".join(parts)


def _index_sql(table: Table, index: Index) -> str:
    unique = "unique " if index.unique else ""
    method = "" if index.method == "btree" else f"using {index.method} "
    where = f" where {index.where}" if index.where else ""
    terms = ", ".join(index.terms)
    name = identifier(index.name)
    return f"create {unique}index {name} on {qualified(table.name)} {method}({terms}){where};"


def _trigger(table: Table) -> Iterator[str]:
    yield _FUNCTION.rstrip("\n")
    yield f"create trigger set_updated_at before update on {qualified(table.name)}"
    yield f"  for each row execute function {UPDATED_AT_FUNCTION}();"
    yield ""


def _row_security(table: Table) -> Iterator[str]:
    name = qualified(table.name)
    yield f"alter table {name} enable row level security;"
    for operation, (using, with_check) in policies(table).items():
        policy = policy_name(operation)
        clauses = f"  using ({using})" if using else ""
        clauses += (" " if using else "  ") + f"with check ({with_check})" if with_check else ""
        yield f"create policy {policy} on {name} for {operation} to authenticated"
        yield f"{clauses};"
    yield f"revoke all on table {name} from {', '.join(CLIENT_ROLES)};"
    for role, operations in grants(table).items():
        yield f"grant {', '.join(operations)} on table {name} to {role};"
    yield ""
