"""Who is let in: tokens, published keys, and the one user of this machine."""

import asyncio
import base64
import hmac
import json
import time
from collections.abc import Iterator
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from starlette.testclient import TestClient

from lift_sys.api.settings import Settings
from lift_sys.auth import (
    MAX_TOKEN_LENGTH,
    CurrentUser,
    KeysUnavailableError,
    NotSignedInError,
    PublishedKeys,
    TokenSignIn,
    is_loopback,
)
from tests.unit.api.clients import LOCAL, client_of
from tests.unit.api.issuers import ISSUER, SECRET, Key, KeyServer, claims, put_together, signed
from tests.unit.api.test_sessions import kind

RSA_KEY, EC_KEY = Key("one", "RS256"), Key("two", "ES256")


@pytest.fixture
def server() -> Iterator[KeyServer]:
    server = KeyServer()
    server.keys = [RSA_KEY.published(), EC_KEY.published()]
    yield server
    server.close()


def sign_in(
    secret: str | None = SECRET, server: KeyServer | None = None, **options: float
) -> TokenSignIn:
    keys = PublishedKeys(server.url, **options) if server else None
    return TokenSignIn(issuer=ISSUER, audience="authenticated", secret=secret, keys=keys)


def user(verifier: TokenSignIn, token: str) -> str:
    return asyncio.run(verifier.verify(token)).user_id


def refused(verifier: TokenSignIn, token: str) -> str:
    with pytest.raises(NotSignedInError) as error:
        asyncio.run(verifier.verify(token))
    return str(error.value)


# --- tokens


def test_a_token_says_who_it_is_and_goes_on_to_the_store():
    token = signed(sub="ann")
    assert asyncio.run(sign_in().verify(token)) == CurrentUser("ann", token)


@pytest.mark.parametrize("key", [RSA_KEY, EC_KEY], ids=["RS256", "ES256"])
def test_a_token_may_be_signed_with_a_published_key(server, key):
    assert user(sign_in(None, server), key.sign(sub="bob")) == "bob"


def test_the_audience_may_be_one_of_several():
    assert user(sign_in(), signed(aud=["other", "authenticated"])) == "ann"


def test_clocks_may_differ_a_little():
    assert user(sign_in(), signed(exp=int(time.time()) - 5)) == "ann"
    assert user(sign_in(), signed(nbf=int(time.time()) + 5)) == "ann"


@pytest.mark.parametrize(
    "changed",
    [
        {"exp": int(time.time()) - 60},
        {"exp": "soon"},
        {"exp": 1e400},
        {"exp": [1]},
        {"nbf": int(time.time()) + 600},
        {"iat": int(time.time()) + 600},
        {"aud": "another"},
        {"aud": []},
        {"aud": {"authenticated": 1}},
        {"iss": "https://elsewhere.supabase.co/auth/v1"},
        {"iss": [ISSUER]},
        {"exp": ...},
        {"sub": ...},
        {"aud": ...},
        {"iss": ...},
        {"role": ...},
        {"sub": ""},
        {"sub": None},
        {"sub": 7},
        {"sub": ["ann"]},
        {"sub": "a\0b"},
        {"sub": "\ud800"},
        {"sub": "x" * 256},
        {"role": "anon"},
        {"role": "service_role"},
        {"role": ["authenticated"]},
    ],
    ids=lambda claims: " ".join(claims) or "nothing",
)
def test_a_token_that_says_something_wrong_is_refused(changed):
    assert refused(sign_in(), put_signed(changed))


def put_signed(changed: dict[str, Any]) -> str:
    """A well-signed token, also with claims that a careful library would not write."""
    return signed_text(json.dumps(claims(**changed)).encode())


def signed_text(payload: bytes, key: bytes = SECRET.encode(), **header: str) -> str:
    """A token with any payload, signed with any bytes as HS256 has it."""
    head, _, _ = put_together({"alg": "HS256", **header}, payload).rpartition(".")
    signature = hmac.digest(key, head.encode(), "sha256")
    return f"{head}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"


def test_the_tokens_above_are_well_signed():
    assert user(sign_in(), put_signed({})) == "ann"


def test_a_token_of_another_secret_is_refused():
    assert refused(sign_in(), signed("another secret of more than thirty-two bytes"))


@pytest.mark.parametrize("key", [RSA_KEY, EC_KEY], ids=["RS256", "ES256"])
def test_a_public_key_is_no_secret(server, key):
    """Algorithm confusion: HS256 with what everybody knows."""
    for secret in (None, SECRET):
        verifier = sign_in(secret, server)
        for known in (key.public_pem(), str(key.published()).encode()):
            payload = json.dumps(claims()).encode()
            assert refused(verifier, signed_text(payload, known, kid=key.kid))


def test_a_key_verifies_only_what_it_is_published_for(server):
    header = {"kid": RSA_KEY.kid}
    for algorithm in ("RS384", "RS512", "PS256"):
        token = jwt.encode(claims(), RSA_KEY.private, algorithm, headers=header)
        assert refused(sign_in(SECRET, server), token)
    token = jwt.encode(claims(), EC_KEY.private, "ES256", headers={"kid": RSA_KEY.kid})
    assert refused(sign_in(SECRET, server), token)
    other = rsa.generate_private_key(65537, 2048)
    token = jwt.encode(claims(), other, "RS256", headers={"kid": RSA_KEY.kid})
    assert refused(sign_in(SECRET, server), token)


def test_where_only_a_secret_is_set_no_key_counts_and_the_reverse(server):
    assert "RS256" in refused(sign_in(SECRET, None), RSA_KEY.sign())
    assert "HS256" in refused(sign_in(None, server), signed())
    empty = signed_text(json.dumps(claims()).encode(), b"")
    assert "HS256" in refused(sign_in("", server), empty)


@pytest.mark.parametrize(
    "token",
    [
        "x",
        "a.b",
        "a.b.c",
        "a.b.c.d",
        "..",
        "\x7f\xff",
        put_together({"alg": "none"}, claims(), b""),
        put_together({"alg": "None"}, claims(), b""),
        put_together({}, claims()),
        put_together({"alg": None}, claims()),
        put_together({"alg": ["HS256"]}, claims()),
        put_together({"alg": {"HS256": 1}}, claims()),
        put_together({"alg": "RS256"}, claims()),
        put_together({"alg": "RS256", "kid": 7}, claims()),
        put_together({"alg": "RS256", "kid": ["one"]}, claims()),
        put_together({"alg": "RS256", "kid": "../../etc/passwd"}, claims()),
        put_together({"alg": "HS256", "crit": ["exp"]}, claims()),
        put_together({"alg": "HS256", "b64": False}, claims()),
        put_together(b"[" * 10_000, claims()),
        put_together(b"[" * 5_000 + b"]" * 5_000, claims()),
        put_together(b"\xff\xfe", claims()),
        put_together([], claims()),
        put_together({"alg": "HS256"}, b"\xff"),
        put_together({"alg": "HS256"}, b"[" * 10_000),
        signed() + "x" * MAX_TOKEN_LENGTH,
    ],
    ids=lambda token: token[:20],
)
def test_garbage_is_refused(server, token):
    assert refused(sign_in(SECRET, server), token)


def test_a_token_that_nests_deeply_is_refused_though_it_is_signed():
    assert refused(sign_in(), signed_text(b'{"deep": ' + b"[" * 4_000 + b"]" * 4_000 + b"}"))


# --- published keys


def test_keys_are_fetched_once_for_many_tokens(server):
    verifier = sign_in(None, server)

    async def verify_all() -> None:
        await asyncio.gather(*(verifier.verify(RSA_KEY.sign()) for _ in range(20)))
        await verifier.verify(EC_KEY.sign())

    asyncio.run(verify_all())
    assert server.asked == 1


def test_a_new_key_is_found_when_it_is_used_first(server):
    verifier, later = sign_in(None, server, cooldown=0), Key("three", "ES256")
    assert user(verifier, RSA_KEY.sign()) == "ann"
    assert server.keys is not None
    server.keys.append(later.published())
    assert user(verifier, later.sign()) == "ann"
    assert server.asked == 2


def test_a_key_that_is_no_longer_published_is_forgotten(server):
    verifier = sign_in(None, server, fresh=0, cooldown=0)
    assert user(verifier, RSA_KEY.sign()) == "ann"
    server.keys = [EC_KEY.published()]
    assert refused(verifier, RSA_KEY.sign())
    assert user(verifier, EC_KEY.sign()) == "ann"


def test_a_flood_of_unknown_keys_does_not_reach_the_issuer(server):
    verifier = sign_in(None, server)
    tokens = [Key(f"unknown-{n}", "ES256").sign() for n in range(50)]

    async def flood() -> None:
        found = await asyncio.gather(*map(verifier.verify, tokens), return_exceptions=True)
        assert {type(each) for each in found} == {NotSignedInError}

    asyncio.run(flood())
    assert server.asked == 1
    assert user(verifier, RSA_KEY.sign()) == "ann"


def test_without_keys_nobody_can_be_judged(server):
    server.keys = None
    verifier = sign_in(SECRET, server)
    for _ in range(3):
        with pytest.raises(KeysUnavailableError):
            asyncio.run(verifier.verify(RSA_KEY.sign()))
    assert server.asked == 1
    assert user(verifier, signed()) == "ann"


@pytest.mark.parametrize("answer", [None, [], [{"kty": "oct", "k": "c2VjcmV0"}], [{"kty": "?"}]])
def test_known_keys_are_used_while_the_issuer_fails(server, answer):
    verifier = sign_in(None, server, fresh=0, cooldown=0)
    assert user(verifier, RSA_KEY.sign()) == "ann"
    server.keys = answer
    assert user(verifier, RSA_KEY.sign()) == "ann"
    server.keys = [RSA_KEY.published()]
    assert refused(verifier, EC_KEY.sign())


def test_known_keys_are_not_used_for_ever(server):
    verifier = sign_in(None, server, fresh=0, stale=0, cooldown=0)
    server.keys = None
    with pytest.raises(KeysUnavailableError):
        asyncio.run(verifier.verify(RSA_KEY.sign()))


def test_a_slow_issuer_holds_up_only_who_needs_it(server):
    server.gate.clear()
    verifier = sign_in(SECRET, server)

    async def both() -> None:
        waiting = asyncio.create_task(verifier.verify(RSA_KEY.sign()))
        assert await asyncio.to_thread(server.reached.wait, 10)
        assert (await verifier.verify(signed())).user_id == "ann"
        assert not waiting.done()
        server.gate.set()
        assert (await waiting).user_id == "ann"

    asyncio.run(both())


# --- over HTTP


@pytest.fixture
def client() -> Iterator[TestClient]:
    """A client of a server whose users sign in."""
    settings = Settings(
        LIFT_SYS_STORE="memory://",
        LIFT_SYS_AUTH="supabase",
        LIFT_SYS_JWT_ISSUER=ISSUER,
        SUPABASE_JWT_SECRET=SECRET,
    )
    with client_of(settings, base_url="http://api.example", client=("203.0.113.7", 1)) as client:
        yield client


def as_user(name: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {signed(sub=name)}"}


def test_users_do_not_see_each_other(client):
    path = client.post("/sessions", json={}, headers=as_user("ann")).headers["location"]
    assert client.get(path, headers=as_user("ann")).is_success
    for method, url in [("GET", path), ("POST", f"{path}/abandon")]:
        answer = client.request(method, url, headers=as_user("bob"))
        assert kind(answer) == (404, "session-not-found")
    assert client.delete(path, headers=as_user("bob")).status_code == 204
    assert client.get("/sessions", headers=as_user("bob")).json()["items"] == []
    assert client.get(path, headers=as_user("ann")).is_success


def test_a_key_belongs_to_its_user(client):
    answers = [
        client.post("/sessions", json={}, headers={**as_user(name), "Idempotency-Key": "k"})
        for name in ("ann", "bob")
    ]
    assert len({answer.json()["session_id"] for answer in answers}) == 2


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("Authorization", "")],
        [("Authorization", "Bearer")],
        [("Authorization", "Bearer ")],
        [("Authorization", f"Basic {signed()}")],
        [("Authorization", signed())],
        [("Authorization", f"Bearer {signed()} {signed()}")],
        [("Authorization", f"Bearer {signed()}"), ("Authorization", f"Bearer {signed()}")],
        [("Authorization", f"Bearer {signed()}"), ("Authorization", "Basic x")],
        [("apikey", signed())],
        [("Cookie", f"token={signed()}")],
    ],
    ids=lambda headers: " + ".join(f"{name}: {value[:10]}" for name, value in headers),
)
def test_a_request_without_one_token_is_not_signed_in(client, headers):
    for method, url in [("GET", "/sessions"), ("POST", "/sessions"), ("DELETE", "/sessions/x")]:
        answer = client.request(method, url, headers=headers)
        assert kind(answer) == (401, "not-signed-in")
        assert answer.headers["www-authenticate"] == "Bearer"


def test_the_word_bearer_is_written_in_any_case(client):
    answer = client.get("/sessions", headers={"authorization": f"bEARER  {signed()} "})
    assert answer.is_success


def test_health_needs_no_token(client):
    assert client.get("/health").is_success
    assert client.get("/ready").is_success


def test_who_cannot_be_judged_is_asked_to_come_back():
    settings = Settings(
        LIFT_SYS_STORE="memory://",
        LIFT_SYS_AUTH="supabase",
        SUPABASE_URL="http://127.0.0.1:1",
    )
    with client_of(settings) as client:
        answer = client.get("/sessions", headers={"Authorization": f"Bearer {RSA_KEY.sign()}"})
        assert kind(answer) == (503, "sign-in-unavailable")
        assert answer.headers["retry-after"]


# --- nobody signs in


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_this_machine_is_answered(host):
    shown = f"[{host}]" if ":" in host else host
    with client_of(base_url=f"http://{shown}:8000", client=("127.0.0.1", 1)) as client:
        assert client.get("/sessions").is_success
        assert client.get("/sessions", headers={"Origin": f"http://{shown}:3000"}).is_success


@pytest.mark.parametrize(
    ("base_url", "client", "headers"),
    [
        ("http://127.0.0.1", ("192.0.2.1", 1), {}),
        ("http://192.0.2.1", LOCAL, {"Host": "127.0.0.1"}),
        ("http://0.0.0.0", LOCAL, {"Host": "localhost"}),
        ("http://127.0.0.1", LOCAL, {"Host": "rebound.example"}),
        ("http://127.0.0.1", LOCAL, {"Host": "localhost.rebound.example"}),
        ("http://127.0.0.1", LOCAL, {"Host": "127.0.0.1.rebound.example:8000"}),
        ("http://127.0.0.1", LOCAL, {"Host": "127.0.0.1@rebound.example"}),
        ("http://127.0.0.1", LOCAL, {"Host": "[::1"}),
        ("http://127.0.0.1", LOCAL, {"Host": ""}),
        ("http://127.0.0.1", LOCAL, {"Origin": "https://elsewhere.example"}),
        ("http://127.0.0.1", LOCAL, {"Origin": "null"}),
        ("http://127.0.0.1", LOCAL, {"X-Forwarded-For": "127.0.0.1"}),
        ("http://127.0.0.1", LOCAL, {"Forwarded": "for=192.0.2.1"}),
    ],
    ids=str,
)
def test_nobody_else_is_answered(base_url, client, headers):
    with client_of(base_url=base_url, client=client) as local:
        for method, url in [("GET", "/sessions"), ("POST", "/sessions/x/abandon")]:
            answer = local.request(method, url, headers=headers)
            assert kind(answer) == (403, "not-local")


def test_the_local_user_is_who_the_setting_says():
    settings = Settings(LIFT_SYS_STORE="memory://", LIFT_SYS_USER="ann")
    with client_of(settings) as client:
        path = client.post("/sessions", json={}).headers["location"]
        store = client.app.state.store.for_user("ann")  # type: ignore[attr-defined]  # FastAPI's
        assert asyncio.run(store.get(path.rpartition("/")[2])) is not None


@pytest.mark.parametrize(
    "host", ["", "0.0.0.0", "::", "example.com", "10.0.0.1", "127.0.0.1.example.com", "localhost."]
)
def test_what_may_be_another_machine_is_not_loopback(host):
    assert not is_loopback(host)
