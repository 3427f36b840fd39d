"""From a contract to the table it needs: the decision, and what the table consists of.

The decision is a short walk, each step of which says why (``decide``): does anybody here keep the
values, is it a contract table or infrastructure, and then as documents or as columns. The patterns
give the table its columns: ``blob`` (one JSONB document a row), ``columns`` (one column a
property), ``event_log``, ``cache`` and ``queue``.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from lift_sys.contracts.contract import METADATA_KEY, Contract
from lift_sys.contracts.naming import fit, identifier, literal, snake_case
from lift_sys.contracts.schema import Shape, View
from lift_sys.contracts.types import Column, ForeignKey, Marker, column_for

ALL_OPERATIONS: Final = ("select", "insert", "update", "delete")
_ON_DELETE: Final = ("cascade", "restrict", "set null", "no action")
_QUEUE_STATES: Final = ("pending", "running", "completed", "failed")
_ROOT_KEYS: Final = {
    "x-foreign-key": ("foreign-keys", "add foreign keys, or say x-foreign-key"),
    "x-index": ("indexes", "add indexes for the common queries, or say x-index"),
    "x-owner": ("row-security", "add policies; until then only service_role gets in; or x-owner"),
    "x-updated-at": ("updated-at", "add a trigger that keeps updated_at, or say x-updated-at"),
}


@dataclass(frozen=True)
class Decision:
    """Whether a contract needs a table, of which pattern, and the reasons in order."""

    contract: Contract
    pattern: str | None
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Index:
    """An index; ``terms`` are SQL, ``where`` its condition or empty."""

    name: str
    terms: tuple[str, ...]
    method: str = "btree"
    unique: bool = False
    where: str = ""


@dataclass(frozen=True)
class Owner:
    """Whose a row is: the SQL ``expression`` that gives the user, and the ``subject`` it equals."""

    expression: str
    subject: str = "(select auth.jwt() ->> 'sub')"

    @property
    def condition(self) -> str:
        """The condition under which the caller may touch the row."""
        return f"{self.expression} = {self.subject}"


@dataclass(frozen=True)
class Table:
    """A table that a contract needs.

    Attributes:
        contract: the contract.
        name: its name in the schema public, unquoted.
        pattern: blob, columns, event_log, cache, queue, or by-hand where a hand-written
            migration makes it.
        columns: its columns in order.
        indexes: its indexes besides those of keys.
        owner: whose the rows are, or None if only ``service_role`` reaches them.
        operations: what may be done to its rows at all.
        keeps_updated_at: whether a trigger keeps ``updated_at``.
        markers: what is left to a reviewer.
        filled_elsewhere: further columns it may have, by who fills them.
    """

    contract: Contract
    name: str
    pattern: str
    columns: tuple[Column, ...]
    indexes: tuple[Index, ...] = ()
    owner: Owner | None = None
    operations: tuple[str, ...] = ALL_OPERATIONS
    keeps_updated_at: bool = False
    markers: tuple[Marker, ...] = ()
    filled_elsewhere: tuple[str, ...] = ()

    @property
    def is_by_hand(self) -> bool:
        """Whether its migration is written by hand."""
        return self.pattern == "by-hand"

    @property
    def referenced_tables(self) -> set[str]:
        """The other tables that its foreign keys name."""
        return {c.references.table for c in self.columns if c.references} - {self.name}


def decide(contract: Contract) -> Decision:
    """Return whether ``contract`` needs a table, of which pattern and why.

    Raises:
        ContractError: its metadata leave it open, or contradict each other.
    """
    says = contract.persistence
    if says.strategy == "none":
        return Decision(contract, None, ("strategy none: its values are not stored",))
    if contract.metadata.direction == "consumed":
        return Decision(contract, None, ("consumed: whoever produces it keeps it",))
    if says.managed == "by-hand":
        return Decision(contract, "by-hand", ("managed by hand: a hand-written migration",))
    if says.purpose in {"event_log", "cache", "queue"}:
        return Decision(contract, says.purpose, ("infrastructure", f"purpose {says.purpose}"))
    return _decide_by_access(contract) if says.purpose == "other" else _decide_contract(contract)


def _decide_contract(contract: Contract) -> Decision:
    if contract.persistence.strategy == "relational":
        reasons = ("a contract table", "strategy relational: one column a property")
        return Decision(contract, "columns", reasons)
    said = "strategy jsonb" if contract.persistence.strategy else "no strategy said"
    return Decision(contract, "blob", ("a contract table", f"{said}: one JSONB document a row"))


def _decide_by_access(contract: Contract) -> Decision:
    says = contract.persistence
    if says.strategy is not None:
        pattern = "columns" if says.strategy == "relational" else "blob"
        return Decision(contract, pattern, ("infrastructure", f"strategy {says.strategy}"))
    if says.access is None:
        contract.root.refuse(
            'the purpose "other" needs a strategy, or access: "read" or "write"',
            METADATA_KEY,
            "persistence",
        )
    pattern = "columns" if says.access == "read" else "blob"
    return Decision(contract, pattern, ("infrastructure", f"mostly {says.access}: {pattern}"))


def tables_for(contract: Contract) -> list[Table]:
    """Return the tables that ``contract`` needs; the first is its own.

    More than one comes only from a contract managed by hand, whose properties name their own
    tables with ``x-table``.

    Raises:
        ContractError: something the contract says has no place in its table.
    """
    pattern = decide(contract).pattern
    if pattern is None:
        return []
    if pattern == "by-hand":
        return list(_by_hand_tables(contract))
    columns = _BUILDERS[pattern](contract)
    _refuse_same_names(contract.root, columns)
    table = Table(contract, contract.table_name, pattern, tuple(columns))
    table = replace(table, owner=_owner(contract, table))
    if pattern == "event_log":
        table = replace(table, operations=("select", "insert"))
    keeps = _keeps_updated_at(table)
    table = replace(table, keeps_updated_at=keeps, indexes=tuple(_indexes(table)))
    return [replace(table, markers=tuple(_markers(table)))]


def _blob_columns(_: Contract) -> list[Column]:
    data = Column("data", "jsonb", why="the whole document", pointer="")
    return [_uuid_key(), data, *_stamps()]


def _relational_columns(contract: Contract) -> list[Column]:
    shape = _object_shape(contract)
    columns = _property_columns(shape)
    by_name = {column.name: column for column in columns}
    key = by_name.pop("id", None)
    if key is None:
        key = _uuid_key()
    elif key.type == "uuid" and key.default is None:
        key = replace(key, default="gen_random_uuid()")
    first = replace(key, is_key=True, nullable=False)
    rest = [c for c in columns if c.name not in {"id", "created_at", "updated_at"}]
    stamps = [_stamp_as_said(by_name.get(stamp.name), stamp) for stamp in _stamps()]
    return [first, *rest, *stamps]


def _stamp_as_said(said: Column | None, stamp: Column) -> Column:
    """Return the contract's own column where it has one, with the standard default if it may."""
    if said is None:
        return stamp
    if said.type != stamp.type or said.default is not None:
        return said
    return replace(said, default=stamp.default, nullable=False)


def _event_log_columns(contract: Contract) -> list[Column]:
    shape = contract.root.shape()
    own = _property_columns(shape) if shape.properties else []
    for column in own:
        if column.name == "id":
            contract.root.refuse(f"{column.pointer}: an event log numbers its rows; say x-column")
    names = {column.name for column in own}
    key = _key_name(contract, shape, "aggregate_id")
    template = [
        Column(key, "bigint", why="what events are replayed by"),
        _short_text("event_type", 50),
        Column("event_data", "jsonb", why="the event"),
        Column("timestamp", "timestamptz", why="when it happened"),
    ]
    needed = {key, "timestamp"} if own else {column.name for column in template}
    added = [c for c in template if c.name in needed and c.name not in names]
    own = [replace(c, nullable=False) if c.name in {key, "timestamp"} else c for c in own]
    number = Column("id", "bigint", is_key=True, identity=True, why="numbered by Postgres")
    created = next((c for c in own if c.name == "created_at"), None)
    rest = [c for c in [*added, *own] if c.name != "created_at"]
    return [number, *rest, _stamp_as_said(created, _stamps()[0])]


def _cache_columns(contract: Contract) -> list[Column]:
    shape = contract.root.shape()
    key = _key_name(contract, shape, "lookup_key")
    columns = {c.name: c for c in _property_columns(shape)} if shape.properties else {}
    lookup = columns.get(key, Column(key, "uuid", why="what it is looked up by"))
    return [
        _uuid_key(),
        replace(lookup, nullable=False),
        Column("cached_data", "jsonb", why="the payload"),
        Column("expires_at", "timestamptz", nullable=True, why="when it goes stale"),
        *_stamps(),
    ]


def _queue_columns(_: Contract) -> list[Column]:
    listed = ", ".join(map(literal, _QUEUE_STATES))
    return [
        _uuid_key(),
        _short_text("job_type", 50),
        Column(
            "status",
            "text",
            checks=(f"status in ({listed})",),
            allowed=_QUEUE_STATES,
            why="where the job stands",
        ),
        Column("priority", "integer", default="0", why="higher goes first"),
        Column("scheduled_at", "timestamptz", why="not before"),
        Column("job_data", "jsonb", why="the job"),
        *_stamps(),
    ]


_BUILDERS: Final[dict[str, Callable[[Contract], list[Column]]]] = {
    "blob": _blob_columns,
    "columns": _relational_columns,
    "event_log": _event_log_columns,
    "cache": _cache_columns,
    "queue": _queue_columns,
}


def _uuid_key() -> Column:
    default = "gen_random_uuid()"
    return Column("id", "uuid", default=default, is_key=True, why="the standard primary key")


def _stamps() -> tuple[Column, Column]:
    created, updated = (
        Column(name, "timestamptz", default="now()", why="a standard column")
        for name in ("created_at", "updated_at")
    )
    return created, updated


def _short_text(name: str, longest: int) -> Column:
    # text with a CHECK accepts what varchar(n) does, and widening it later locks nothing.
    return Column(name, "text", checks=(f"char_length({name}) <= {longest}",), why="a short name")


def _key_name(contract: Contract, shape: Shape, otherwise: str) -> str:
    key = contract.persistence.key
    if key is None:
        return otherwise
    if key in shape.properties:
        return _column_name(key, shape.property_shape(key)) or otherwise
    return snake_case(key) or otherwise


def _object_shape(contract: Contract) -> Shape:
    shape = contract.root.shape()
    if shape.types != {"object"} and not (shape.properties and "object" in shape.types):
        contract.root.refuse("strategy relational needs an object with properties")
    if not shape.properties:
        contract.root.refuse("strategy relational needs properties to make columns of")
    return shape


def _property_columns(shape: Shape) -> list[Column]:
    """Return a column for each property that has one, in the order of the contract."""
    return [column for column, _ in _columns_of_properties(shape)]


def _columns_of_properties(shape: Shape) -> Iterator[tuple[Column, bool]]:
    """Yield the columns of the properties, in order, and whether each property is required."""
    for name, views in shape.properties.items():
        required = name in shape.required
        if any(view.schema is False for view in views):
            if required:
                views[0].refuse("it is required, and yet no value satisfies it")
            continue
        property_shape = Shape.of(views)
        column_name = _column_name(name, property_shape)
        if column_name is None or property_shape.get("x-table") is not None:
            continue
        column = column_for(column_name, property_shape, required=required)
        yield replace(column, references=_foreign_key(property_shape)), required


def _column_name(name: str, shape: Shape) -> str | None:
    """Return the column of the property ``name``, or None if ``x-column`` is false."""
    said = shape.get("x-column")
    if said is False:
        return None
    if said is not None and (not isinstance(said, str) or not said or fit(said) != said):
        shape.view.refuse("x-column is a name of 1 to 63 bytes, or false", "x-column")
    column = said or fit(snake_case(name))
    if not column:
        shape.view.refuse(f"no column name can be made of {name!r}: say x-column")
    return str(column)


def _foreign_key(shape: Shape) -> ForeignKey | None:
    said = shape.get("x-foreign-key")
    if said is None or said is False:
        return None
    says = said if isinstance(said, dict) else {"table": said}
    table = str(says.get("table", "")).removeprefix("public.")
    column, action = says.get("column", "id"), says.get("on_delete", "no action")
    if not table or not isinstance(column, str) or action not in _ON_DELETE:
        actions = ", ".join(_ON_DELETE)
        shape.view.refuse(
            f"needs table, and may have column and on_delete ({actions})", "x-foreign-key"
        )
    return ForeignKey(table, column, action)


def _refuse_same_names(view: View, columns: Sequence[Column]) -> None:
    seen: dict[str, Column] = {}
    for column in columns:
        first = seen.setdefault(column.name, column)
        if first is not column:
            reason = f"the column {column.name!r} is also that of {first.pointer or 'the template'}"
            view.refuse(f"{reason}; say x-column", *column.pointer.removeprefix("/").split("/"))


def _owner(contract: Contract, table: Table) -> Owner | None:
    said = contract.says("x-owner")
    if said is None or said is False:
        return None
    shape = contract.root.shape()
    if not isinstance(said, str) or said not in shape.properties:
        contract.root.refuse("x-owner names a property, or is false", "x-owner")
    if said not in shape.required:
        contract.root.refuse(f"the owner {said!r} must be among the required properties", "x-owner")
    return _owner_of_document(table, said) or _owner_of_column(contract, table, said, shape)


def _owner_of_document(table: Table, name: str) -> Owner | None:
    documents = {"blob": "data", "cache": "cached_data", "queue": "job_data"}
    if table.pattern not in documents:
        return None
    return Owner(f"({documents[table.pattern]} ->> {literal(name)})")


def _owner_of_column(contract: Contract, table: Table, name: str, shape: Shape) -> Owner:
    column_name = _column_name(name, shape.property_shape(name))
    column = next((c for c in table.columns if c.name == column_name), None)
    if column is None or column.type not in {"text", "uuid"} or column.nullable:
        contract.root.refuse(f"the owner {name!r} needs a column of text or uuid", "x-owner")
    if column.type == "uuid":
        return Owner(identifier(column.name), "(select (auth.jwt() ->> 'sub')::uuid)")
    return Owner(identifier(column.name))


def _keeps_updated_at(table: Table) -> bool:
    column = next((c for c in table.columns if c.name == "updated_at"), None)
    if column is None or column.type != "timestamptz":
        return False
    said = table.contract.says("x-updated-at")
    # Nothing of a JSONB table is left to a reviewer, so there silence means yes.
    return said is True or (said is None and table.pattern != "columns")


def _markers(table: Table) -> Iterator[Marker]:
    if table.pattern != "columns":
        yield from (m for c in table.columns for m in c.markers if m.topic != "normalization")
        return
    settled = {
        "x-foreign-key": any(c.references for c in table.columns),
        "x-index": bool(table.indexes),
        "x-updated-at": all(c.name != "updated_at" for c in table.columns),
    }
    for key, (topic, text) in _ROOT_KEYS.items():
        if table.contract.says(key) is None and not settled.get(key, False):
            yield Marker(topic, text)
    for column in table.columns:
        yield from column.markers


def _indexes(table: Table) -> Iterator[Index]:
    standing = {
        "blob": [Index(fit(f"idx_{table.name}_data"), ("data",), method="gin")],
        "event_log": [_event_index(table)],
        "cache": [_cache_index(table)],
        "queue": [_queue_index(table)],
    }
    yielded: list[Index] = []
    for index in [*standing.get(table.pattern, []), *_said_indexes(table), *_needed(table)]:
        if not any(index.terms == other.terms[: len(index.terms)] for other in yielded):
            yielded.append(index)
            yield index


def _event_index(table: Table) -> Index:
    shape = table.contract.root.shape()
    key = identifier(_key_name(table.contract, shape, "aggregate_id"))
    return Index(fit(f"idx_{table.name}_aggregate"), (key, "timestamp desc"))


def _cache_index(table: Table) -> Index:
    return Index(fit(f"idx_{table.name}_lookup"), (identifier(table.columns[1].name),))


def _queue_index(table: Table) -> Index:
    terms = ("status", "priority desc", "scheduled_at")
    return Index(fit(f"idx_{table.name}_queue"), terms, where="status in ('pending', 'running')")


def _said_indexes(table: Table) -> Iterator[Index]:
    """Yield the indexes that the contract asks for: at its root, then property by property."""
    contract = table.contract
    said = contract.says("x-index")
    for position, entry in enumerate(said if isinstance(said, list) else []):
        says = entry if isinstance(entry, dict) else {"columns": entry}
        columns, unique = says.get("columns"), says.get("unique", False)
        names = [columns] if isinstance(columns, str) else columns
        place = contract.root.child("x-index", position)
        if not isinstance(names, list) or not names or not isinstance(unique, bool):
            place.refuse("an index is a list of properties, or {columns, unique}")
        yield _index(table, place, names, unique=unique)
    shape = contract.root.shape()
    for name in shape.properties:
        wish = shape.property_shape(name).get("x-index") if _may_ask(shape, name) else None
        if wish is not None and wish is not False:
            yield _index(table, contract.root, [name], unique=wish == "unique")


def _may_ask(shape: Shape, name: str) -> bool:
    return all(view.schema is not False for view in shape.properties[name])


def _index(table: Table, place: View, names: Iterable[Any], *, unique: bool) -> Index:
    terms: list[str] = []
    for entry in names:
        name, _, order = str(entry).partition(" ")
        term = _index_term(table, name)
        if term is None or order not in {"", "asc", "desc"}:
            place.refuse(f"{entry!r} is no property or column, with or without asc or desc")
        terms.append(f"{term} desc" if order == "desc" else term)
    kind = "key" if unique else "idx"
    label = "_".join(snake_case(str(entry)) for entry in names)
    return Index(fit(f"{kind}_{table.name}_{label}"), tuple(terms), unique=unique)


def _index_term(table: Table, name: str) -> str | None:
    columns = {column.name for column in table.columns}
    shape = table.contract.root.shape()
    if name in shape.properties:
        column = _column_name(name, shape.property_shape(name))
        if column in columns:
            return identifier(column or name)
        if table.pattern == "blob":
            return f"(data ->> {literal(name)})"
    return identifier(name) if name in columns else None


def _needed(table: Table) -> Iterator[Index]:
    """Yield what policies and foreign keys need, so that neither reads the whole table."""
    if table.owner is not None:
        yield Index(fit(f"idx_{table.name}_owner"), (table.owner.expression,))
    for column in table.columns:
        if column.references is not None:
            yield Index(fit(f"idx_{table.name}_{column.name}"), (identifier(column.name),))


def _by_hand_tables(contract: Contract) -> Iterator[Table]:
    """Yield the contract's own table, then those that its properties name with ``x-table``."""
    shape = _object_shape(contract)
    elsewhere = contract.persistence.filled_elsewhere
    own = _by_hand_table(contract, contract.table_name, shape, tuple(elsewhere))
    if contract.says("x-owner") not in (None, False) and own.owner is None:
        contract.root.refuse("x-owner names a column of the table, or is false", "x-owner")
    yield own
    for name in shape.properties:
        property_shape = shape.property_shape(name)
        said = property_shape.get("x-table")
        if said is None:
            continue
        says = said if isinstance(said, dict) else {"name": said}
        table, others = says.get("name"), says.get("filled_elsewhere", {})
        if not isinstance(table, str) or not table or not isinstance(others, dict):
            property_shape.view.refuse("x-table is a table's name, or {name, filled_elsewhere}")
        yield _by_hand_table(contract, table, _row_shape(property_shape), tuple(others))


def _row_shape(shape: Shape) -> Shape:
    """Return what one row accepts: an item of the array, or the object itself."""
    if shape.types == {"array"}:
        items = [
            layer.view.child("items") for layer in shape.layers if "items" in layer.view.schema
        ]
        if items:
            shape = Shape.of(items)
    if shape.types != {"object"} or not shape.properties:
        shape.view.refuse("x-table stands at an object with properties, or an array of them")
    return shape


def _by_hand_table(
    contract: Contract, name: str, shape: Shape, filled_elsewhere: tuple[str, ...]
) -> Table:
    # Who writes a row fills what is required: a default of the column then never counts.
    columns = tuple(
        replace(column, default=None) if required else column
        for column, required in _columns_of_properties(shape)
    )
    _refuse_same_names(shape.view, columns)
    owner = contract.says("x-owner")
    known = [*(column.name for column in columns), *filled_elsewhere]
    return Table(
        contract,
        name,
        "by-hand",
        columns,
        owner=Owner(identifier(owner)) if owner in known else None,
        filled_elsewhere=filled_elsewhere,
    )
