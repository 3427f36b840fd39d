"""A contract: a JSON Schema with an identity, a version and a say in how it is persisted."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from lift_sys.contracts.errors import ContractError
from lift_sys.contracts.naming import fit, snake_case
from lift_sys.contracts.schema import SchemaSet, View, pointer, read_json

SUFFIX: Final = ".schema.json"
UNCONTRACTED: Final = "uncontracted.json"
METADATA_KEY: Final = "x-artifact-metadata"
_PATH_PARTS: Final = 3
_VERSION: Final = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)", re.ASCII)


class Version(NamedTuple):
    """A semantic version, without pre-release or build parts; versions compare by precedence."""

    major: int
    minor: int
    patch: int

    @classmethod
    def parse(cls, text: object) -> "Version":
        """Return the version that ``text`` states.

        Raises:
            ValueError: it is not three numbers with dots between them.
        """
        match = _VERSION.fullmatch(text) if isinstance(text, str) else None
        if match is None:
            raise ValueError(f"{text!r} is no version such as 1.0.0")
        return cls(*map(int, match.groups()))

    def __str__(self) -> str:
        return ".".join(map(str, self))


class Persistence(BaseModel):
    """How a contract's values are kept: ``x-artifact-metadata.persistence``.

    Attributes:
        strategy: one JSONB document a row, one column a property, or no table; unsaid, the
            purpose decides.
        purpose: a contract table, or infrastructure with a template of its own.
        access: for the purpose "other", what is frequent: reading or writing.
        table: the table's name where it does not follow from the contract's path.
        key: the property that event logs are replayed by, and caches looked up by.
        managed: whether the table's migration is generated or written by hand.
        filled_elsewhere: the columns that no property fills, each with what fills it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    strategy: Literal["jsonb", "relational", "none"] | None = None
    purpose: Literal["contract", "event_log", "cache", "queue", "other"] = "contract"
    access: Literal["read", "write"] | None = None
    table: str | None = None
    key: str | None = None
    managed: Literal["generated", "by-hand"] = "generated"
    filled_elsewhere: dict[str, str] = {}


class ArtifactMetadata(BaseModel):
    """The part of ``x-artifact-metadata`` that matters here; other keys are for other readers.

    Attributes:
        domain: the domain, where it is not the second folder of the path.
        resource: the aspect, where it is not the file's name.
        direction: a consumed contract is kept by whoever produces it, so it needs no table here.
        model: the pydantic model that it is exported from, as ``package.module:Model``.
        persistence: how its values are kept.
    """

    model_config = ConfigDict(extra="allow", frozen=True)

    domain: str | None = None
    resource: str | None = None
    direction: Literal["produced", "consumed"] = "produced"
    model: str | None = None
    persistence: Persistence = Persistence()


@dataclass(frozen=True)
class Contract:
    """One contract file, valid as a schema and as a contract.

    Attributes:
        path: where it lies.
        file: how messages and generated files show that path.
        identity: its ``$id``.
        version: the version of the schema, not of any data.
        metadata: what it says of persistence.
        names: theme, domain and aspect, from the path or else the ``$id``; empty if neither tells.
        root: the schema itself.
    """

    path: Path
    file: str
    identity: str
    version: Version
    metadata: ArtifactMetadata
    names: tuple[str, ...]
    root: View

    @property
    def persistence(self) -> Persistence:
        """How its values are kept."""
        return self.metadata.persistence

    @property
    def title(self) -> str:
        """Its title, or its ``$id`` if it has none."""
        return str(self.root.schema.get("title") or self.identity)

    def says(self, key: str) -> Any:
        """Return the value of an extension key at the schema's root, or None."""
        return self.root.schema.get(key)

    @cached_property
    def table_name(self) -> str:
        """The name of its table: what the metadata says, else theme, domain and aspect.

        Raises:
            ContractError: neither gives a name.
        """
        if self.persistence.table is not None:
            name = self.persistence.table
            place = (METADATA_KEY, "persistence", "table")
            if not name or len(name.encode()) > len(fit(name).encode()):
                self.root.refuse(f"{name!r} is no table name of 1 to 63 bytes", *place)
            return name
        if not self.names:
            self.root.refuse(
                "neither path nor $id names a table: put it at {theme}/{domain}/{aspect}" + SUFFIX
            )
        parts = [snake_case(part) for part in self.names]
        if not all(parts):
            self.root.refuse(f"no table name can be made of {'/'.join(self.names)!r}")
        return fit("_".join(parts))


class Workspace:
    """The contracts below one folder.

    Args:
        root: the folder that holds ``{theme}/{domain}/{aspect}.schema.json``.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._schemas = SchemaSet(root)

    def load(self, path: Path) -> Contract:
        """Return the contract in ``path``.

        Raises:
            ContractError: it is no valid JSON Schema, or lacks what makes one a contract.
        """
        view = self._schemas.load(path)
        metadata = _metadata(view)
        try:
            version = Version.parse(view.schema.get("version"))
        except ValueError as error:
            view.refuse(str(error), "version")
        identity = view.schema.get("$id")
        if not isinstance(identity, str) or not identity.strip("#"):
            view.refuse("a contract needs an $id, such as match:dilemma:current", "$id")
        names = self._names(path, metadata) or _names_in(identity)
        return Contract(path, view.file, identity, version, metadata, names, view)

    def load_all(self) -> tuple[list[Contract], list[ContractError]]:
        """Return every contract below the root, by path, and the refusals of those that are none.

        Contracts whose ``$id`` or table was taken by an earlier path are among the refused.
        """
        contracts: list[Contract] = []
        refused: list[ContractError] = []
        for path in sorted(self.root.rglob(f"*{SUFFIX}")):
            try:
                contract = self.load(path)
                _refuse_second(contract, contracts)
            except ContractError as error:
                refused.append(error)
            else:
                contracts.append(contract)
        return contracts, refused

    def uncontracted(self) -> dict[str, str]:
        """Return the tables that need no contract, by name, and why: what the file of them says.

        Raises:
            ContractError: the file is there, and is no object of texts that say something.
        """
        path = self.root / UNCONTRACTED
        if not path.is_file():
            return {}
        tables = read_json(path, path.name)
        if not isinstance(tables, dict):
            raise ContractError(path.name, "", "is no object of tables and reasons")
        for name, reason in tables.items():
            if not isinstance(reason, str) or not reason.strip():
                raise ContractError(path.name, pointer(name), "says no reason")
        return tables

    def _names(self, path: Path, metadata: ArtifactMetadata) -> tuple[str, ...]:
        resolved, root = path.resolve(), self.root.resolve()
        if not resolved.is_relative_to(root):
            return ()
        *folders, name = resolved.relative_to(root).parts
        parts = [*folders, name.removesuffix(SUFFIX)]
        if len(parts) < _PATH_PARTS:
            return ()
        theme, *domain, aspect = parts
        return (theme, metadata.domain or "_".join(domain), metadata.resource or aspect)


def _names_in(identity: str) -> tuple[str, ...]:
    """Return theme, domain and aspect where the ``$id`` states them, as match:dilemma:current."""
    parts = tuple(identity.split(":"))
    return parts if len(parts) == _PATH_PARTS and all(snake_case(part) for part in parts) else ()


def refuse_collisions(contracts: Sequence[Contract], tables: Sequence[str]) -> None:
    """Raise a ``ContractError`` if two of ``contracts`` would have the same one of ``tables``."""
    owners: dict[str, Contract] = {}
    for contract, table in zip(contracts, tables, strict=True):
        first = owners.setdefault(table, contract)
        if first is not contract:
            contract.root.refuse(f"its table {table!r} is already that of {first.file}")


def _refuse_second(contract: Contract, earlier: Sequence[Contract]) -> None:
    twin = next((other for other in earlier if other.identity == contract.identity), None)
    if twin is not None:
        contract.root.refuse(f"the $id {contract.identity!r} is already that of {twin.file}", "$id")


def _metadata(view: View) -> ArtifactMetadata:
    try:
        return ArtifactMetadata.model_validate(view.schema.get(METADATA_KEY) or {})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = pointer(METADATA_KEY, *first["loc"])
        raise ContractError(view.file, place, first["msg"]) from error
