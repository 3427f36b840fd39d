"""The settings: where they come from, what is refused, and that the example names them all."""

import re
from pathlib import Path

import pytest
from pydantic import AliasChoices, SecretStr, ValidationError

from lift_sys.api.settings import Settings
from lift_sys.spec_sessions import AsyncSQLiteSessionStore, AsyncSupabaseSessionStore

EXAMPLE = Path(__file__).parents[3] / ".env.example"
SECRET = "s" * 32


def names() -> dict[str, object]:
    """The environment's name of each setting, with its default."""
    found = {}
    for field in Settings.model_fields.values():
        alias = field.validation_alias
        name = alias.choices[-1] if isinstance(alias, AliasChoices) else alias
        found[str(name)] = field.default
    return found


def test_the_example_names_every_setting_with_its_default():
    lines = re.findall(r"^#([A-Z_]+)=(.*)$", EXAMPLE.read_text(), re.MULTILINE)
    assert [name for name, _ in lines] == list(names())
    derived = {
        "SUPABASE_URL",
        "LIFT_SYS_JWKS_URL",
        "LIFT_SYS_JWT_ISSUER",
    }  # examples, or made of it
    defaults = {k: "" if v is None else str(v).removesuffix(".0") for k, v in names().items()}
    shown = dict(lines)
    assert [n for n in shown if n not in derived and shown[n] != defaults[n]] == []


def test_the_example_is_itself_a_file_of_settings(monkeypatch, tmp_path):
    text = re.sub(r"^#(?=[A-Z_]+=.)", "", EXAMPLE.read_text(), flags=re.MULTILINE)
    (tmp_path / ".env").write_text(text)
    assert Settings().store == "sqlite:///lift_sys.db"
    assert Settings().ready_seconds == 5


def test_the_file_env_is_read_and_the_environment_comes_before_it(monkeypatch, tmp_path):
    (tmp_path / ".env").write_text("LIFT_SYS_STORE=memory://\nLIFT_SYS_USER=ann\n")
    monkeypatch.setenv("LIFT_SYS_USER", "bob")
    assert (Settings().store, Settings().user) == ("memory://", "bob")


def test_what_is_passed_comes_before_the_environment(monkeypatch):
    monkeypatch.setenv("LIFT_SYS_STORE", "sqlite:///other.db")
    assert Settings(LIFT_SYS_STORE="memory://").store == "memory://"


def test_an_empty_variable_is_one_that_is_not_set(monkeypatch):
    for name in names():
        monkeypatch.setenv(name, "")
    assert Settings() == Settings(_env_file=None)
    assert Settings().supabase_jwt_secret is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LIFT_SYS_AUTH", "everyone"),
        ("LIFT_SYS_USER", "u" * 256),
        ("SUPABASE_URL", "project.supabase.co"),
        ("SUPABASE_URL", "file:///etc/passwd"),
        ("LIFT_SYS_JWKS_URL", "file:///etc/passwd"),
        ("SUPABASE_JWT_SECRET", "short"),
        ("LIFT_SYS_MAX_BODY_BYTES", "0"),
        ("LIFT_SYS_MAX_BODY_BYTES", "32MB"),
        ("LIFT_SYS_READY_SECONDS", "-1"),
    ],
)
def test_a_wrong_setting_is_named(monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError) as refused:
        Settings()
    assert name in str(refused.value)


def test_a_secret_is_not_shown(monkeypatch):
    monkeypatch.setenv("SUPABASE_JWT_SECRET", SECRET)
    assert SECRET not in repr(Settings())


def test_signing_in_needs_a_project(monkeypatch):
    monkeypatch.setenv("LIFT_SYS_AUTH", "supabase")
    with pytest.raises(ValidationError, match="SUPABASE_URL is missing"):
        Settings()
    monkeypatch.setenv("SUPABASE_URL", "https://project.supabase.co/")
    settings = Settings()
    assert settings.jwt_issuer == "https://project.supabase.co/auth/v1"
    assert settings.jwks_url == "https://project.supabase.co/auth/v1/.well-known/jwks.json"


def test_signing_in_without_a_project_needs_an_issuer_and_keys(monkeypatch):
    monkeypatch.setenv("LIFT_SYS_AUTH", "supabase")
    monkeypatch.setenv("LIFT_SYS_JWT_ISSUER", "https://id.example")
    with pytest.raises(ValidationError, match="SUPABASE_URL is missing"):
        Settings()
    monkeypatch.setenv("SUPABASE_JWT_SECRET", SECRET)
    assert Settings().jwks_url is None


@pytest.mark.parametrize(
    "name",
    ["SUPABASE_KEY", "SUPABASE_SECRET_KEY", "SUPABASE_SERVICE_ROLE_KEY", "SUPABASE_SERVICE_KEY"],
)
def test_the_supabase_store_is_given_what_the_file_env_says(monkeypatch, tmp_path, name):
    url = "https://project.supabase.co"
    (tmp_path / ".env").write_text(f"LIFT_SYS_STORE=supabase://\nSUPABASE_URL={url}\n{name}=key\n")
    settings = Settings()
    assert settings.supabase_key == SecretStr("key")
    assert isinstance(settings.open_store(), AsyncSupabaseSessionStore)


def test_a_supabase_store_without_a_key_is_refused_at_once():
    settings = Settings(LIFT_SYS_STORE="supabase://")
    with pytest.raises(ValueError, match=r"SUPABASE_URL.*SUPABASE_SERVICE_KEY"):
        settings.open_store()


def test_the_embedded_store_is_the_default():
    assert isinstance(Settings().open_store(), AsyncSQLiteSessionStore)
