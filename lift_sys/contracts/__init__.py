"""Contracts: JSON Schema files from which migrations follow, and against which they are checked.

The path of a contract and its ``x-artifact-metadata`` say which table it needs (``decide``,
``tables_for``); ``plan`` gives the migrations that are missing, ``check`` finds where contracts,
migrations and a live database disagree, ``compare`` says what a change to a contract calls for,
``export`` makes a contract of a pydantic model, and ``Versions`` reads rows of every version.
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
