"""Health, readiness, what opens and closes, and the description."""

import asyncio
import importlib
import sys
from typing import Any

import pytest
from openapi_spec_validator import validate

from lift_sys.api import server
from lift_sys.api.server import create_app
from lift_sys.api.settings import Settings
from lift_sys.backends.errors import (
    PermissionDeniedError,
    SchemaOutdatedError,
    SessionStoreError,
    StoreClosedError,
    StoreUnavailableError,
)
from tests.unit.api.clients import client_of
from tests.unit.api.test_sessions import kind

SIGN_IN: dict[str, Any] = {
    "LIFT_SYS_STORE": "memory://",
    "LIFT_SYS_AUTH": "supabase",
    "SUPABASE_URL": "https://project.supabase.co",
}


class Failing:
    """A store that fails in one way at everything."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error

    def for_user(self, _user_id: str) -> "Failing":
        return self

    async def list_page(self, *, limit: int) -> None:
        if self.error is None:
            await asyncio.Event().wait()
        else:
            raise self.error


def test_a_server_that_answers_is_alive_and_ready(client):
    assert client.get("/health").json() == {"status": "ok"}
    assert client.get("/ready").json() == {"status": "ok"}


@pytest.mark.parametrize(
    ("error", "answer"),
    [
        (StoreUnavailableError("down"), (503, "store-unavailable")),
        (SchemaOutdatedError("migrate"), (503, "schema-outdated")),
        (StoreClosedError("closed"), (503, "store-closed")),
        (PermissionDeniedError("permission denied (42501)"), (403, "permission-denied")),
        (None, (503, "store-unavailable")),
    ],
)
def test_a_server_without_its_store_is_alive_and_not_ready(error, answer):
    settings = Settings(LIFT_SYS_STORE="memory://", LIFT_SYS_READY_SECONDS=0.1)
    with client_of(settings) as client:
        client.app.state.store = Failing(error)  # type: ignore[attr-defined]  # FastAPI's
        assert client.get("/health").is_success
        assert kind(client.get("/ready")) == answer


def test_a_key_that_needs_a_token_beside_it_is_ready_and_a_wrong_key_is_not():
    with client_of(Settings(**SIGN_IN)) as client:
        denied = PermissionDeniedError("permission denied for function list_sessions_v1 (42501)")
        client.app.state.store = Failing(denied)  # type: ignore[attr-defined]  # FastAPI's
        assert client.get("/ready").is_success
        client.app.state.store = Failing(PermissionDeniedError("Invalid API key (401)"))  # type: ignore[attr-defined]  # FastAPI's
        assert kind(client.get("/ready")) == (403, "permission-denied")


def test_the_store_is_closed_with_the_server():
    with client_of() as client:
        store = client.app.state.store  # type: ignore[attr-defined]  # FastAPI's
    with pytest.raises(StoreClosedError):
        asyncio.run(store.get("x"))
    assert issubclass(StoreClosedError, SessionStoreError)


def test_the_application_by_name_is_made_when_it_is_asked_for(monkeypatch):
    monkeypatch.setenv("LIFT_SYS_STORE", "nonsense://")
    importlib.reload(server)
    monkeypatch.setenv("LIFT_SYS_STORE", "memory://")
    try:
        assert server.app is server.app
        assert server.app.state.settings.store == "memory://"
        with pytest.raises(AttributeError):
            server.nothing  # noqa: B018  # asked for only to be refused
    finally:
        importlib.reload(server)


def test_a_wrong_store_is_refused_when_the_application_is_made():
    with pytest.raises(ValueError, match="memory://"):
        create_app(Settings(LIFT_SYS_STORE="nonsense://"))


def test_making_the_application_opens_nothing(tmp_path):
    opened = []
    armed = True
    sys.addaudithook(lambda event, _: opened.append(event) if armed else None)
    create_app(Settings(LIFT_SYS_STORE=f"sqlite:///{tmp_path}/x.db"))
    armed = False
    assert {"socket.connect", "sqlite3.connect", "subprocess.Popen"}.isdisjoint(opened)
    assert list(tmp_path.iterdir()) == []


# --- the description


def described(**settings: Any) -> dict[str, Any]:
    wanted: dict[str, Any] = {"LIFT_SYS_STORE": "memory://", **settings}
    return create_app(Settings(**wanted)).openapi()


@pytest.mark.parametrize("settings", [{}, SIGN_IN])
def test_the_description_is_valid(settings):
    validate(described(**settings))


def test_arrays_say_what_they_hold():
    """As generators of clients insist: without it they leave the schema out."""
    schemas = described()["components"]["schemas"]
    assert schemas["Provenance"]["properties"]["evidence"]["items"] == {}
    assert [name for name, schema in schemas.items() if bare_arrays(schema)] == []


def bare_arrays(schema: Any) -> int:
    members = schema.values() if isinstance(schema, dict) else schema
    if not isinstance(schema, dict | list):
        return 0
    bare = isinstance(schema, dict) and schema.get("type") == "array" and "items" not in schema
    return bare + sum(map(bare_arrays, members))


def test_operations_are_named_for_the_clients_that_are_made_of_them():
    names = {
        operation["operationId"]
        for path in described()["paths"].values()
        for operation in path.values()
    }
    assert names == {
        "abandon_session",
        "add_draft",
        "add_resolution",
        "add_revision",
        "create_session",
        "delete_session",
        "finalize_session",
        "health",
        "lift_source",
        "list_sessions",
        "process_session",
        "read_session",
        "ready",
    }


def test_bodies_have_examples_that_are_understood(client):
    schemas = described()["components"]["schemas"]
    for name in ("NewSession", "NewRevision", "NewDraft", "NewResolution", "LiftRequest"):
        fields = schemas[name]["properties"].values()
        assert any("examples" in field for field in fields), name
    body = {
        name: field["examples"][0]
        for name, field in schemas["NewSession"]["properties"].items()
        if "examples" in field
    }
    assert client.post("/sessions", json=body).status_code == 201


def test_signing_in_is_described_where_it_is_needed():
    assert "security" not in described()
    description = described(**SIGN_IN)
    assert description["security"] == [{"token": []}]
    assert description["paths"]["/health"]["get"]["security"] == []


def test_every_problem_is_described_by_its_type():
    schemas = described()["components"]["schemas"]
    assert "/problems/version-mismatch" in schemas["Problem"]["properties"]["type"]["enum"]
    assert "HTTPValidationError" not in schemas
