"""A session store as it would be written table by table with supabase-py: one request a table.

This is the design that this library's own stands against: an update asks whether the session is
there, writes its row, then for each kind of item asks how many are stored and inserts the others
one by one. Nothing of it is atomic.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Self

import httpx
import psycopg
from postgrest import APIError
from supabase import Client, ClientOptions

from tests.benchmarks.measure import Act
from tests.benchmarks.ours import DRAFT
from tests.benchmarks.stack import SEED_SCHEMA, Site
from tests.benchmarks.subjects import Subject

# The stack gave this schema the migrations, as every schema that it serves: they go first.
_TABLES = f"""
drop schema if exists {SEED_SCHEMA} cascade;
create schema {SEED_SCHEMA};
create table {SEED_SCHEMA}.sessions (
  id uuid primary key, user_id text not null, status text not null, source text not null,
  original_input text not null, current_ir jsonb, revision_count integer not null,
  draft_count integer not null, hole_count integer not null, metadata jsonb not null,
  created_at timestamptz not null default now(), updated_at timestamptz not null default now()
);
create index sessions_of_user on {SEED_SCHEMA}.sessions (user_id, status);
create table {SEED_SCHEMA}.session_revisions (
  id uuid primary key default gen_random_uuid(),
  session_id uuid not null references {SEED_SCHEMA}.sessions (id) on delete cascade,
  revision_number integer not null, content text not null, revision_type text not null,
  target_hole text, metadata jsonb not null, created_at timestamptz not null,
  unique (session_id, revision_number)
);
create table {SEED_SCHEMA}.session_drafts (
  id uuid primary key default gen_random_uuid(),
  session_id uuid not null references {SEED_SCHEMA}.sessions (id) on delete cascade,
  draft_number integer not null, content jsonb not null, unique (session_id, draft_number)
);
create table {SEED_SCHEMA}.hole_resolutions (
  id uuid primary key default gen_random_uuid(),
  session_id uuid not null references {SEED_SCHEMA}.sessions (id) on delete cascade,
  hole_id text not null, content jsonb not null, unique (session_id, hole_id)
);
grant usage on schema {SEED_SCHEMA} to service_role;
grant all on all tables in schema {SEED_SCHEMA} to service_role;
notify pgrst, 'reload schema';
"""
_KINDS = ("session_revisions", "session_drafts", "hole_resolutions")
_ORDERS = (
    ("session_revisions", "revision_number", "revision_count"),
    ("session_drafts", "draft_number", "draft_count"),
    ("hole_resolutions", "hole_id", "hole_count"),
)
_PAGE = 1000
"""How many rows the project gives at the most for one request."""


class TableByTable(Subject):
    """Sessions in tables that the client reads and writes one by one."""

    name = "table by table"
    family = "supabase"
    kind = "theirs"
    answers = "dicts"
    refines = True
    blocking = True
    most_listed = 100
    most_contending = 0  # they would overwrite each other, or fork

    def __init__(self, site: Site) -> None:
        self._site = site
        self._http = httpx.Client(http2=False)
        options = ClientOptions(
            httpx_client=self._http, schema=SEED_SCHEMA, auto_refresh_token=False
        )
        self._client = Client(site.url, site.key, options)
        self._sessions: dict[str, dict[str, Any]] = {}

    async def open(self) -> None:
        with psycopg.connect(self._site.database_url, autocommit=True) as connection:
            connection.execute(_TABLES)
        await _served(self._client)

    async def close(self) -> None:
        self._http.close()

    async def create(self) -> Act:
        session = _session(["created"])
        return lambda: self._create(session)

    async def grow(self, session: str, texts: Sequence[str]) -> None:
        new = _session(texts)
        self._table("sessions").insert(_row(new)).execute()
        if texts:
            rows = [_revision(new, number) for number in range(1, len(texts) + 1)]
            self._table("session_revisions").insert(rows).execute()
        self._sessions[session] = new

    async def adopt(self, other: Self, session: str) -> None:
        self._sessions[session] = other._sessions[session]

    async def append(self, session: str, text: str) -> Act:
        held = self._sessions[session]

        def act() -> None:
            held["revisions"].append(text)
            self._update(held)

        return act

    async def refine(self, session: str, text: str) -> Act:
        held, draft = self._sessions[session], DRAFT.to_dict()

        def act() -> None:
            held["revisions"].append(text)
            held["drafts"].append(draft)
            self._update(held)

        return act

    async def load(self, session: str) -> Act:
        session_id = self._sessions[session]["id"]
        return lambda: self._get(session_id)

    async def refresh(self, session: str, text: str) -> Act:
        (await self.append(session, text))()
        return await self.load(session)  # there is no other way

    async def fill(self, count: int) -> None:
        for _ in range(count):
            new = _session(["listed"], user=str(count))
            self._table("sessions").insert(_row(new)).execute()
            self._table("session_revisions").insert(_revision(new, 1)).execute()

    async def latest(self, count: int) -> Act:
        return lambda: self._list(str(count))

    def _table(self, name: str) -> Any:
        return self._client.table(name)

    def _create(self, session: dict[str, Any]) -> None:
        self._table("sessions").insert(_row(session)).execute()
        for number in range(1, len(session["revisions"]) + 1):
            self._table("session_revisions").insert(_revision(session, number)).execute()

    def _update(self, session: dict[str, Any]) -> None:
        sessions = self._table("sessions")
        if not sessions.select("id").eq("id", session["id"]).execute().data:
            raise KeyError(session["id"])
        row = _row(session)
        self._table("sessions").update(row).eq("id", session["id"]).execute()
        stored = [self._count(kind, session["id"]) for kind in _KINDS]
        for number in range(stored[0] + 1, len(session["revisions"]) + 1):
            self._table("session_revisions").insert(_revision(session, number)).execute()
        for number in range(stored[1] + 1, len(session["drafts"]) + 1):
            self._table("session_drafts").insert(_draft(session, number)).execute()

    def _count(self, kind: str, session_id: str) -> int:
        # The number and not the rows: asked for as rows, more than a page would be cut short.
        asked = self._table(kind).select("id", count="exact").eq("session_id", session_id)
        return int(asked.limit(1).execute().count)

    def _get(self, session_id: str) -> dict[str, Any]:
        (session,) = self._table("sessions").select("*").eq("id", session_id).execute().data
        for kind, order, count in _ORDERS:
            session[kind] = self._rows(kind, session_id, order, session[count])
        found: dict[str, Any] = session
        return found

    def _rows(self, kind: str, session_id: str, order: str, count: int) -> list[Any]:
        rows: list[Any] = []
        while True:
            asked = self._table(kind).select("*").eq("session_id", session_id).order(order)
            page = asked.range(len(rows), len(rows) + _PAGE - 1).execute().data
            rows += page
            if len(rows) >= count or not page:
                return rows

    def _list(self, user: str) -> list[dict[str, Any]]:
        asked = self._table("sessions").select("id").eq("user_id", user).eq("status", "active")
        return [self._get(row["id"]) for row in asked.execute().data]


def _session(texts: Sequence[str], user: str = "bench") -> dict[str, Any]:
    return {"id": str(uuid.uuid4()), "user_id": user, "revisions": list(texts), "drafts": []}


def _row(session: dict[str, Any]) -> dict[str, Any]:
    revisions = session["revisions"]
    return {
        "id": session["id"],
        "user_id": session["user_id"],
        "status": "active",
        "source": "prompt",
        "current_ir": session["drafts"][-1]["ir"] if session["drafts"] else None,
        "original_input": revisions[0] if revisions else "(no input provided)",
        "revision_count": len(revisions),
        "draft_count": len(session["drafts"]),
        "hole_count": 0,
        "metadata": {},
        "updated_at": datetime.now(UTC).isoformat(),
    }


def _revision(session: dict[str, Any], number: int) -> dict[str, Any]:
    return {
        "session_id": session["id"],
        "revision_number": number,
        "content": session["revisions"][number - 1],
        "revision_type": "manual_edit",
        "metadata": {},
        "created_at": datetime.now(UTC).isoformat(),
    }


def _draft(session: dict[str, Any], number: int) -> dict[str, Any]:
    content = session["drafts"][number - 1]
    return {"session_id": session["id"], "draft_number": number, "content": content}


async def _served(client: Client) -> None:
    """Wait until the REST interface knows the tables."""
    for _ in range(100):
        try:
            client.table("sessions").select("id").limit(1).execute()
        except APIError:
            await asyncio.sleep(0.05)
        else:
            return
    raise TimeoutError("the tables are not served")
