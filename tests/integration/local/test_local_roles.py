"""The stack answers as hosted Supabase does: keys, tokens, roles and limits."""

from pathlib import Path

import httpx
import pytest
from supabase import ClientOptions, create_client

from lift_sys.backends.migrations import migrate_up
from lift_sys.local import LocalSupabase
from tests.integration.local.processes import wait_for


def ask(stack: LocalSupabase, key: str | None, token: str | None = None) -> httpx.Response:
    headers = {}
    if key is not None:
        headers["apikey"] = key
    if token is not None:
        headers["authorization"] = f"Bearer {token}"
    return httpx.post(f"{stack.url}/rest/v1/rpc/whoami", json={}, headers=headers)


@pytest.mark.parametrize(
    ("key", "role", "timeout"),
    [
        ("anon_key", "anon", "3s"),
        ("publishable_key", "anon", "3s"),
        ("service_key", "service_role", "8s"),
        ("secret_key", "service_role", "8s"),
    ],
)
def test_a_key_speaks_for_its_role(stack: LocalSupabase, key: str, role: str, timeout: str) -> None:
    value = getattr(stack, key)
    expected = {"role": role, "sub": None, "timeout": timeout}
    assert ask(stack, value).json() == expected
    assert ask(stack, value, token=value).json() == expected


def test_a_users_token_decides_over_the_key(stack: LocalSupabase) -> None:
    expected = {"role": "authenticated", "sub": "ann", "timeout": "8s"}
    for key in (stack.anon_key, stack.publishable_key, stack.secret_key):
        assert ask(stack, key, token=stack.jwt("ann")).json() == expected


def test_a_missing_or_wrong_key_or_token_is_refused(stack: LocalSupabase) -> None:
    assert ask(stack, None).status_code == 401
    assert ask(stack, "nonsense").status_code == 401
    assert ask(stack, stack.anon_key, token="nonsense").status_code == 401
    expired = stack.jwt("ann", expires_in=-3600)
    assert ask(stack, stack.anon_key, token=expired).status_code == 401


def test_the_database_keeps_users_apart(stack: LocalSupabase) -> None:
    notes = f"{stack.url}/rest/v1/notes"

    def headers(user: str) -> dict[str, str]:
        return {"apikey": stack.anon_key, "authorization": f"Bearer {stack.jwt(user)}"}

    assert httpx.post(notes, json={"body": "of ann"}, headers=headers("ann")).status_code == 201
    query = {"body": "eq.of ann"}
    assert len(httpx.get(notes, params=query, headers=headers("ann")).json()) == 1
    assert httpx.get(notes, params=query, headers=headers("bob")).json() == []
    forged = httpx.post(notes, json={"body": "x", "user_id": "ann"}, headers=headers("bob"))
    assert forged.status_code == 403
    assert httpx.get(notes, headers={"apikey": stack.anon_key}).status_code == 401


def test_rows_past_a_thousand_are_cut_as_on_hosted_supabase(client: httpx.Client) -> None:
    assert len(client.post("/rpc/many", json={"n": 1001}).json()) == 1000


def test_what_the_gateway_does_not_know_is_not_found(stack: LocalSupabase) -> None:
    assert httpx.get(f"{stack.url}/auth/v1/health").status_code == 404


def test_headers_and_bodies_pass_unchanged(client: httpx.Client) -> None:
    body = "é\U0001f600" * 50_000
    made = client.post("/notes", json={"body": body}, headers={"prefer": "return=representation"})
    assert made.json()[0]["body"] == body
    assert made.headers["content-type"] == "application/json; charset=utf-8"
    ranged = client.get("/notes", headers={"range": "0-0", "prefer": "count=exact"})
    assert ranged.status_code in {200, 206}
    assert ranged.headers["content-range"].startswith("0-0/")
    head = client.head("/notes", headers={"prefer": "count=exact"})
    assert head.status_code == 200
    assert head.content == b""


def test_an_overlong_address_is_refused_as_such(client: httpx.Client) -> None:
    for length in (8200, 40_000):
        assert client.get("/notes", params={"body": "eq." + "x" * length}).status_code == 414


def test_a_later_migration_is_seen_without_a_restart(
    stack: LocalSupabase, client: httpx.Client, tmp_path: Path
) -> None:
    (tmp_path / "20260201000000_later.sql").write_text(
        "create function public.later() returns int language sql stable return 1;"
    )
    assert client.post("/rpc/later").status_code == 404
    migrate_up(stack.database_url, tmp_path)
    wait_for(lambda: client.post("/rpc/later").status_code == 200, "PostgREST to look again")


def test_supabase_py_works_against_it(stack: LocalSupabase) -> None:
    with httpx.Client() as http:
        supabase = create_client(
            stack.url, stack.secret_key, options=ClientOptions(httpx_client=http)
        )
        data = supabase.rpc("whoami", {}).execute().data
    assert data == {"role": "service_role", "sub": None, "timeout": "8s"}
