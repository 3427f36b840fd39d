"""The session calls, answered from SQLite tables.

An item is one row that holds its JSON text exactly as it was encoded.
"""

import sqlite3
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar, get_args

from pydantic import BaseModel
from pydantic_core import from_json, to_json

from lift_sys.backends.call import Encoded, WriteKey
from lift_sys.backends.instants import format_instant, now, parse_instant
from lift_sys.backends.json_values import freeze
from lift_sys.backends.sqlite import Layout
from lift_sys.spec_sessions import rules
from lift_sys.spec_sessions.models import (
    Counts,
    HoleResolution,
    IRDraft,
    PromptRevision,
    SessionSummary,
    Snapshot,
    Status,
    preview_of,
)
from lift_sys.spec_sessions.records import (
    Base,
    CreateSessions,
    DeleteSession,
    GetSession,
    Header,
    Items,
    ListSessions,
    LoadedPage,
    LoadSessions,
    RefreshSession,
    Tail,
    UpdateSession,
    WriteRecord,
)

M = TypeVar("M", bound=BaseModel)
Row = tuple[Any, ...]

KEPT: Final = timedelta(hours=24)
"""How long a repeated write is recognised by its key (G8)."""

_REVISIONS, _DRAFTS, _RESOLUTIONS = 1, 2, 3

_VERSION_1 = (
    """
    create table sessions (
        key integer primary key,
        user_id text not null,
        id text not null,
        status text not null check (status in ('active', 'finalized', 'abandoned')),
        source text not null check (source in ('prompt', 'code')),
        preview text not null,
        metadata text not null,
        version integer not null,
        revision_count integer not null,
        draft_count integer not null,
        resolution_count integer not null,
        created_at text not null,
        updated_at text not null,
        finalized_at text,
        unique (user_id, id)
    )
    """,
    # The only one, because every append moves its session in it: see _latest.
    "create index sessions_latest_of_status on sessions (user_id, status, updated_at, id)",
    """
    create table items (
        session integer not null references sessions (key) on delete cascade,
        kind integer not null check (kind in (1, 2, 3)),
        number integer not null,
        body text not null,
        primary key (session, kind, number)
    )
    """,
    """
    create table writes (
        user_id text not null,
        key text not null,
        call text not null,
        fingerprint text not null,
        result text not null,
        written_at text not null,
        primary key (user_id, key)
    ) without rowid
    """,
    "create index writes_by_age on writes (written_at)",
)

_HEADER = "id, status, source, metadata, created_at, updated_at, finalized_at"
_COUNTS = "revision_count, draft_count, resolution_count"
_WHOLE = f"key, version, {_COUNTS}, {_HEADER}"
_FIND_STATE = (
    f"select key, version, created_at, {_COUNTS} from sessions"  # noqa: S608
    " where user_id = ? and id = ?"
)
# Without the id, which stays: the index of a column that is set is written anew, whatever is set.
_REPLACE_HEADER = (
    "update sessions set version = ?, preview = coalesce(?, preview),"
    " revision_count = ?, draft_count = ?, resolution_count = ?,"
    " status = ?, source = ?, metadata = ?, created_at = ?, updated_at = ?, finalized_at = ?"
    " where key = ?"
)

_MODELS: Final[dict[int, type[BaseModel]]] = {
    _REVISIONS: PromptRevision,
    _DRAFTS: IRDraft,
    _RESOLUTIONS: HoleResolution,
}


def _create(
    db: sqlite3.Connection, user_id: str, wanted: CreateSessions, key: WriteKey | None
) -> list[str]:
    if done := _replayed(db, user_id, "create_sessions", key):
        ids: list[str] = done.result
        return ids
    ids = []
    for new in wanted.sessions:
        header, items = new.header, new.items
        found = db.execute(
            "select 1 from sessions where user_id = ? and id = ?", (user_id, header.session_id)
        ).fetchone()
        rules.require_new(header.session_id, exists=found is not None)
        cursor = db.execute(
            f"insert into sessions (user_id, version, preview, {_COUNTS}, {_HEADER})"  # noqa: S608
            " values (?, 1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (user_id, _preview(items), *_counts(items), *_header_row(header)),
        )
        _insert_items(db, cursor.lastrowid, Counts(0, 0, 0), items)
        ids.append(header.session_id)
    _record(db, user_id, "create_sessions", key, ids)
    return ids


def _get(
    db: sqlite3.Connection, user_id: str, wanted: GetSession, _: WriteKey | None
) -> Snapshot | None:
    row = _find(db, user_id, wanted.session_id)
    return None if row is None else _snapshot(db, row)


def _update(
    db: sqlite3.Connection, user_id: str, wanted: UpdateSession, key: WriteKey | None
) -> int:
    if done := _replayed(db, user_id, "update_session", key):
        replayed: int = done.result
        return replayed
    row = db.execute(_FIND_STATE, (user_id, wanted.header.session_id)).fetchone()
    if row is None:
        raise rules.not_found(wanted.header.session_id)
    session, version, created_at, *counts = row
    before = Counts(*counts)
    plan = rules.plan_update(
        rules.StoredState(version, Base(parse_instant(created_at), before)),
        wanted,
        lambda: _stored_items(db, session),
    )
    _insert_items(db, session, before, plan.items)
    _apply(db, session, plan.applied)
    preview = None if before.revisions else _preview(plan.items)
    _, *header = _header_row(wanted.header)
    db.execute(_REPLACE_HEADER, (plan.version, preview, *plan.counts.each(), *header, session))
    _record(db, user_id, "update_session", key, plan.version)
    return plan.version


def _refresh(
    db: sqlite3.Connection, user_id: str, wanted: RefreshSession, _: WriteKey | None
) -> Tail:
    row = _find(db, user_id, wanted.session_id)
    if row is None:
        raise rules.not_found(wanted.session_id)
    known = wanted.base
    if known is None or not rules.extends(_base(row), known):
        return Tail(_snapshot(db, row), whole=True, applied=[])
    applied = [n for n in wanted.unapplied if _resolution(db, row[0], n).applied]
    return Tail(_snapshot(db, row, known.counts), whole=False, applied=applied)


def _delete(
    db: sqlite3.Connection, user_id: str, wanted: DeleteSession, _: WriteKey | None
) -> None:
    db.execute("delete from sessions where user_id = ? and id = ?", (user_id, wanted.session_id))


def _list(
    db: sqlite3.Connection, user_id: str, wanted: ListSessions, _: WriteKey | None
) -> list[SessionSummary]:
    after = wanted.after
    rows = db.execute(
        _latest(wanted),
        {
            "user_id": user_id,
            "source": wanted.source,
            "updated_at": after and format_instant(after.updated_at),
            "id": after and after.session_id,
            "limit": wanted.limit,
        },
    )
    return [_summary(row) for row in rows]


def _latest(wanted: ListSessions) -> str:
    """Return the query for the latest sessions of one status, or of all, merged as they come.

    The index has the sessions of each status in the order of a list, so that the database reads
    no more of them than the list has.
    """
    conditions = ["user_id = :user_id"]
    if wanted.source is not None:
        conditions.append("source = :source")
    if wanted.after is not None:
        conditions.append("(updated_at, id) < (:updated_at, :id)")
    parts = [
        f"select preview, version, {_COUNTS}, {_HEADER} from sessions"  # noqa: S608
        f" where {' and '.join(conditions)} and status = '{status}'"
        for status in get_args(Status)
        if wanted.status in (None, status)
    ]
    return f"{' union all '.join(parts)} order by updated_at desc, id desc limit :limit"


def _load(
    db: sqlite3.Connection, user_id: str, wanted: LoadSessions, _: WriteKey | None
) -> LoadedPage:
    rows = db.execute(
        f"select {_WHOLE} from sessions"  # noqa: S608
        " where user_id = ? and id > ? and (status = ? or ? is null) order by id",
        (user_id, wanted.after_id or "", wanted.status, wanted.status),
    ).fetchall()
    return LoadedPage([_snapshot(db, row) for row in rows], next_after_id=None)


def _find(db: sqlite3.Connection, user_id: str, session_id: str) -> Row | None:
    row: Row | None = db.execute(
        f"select {_WHOLE} from sessions where user_id = ? and id = ?",  # noqa: S608
        (user_id, session_id),
    ).fetchone()
    return row


def _base(row: Row) -> Base:
    return Base(parse_instant(row[9]), Counts(*row[2:5]))


def _header_row(header: Header) -> Row:
    return (
        header.session_id,
        header.status,
        header.source,
        header.metadata.json.decode(),
        format_instant(header.created_at),
        format_instant(header.updated_at),
        header.finalized_at and format_instant(header.finalized_at),
    )


def _header_values(row: Row) -> dict[str, Any]:
    return {
        "session_id": row[0],
        "status": row[1],
        "source": row[2],
        "metadata": freeze(from_json(row[3])),
        "created_at": parse_instant(row[4]),
        "updated_at": parse_instant(row[5]),
        "finalized_at": row[6] and parse_instant(row[6]),
    }


def _summary(row: Row) -> SessionSummary:
    preview, version, revisions, drafts, resolutions = row[:5]
    return SessionSummary(
        preview=preview,
        version=version,
        revision_count=revisions,
        draft_count=drafts,
        hole_count=resolutions,
        **_header_values(row[5:]),
    )


_NONE: Final = Counts(0, 0, 0)


def _snapshot(db: sqlite3.Connection, row: Row, start: Counts = _NONE) -> Snapshot:
    return Snapshot(
        version=row[1],
        revisions=_items(db, row[0], _REVISIONS, start.revisions),
        ir_drafts=_items(db, row[0], _DRAFTS, start.drafts),
        pending_resolutions=_items(db, row[0], _RESOLUTIONS, start.resolutions),
        **_header_values(row[5:]),
    )


def _items(db: sqlite3.Connection, key: int, kind: int, start: int = 0) -> list[Any]:
    rows = db.execute(
        "select body from items where session = ? and kind = ? and number > ? order by number",
        (key, kind, start),
    )
    decode = _MODELS[kind].__pydantic_validator__.validate_json
    return [decode(body) for (body,) in rows]


def _stored_items(db: sqlite3.Connection, key: int) -> rules.StoredItems:
    return rules.StoredItems(*(_items(db, key, kind) for kind in _MODELS))


def _resolution(db: sqlite3.Connection, key: int, number: int) -> HoleResolution:
    (body,) = db.execute(
        "select body from items where session = ? and kind = ? and number = ?",
        (key, _RESOLUTIONS, number),
    ).fetchone()
    return HoleResolution.model_validate_json(body)


def _apply(db: sqlite3.Connection, key: int, numbers: list[int]) -> None:
    for number in numbers:
        applied = _resolution(db, key, number).as_applied().model_dump_json()
        db.execute(
            "update items set body = ? where session = ? and kind = ? and number = ?",
            (applied, key, _RESOLUTIONS, number),
        )


def _insert_items(db: sqlite3.Connection, key: int | None, before: Counts, items: Items) -> None:
    kinds: tuple[list[Encoded[Any]], ...] = (items.revisions, items.drafts, items.resolutions)
    for kind, count, some in zip(_MODELS, before.each(), kinds, strict=True):
        for number, item in enumerate(some, count + 1):
            # One by one: executemany takes several times as long for the one that there mostly is.
            db.execute(
                "insert into items (session, kind, number, body) values (?, ?, ?, ?)",
                (key, kind, number, item.json.decode()),
            )


def _counts(items: Items) -> tuple[int, int, int]:
    return len(items.revisions), len(items.drafts), len(items.resolutions)


def _preview(items: Items) -> str:
    return preview_of([revision.value for revision in items.revisions[:1]])


def _replayed(
    db: sqlite3.Connection, user_id: str, call: str, write: WriteKey | None
) -> WriteRecord[Any] | None:
    if write is None:
        return None
    row = db.execute(
        "select call, fingerprint, result from writes"
        " where user_id = ? and key = ? and written_at >= ?",
        (user_id, write.key, _oldest_kept(now())),
    ).fetchone()
    record = row and WriteRecord(row[0], row[1], from_json(row[2]))
    return rules.replayed(record, call, write)


def _record(
    db: sqlite3.Connection, user_id: str, call: str, write: WriteKey | None, result: Any
) -> None:
    if write is None:
        return
    at = now()
    db.execute(
        "delete from writes where (user_id, key) in"
        " (select user_id, key from writes where written_at < ? order by written_at limit 100)",
        (_oldest_kept(at),),
    )
    db.execute(
        "insert into writes (user_id, key, call, fingerprint, result, written_at)"
        " values (?, ?, ?, ?, ?, ?)"
        " on conflict (user_id, key) do update set call = excluded.call,"
        " fingerprint = excluded.fingerprint, result = excluded.result,"
        " written_at = excluded.written_at",
        (user_id, write.key, call, write.fingerprint, to_json(result).decode(), format_instant(at)),
    )


def _oldest_kept(at: datetime) -> str:
    return format_instant(at - KEPT)


LAYOUT: Final = Layout(
    application_id=0x6C696674,
    migrations=(_VERSION_1,),
    handlers={
        "create_sessions": _create,
        "get_session": _get,
        "update_session": _update,
        "refresh_session": _refresh,
        "delete_session": _delete,
        "list_sessions": _list,
        "load_sessions": _load,
    },
)
