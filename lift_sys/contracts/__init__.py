"""Contracts: JSON Schema files from which migrations follow, and against which they are checked.

The path of a contract and its ``x-artifact-metadata`` say which table it needs (``decide``,
``tables_for``); ``plan`` gives the migrations that are missing, ``check`` finds where contracts,
migrations and a live database disagree, ``compare`` says what a change to a contract calls for,
``export`` makes a contract of a pydantic model, and ``Versions`` reads rows of every version.

Beside ``x-artifact-metadata`` a contract may say, at its root:

- ``x-owner``: the required property that holds the user a row belongs to, from which the policies
  follow; false if only ``service_role`` may reach the table. In a contract managed by hand, the
  column, whoever fills it, that each policy of its tables must compare with the user.
- ``x-index``: a list of indexes, each a list of properties (``"name desc"`` for the other order)
  or ``{"columns": [...], "unique": true}``; false if there are none.
- ``x-foreign-key``: false if there are none.
- ``x-updated-at``: whether a trigger keeps ``updated_at``.

and at a property:

- ``x-foreign-key``: the table it refers to, or ``{"table", "column", "on_delete"}``.
- ``x-index``: true or "unique".
- ``x-postgres-type``: the column's type, where the mapping does not give it.
- ``x-column``: the column's name, where it is not the property's; false if it has none.
- ``x-table``: in a contract managed by hand, the table that keeps the property's items, or
  ``{"name", "filled_elsewhere"}``.
"""

from lift_sys.contracts.check import check
from lift_sys.contracts.contract import Contract, Version, Workspace
from lift_sys.contracts.diff import Bump, Change, Comparison, compare
from lift_sys.contracts.errors import ContractError, UnknownVersionError
from lift_sys.contracts.export import export, write_contract
from lift_sys.contracts.findings import Finding, Severity
from lift_sys.contracts.generate import PlannedMigration, plan, write
from lift_sys.contracts.tables import Decision, Table, decide, tables_for
from lift_sys.contracts.versions import Versions

__all__ = [
    "Bump",
    "Change",
    "Comparison",
    "Contract",
    "ContractError",
    "Decision",
    "Finding",
    "PlannedMigration",
    "Severity",
    "Table",
    "UnknownVersionError",
    "Version",
    "Versions",
    "Workspace",
    "check",
    "compare",
    "decide",
    "export",
    "plan",
    "tables_for",
    "write",
    "write_contract",
]
