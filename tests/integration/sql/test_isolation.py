"""Isolation (G11), tried as an attacker would: over raw HTTP, any token, id, key and header."""

import base64
import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import jwt
import psycopg
import pytest

from lift_sys.backends.errors import PermissionDeniedError, SessionStoreError
from lift_sys.local import LocalSupabase
from lift_sys.spec_sessions import (
    HoleResolution,
    IRDraft,
    PostgresSessionStore,
    PromptSession,
    SupabaseSessionStore,
)
from tests.databases import ask
from tests.integration.sql.conftest import OTHER_SCHEMA, Query

TABLES = ("sessions", "session_revisions", "session_drafts", "hole_resolutions")
SECRET = "the plan of ann"
KEY = "anns-key"


@dataclass(frozen=True)
class Victim:
    """Ann, and the session that nobody else may learn of."""

    user_id: str
    session: PromptSession


@pytest.fixture(scope="module")
def ann(stack: LocalSupabase) -> Iterator[Victim]:
    session = PromptSession.create_new(source="prompt", original_input=SECRET)
    session.add_draft(IRDraft(version=1, ir={"intent": {"summary": SECRET}}))
    session.add_resolution(
        HoleResolution(hole_id="h", resolution_text=SECRET, resolution_type="add_constraint")
    )
    with SupabaseSessionStore(stack.url, stack.service_key, "ann") as store:
        store.create(session, idempotency_key=KEY)
        yield Victim("ann", session)
        assert store.get(session.session_id) == session, "the attacks left it as it was"


def client(stack: LocalSupabase, token: str | None) -> httpx.Client:
    headers = {"apikey": stack.anon_key}
    if token is not None:
        headers["authorization"] = f"Bearer {token}"
    return httpx.Client(base_url=f"{stack.url}/rest/v1", headers=headers, timeout=20)


@pytest.fixture
def bob(stack: LocalSupabase) -> Iterator[httpx.Client]:
    with client(stack, stack.jwt("bob")) as http:
        yield http


def forged(claims: dict[str, Any], secret: str, algorithm: str = "HS256") -> str:
    return jwt.encode({"exp": int(time.time()) + 3600} | claims, secret, algorithm=algorithm)


def unsigned(claims: dict[str, Any]) -> str:
    parts = [{"alg": "none", "typ": "JWT"}, {"exp": int(time.time()) + 3600} | claims]
    texts = (base64.urlsafe_b64encode(json.dumps(part).encode()) for part in parts)
    return ".".join(text.decode().rstrip("=") for text in texts) + "."


def resigned(token: str, **claims: str) -> str:
    """Return a real token with other claims and its old signature."""
    head, body, signature = token.split(".")
    known = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    changed = base64.urlsafe_b64encode(json.dumps(known | claims).encode()).decode().rstrip("=")
    return f"{head}.{changed}.{signature}"


WRONG = "another secret, of more than thirty-two bytes"
BAD_TOKENS: dict[str, Callable[[LocalSupabase], str | None]] = {
    "none": lambda _: None,
    "expired": lambda stack: stack.jwt("ann", expires_in=-60),
    "wrong secret": lambda _: forged({"sub": "ann", "role": "authenticated"}, WRONG),
    "wrong secret, service": lambda _: forged({"role": "service_role"}, WRONG),
    "unsigned": lambda _: unsigned({"sub": "ann", "role": "authenticated"}),
    "unsigned service": lambda _: unsigned({"role": "service_role"}),
    "made a service's": lambda stack: resigned(stack.jwt("bob"), role="service_role"),
    "made ann's": lambda stack: resigned(stack.jwt("bob"), sub="ann"),
    "wrong role": lambda stack: stack.jwt("ann", role="authenticator"),
    "unknown role": lambda stack: stack.jwt("ann", role="nobody_at_all"),
    "the owner": lambda stack: stack.jwt("ann", role="postgres"),
    "anon": lambda stack: stack.jwt("ann", role="anon"),
}


def header(session_id: str) -> dict[str, Any]:
    at = "2026-01-01T00:00:00Z"
    return {
        "session_id": session_id, "status": "active", "source": "prompt", "metadata": {},
        "created_at": at, "updated_at": at, "finalized_at": None,
    }  # fmt: skip


def calls(victim: Victim) -> dict[str, dict[str, Any]]:
    """Return the arguments of each function, aimed at the victim's session."""
    session = victim.session
    nothing: dict[str, Any] = {"revisions": [], "drafts": [], "resolutions": []}
    base = {
        "created_at": session.created_at.isoformat(),
        "counts": {"revisions": 1, "drafts": 1, "resolutions": 1},
    }
    update = {
        "header": header(session.session_id), "expected_version": 1, "items": nothing,
        "base": base, "applied": [1],
    }  # fmt: skip
    reads = {
        "get_session_v1": {"session_id": session.session_id},
        "refresh_session_v1": {"session_id": session.session_id, "base": base, "unapplied": [1]},
        "list_sessions_v1": {"status": None, "source": None, "limit": 50, "after": None},
        "load_sessions_v1": {"status": None, "after_id": None},
    }
    writes = {
        "create_sessions_v1": {
            "sessions": [{"header": header(session.session_id), "items": nothing}]
        },
        "update_session_v1": update,
        "delete_session_v1": {"session_id": session.session_id},
    }
    write = {"key": KEY, "fingerprint": "x"}
    return {name: {"p_arguments": value} for name, value in reads.items()} | {
        name: {"p_arguments": value, "p_write": write} for name, value in writes.items()
    }


def betrays(answer: httpx.Response, victim: Victim) -> bool:
    """Whether an answer says what only the victim knows."""
    return SECRET in answer.text


@pytest.mark.parametrize("name", BAD_TOKENS)
def test_a_bad_token_reaches_no_table_and_no_function(
    stack: LocalSupabase, ann: Victim, name: str
) -> None:
    with client(stack, BAD_TOKENS[name](stack)) as http:
        answers = [http.get(f"/{table}") for table in TABLES]
        for function, body in calls(ann).items():
            answers.append(http.post(f"/rpc/{function}", json={"p_user_id": "ann"} | body))
        for answer in answers:
            assert answer.status_code in {400, 401, 403}, answer.text
            assert not betrays(answer, ann)


@pytest.mark.parametrize("function", list(calls(Victim("", PromptSession.create_new("prompt")))))
def test_a_foreign_user_id_learns_and_does_nothing(
    bob: httpx.Client, ann: Victim, function: str
) -> None:
    body = {"p_user_id": "ann"} | calls(ann)[function]
    unknown = json.loads(json.dumps(body).replace(ann.session.session_id, "no-such-session"))
    known, other = (bob.post(f"/rpc/{function}", json=b) for b in (body, unknown))
    assert not betrays(known, ann)
    # The same answer, word for word, whether ann has such a session or not.
    assert known.status_code == other.status_code
    assert known.text.replace(ann.session.session_id, "no-such-session") == other.text
    if "p_write" in body:
        assert known.json()["code"] == "42501"


@pytest.mark.parametrize("function", list(calls(Victim("", PromptSession.create_new("prompt")))))
def test_with_their_own_id_others_see_their_own_sessions_only(
    stack: LocalSupabase, ann: Victim, function: str, user: str
) -> None:
    with client(stack, stack.jwt(user)) as http:
        answer = http.post(f"/rpc/{function}", json={"p_user_id": user} | calls(ann)[function])
    assert not betrays(answer, ann)
    assert answer.status_code in {200, 404}


@pytest.mark.parametrize("table", TABLES)
def test_tables_show_others_nothing(
    bob: httpx.Client, ann: Victim, stack: LocalSupabase, table: str
) -> None:
    embedding = "*,session_revisions(*),session_drafts(*),hole_resolutions(*)"
    for params, headers in (
        ({}, {}),
        ({"user_id": "eq.ann"}, {"prefer": "count=exact"}),
        ({"or": "(user_id.eq.ann,user_id.neq.ann)"}, {"prefer": "count=estimated"}),
        ({"select": embedding if table == "sessions" else "*,sessions(*)"}, {}),
        ({"user_id": "eq.ann"}, {"accept": "application/vnd.pgrst.plan+json"}),
        ({"user_id": "eq.ann"}, {"range": "0-1000", "prefer": "count=planned"}),
        ({}, {"accept-profile": OTHER_SCHEMA}),
    ):
        answer = bob.get(f"/{table}", params=params, headers=headers)
        assert not betrays(answer, ann)
        assert answer.status_code in {200, 206, 406, 415}
        if answer.status_code == 200:
            assert answer.json() == []
        if headers.get("prefer") == "count=exact":
            assert answer.headers["content-range"] == "*/0"


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("whose", ["ann", "bob"])
def test_tables_are_written_by_calls_alone(
    bob: httpx.Client, ann: Victim, table: str, whose: str, query: Query
) -> None:
    before = query(f"select count(*), min(xmin::text::bigint) from public.{table}")
    row = {"user_id": whose, "id": "x", "session_id": ann.session.session_id}
    for prefer in ("return=representation", "resolution=merge-duplicates", "missing=default"):
        headers = {"prefer": f"{prefer},tx=commit"}
        mine = {"user_id": f"eq.{whose}"}
        for answer in (
            bob.post(f"/{table}", json=row, headers=headers),
            bob.patch(f"/{table}", params=mine, json={"user_id": "bob"}, headers=headers),
            bob.patch(f"/{table}", params=mine, json={"applied": False}, headers=headers),
            bob.delete(f"/{table}", params=mine, headers=headers),
        ):
            assert not betrays(answer, ann)
            assert answer.status_code in {400, 403, 404} or answer.text in {"", "[]"}
    assert query(f"select count(*), min(xmin::text::bigint) from public.{table}") == before


def test_nothing_internal_can_be_called(bob: httpx.Client, ann: Victim) -> None:
    for name in ("claim_session_write_v1", "add_session_items_v1", "session_json_v1",
                 "lock_session_v1", "base_session_update_v1", "forget_old_writes_v1", "set_config",
                 "current_setting", "jwt"):  # fmt: skip
        for profile in ("public", "lift_sys_internal", "pg_catalog", "auth"):
            answer = bob.post(
                f"/rpc/{name}", json={"p_user_id": "ann"}, headers={"content-profile": profile}
            )
            assert answer.status_code in {404, 406}, answer.text
    hidden = bob.get("/session_writes", headers={"accept-profile": "lift_sys_internal"})
    assert hidden.status_code == 406
    assert bob.get("/session_writes").status_code == 404


def test_odd_arguments_are_refused_without_a_word_of_others(bob: httpx.Client, ann: Victim) -> None:
    sid = ann.session.session_id
    odd: list[Any] = [
        [], "x", 1, None, {"session_id": {"a": sid}}, {"session_id": [sid]},
        {"session_id": f"{sid}' or 'a'='a"}, {"limit": -1}, {"limit": None},
        {"base": 1, "session_id": sid}, {"sessions": 1}, {"header": None},
    ]  # fmt: skip
    for arguments in odd:
        for function in calls(ann):
            body: dict[str, Any] = {"p_user_id": "bob", "p_arguments": arguments}
            if "p_write" in calls(ann)[function]:
                body["p_write"] = {"key": None}
            answer = bob.post(f"/rpc/{function}", json=body)
            assert not betrays(answer, ann)
            assert answer.status_code < 500 or answer.json()["code"].startswith("P"), answer.text
    for answer in (
        bob.get("/rpc/get_session_v1", params={"p_user_id": "ann", "p_arguments": "{}"}),
        bob.post("/rpc/get_session_v1", json=[{"p_user_id": "ann", "p_arguments": {}}]),
        bob.post("/rpc/get_session_v1", json={"p_user_id": None, "p_arguments": {}}),
        bob.post("/rpc/list_sessions_v1", params={"columns": "p_user_id"}, json={"p_user_id": "a"}),
    ):
        assert not betrays(answer, ann)
        assert answer.status_code < 500


def test_ids_keys_and_cursors_of_others_are_free_for_everybody(
    stack: LocalSupabase, ann: Victim
) -> None:
    with (
        SupabaseSessionStore(stack.url, stack.anon_key, "carl", stack.jwt("carl")) as store,
        SupabaseSessionStore(stack.url, stack.service_key, "ann") as hers,
    ):
        more = [PromptSession.create_new("code", original_input=SECRET) for _ in range(3)]
        hers.create_many(more)
        cursor = hers.list_page(limit=1).next_cursor
        assert store.list_page(cursor=cursor).items == []
        own = PromptSession.create_new("code", original_input="of carl")
        own.session_id = ann.session.session_id
        store.create(own, idempotency_key=KEY)
        assert [s.session_id for s in store.list_all()] == [own.session_id]
        store.delete(own.session_id)
        for session in more:
            assert store.get(session.session_id) is None
            hers.delete(session.session_id)


def without_filter(url: str) -> None:
    """Rewrite every function so that it no longer asks whose the rows are."""
    for name, text in ask(
        url,
        "select p.proname, pg_get_functiondef(p.oid) from pg_proc p"
        " where p.pronamespace::regnamespace::text in ('public', 'lift_sys_internal')",
    ):
        careless = re.sub(
            r"\b\w\.user_id = p_user_id(?= and|$|\n)", "true", text, flags=re.MULTILINE
        )
        ask(url, careless)
        assert "user_id = p_user_id" not in careless, name


@pytest.fixture
def careless(scratch: str) -> str:
    without_filter(scratch)
    return scratch


def test_row_security_alone_keeps_users_apart(careless: str) -> None:
    session = PromptSession.create_new("prompt", original_input=SECRET)
    with PostgresSessionStore(careless, "ann") as hers, hers.for_user("bob") as store:
        hers.create(session)
        other = PromptSession.create_new("prompt", original_input="of bob")
        store.create(other)
        assert store.get(session.session_id) is None
        assert [s.session_id for s in store.list_all()] == [other.session_id]
        assert [s.session_id for s in store.list_page().items] == [other.session_id]
        store.delete(session.session_id)
        stolen = PromptSession.from_dict(session.to_dict())
        stolen.abandon()
        with pytest.raises(SessionStoreError, match="has no session"):
            store.update(stolen)
        assert hers.get(session.session_id) == session


def test_without_row_security_the_same_functions_would_mix_them_up(careless: str) -> None:
    """The check of the check above: what it removes is indeed what kept users apart."""
    session = PromptSession.create_new("prompt", original_input=SECRET)
    with PostgresSessionStore(careless, "ann", row_security=False) as hers:
        hers.create(session)
        assert hers.for_user("bob").get(session.session_id) is not None


def test_a_login_that_is_not_a_member_of_the_role_is_refused(stack: LocalSupabase) -> None:
    ask(stack.database_url, "create role stranger login password 'stranger'")
    place = psycopg.conninfo.conninfo_to_dict(stack.database_url)
    url = f"postgresql://stranger:stranger@{place['host']}:{place['port']}/postgres"
    for row_security in (True, False):
        with (
            PostgresSessionStore(url, "ann", row_security=row_security) as store,
            pytest.raises(PermissionDeniedError),
        ):
            store.list_all()
