"""Stores by URL: every form, and no secret in any message."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lift_sys.spec_sessions import (
    AsyncInMemorySessionStore,
    AsyncSQLiteSessionStore,
    InMemorySessionStore,
    PromptSession,
    SQLiteSessionStore,
    StoreUnavailableError,
    UserRequiredError,
    open_async_store,
    open_store,
)
from lift_sys.spec_sessions.opening import without_secrets

BOTH = pytest.mark.parametrize("opener", [open_store, open_async_store])


@pytest.fixture(autouse=True)
def in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_each_kind_of_url_opens_its_store() -> None:
    assert type(open_store("memory://")) is InMemorySessionStore
    assert type(open_store("sqlite:///x.db")) is SQLiteSessionStore
    assert type(open_async_store("memory://")) is AsyncInMemorySessionStore
    assert type(open_async_store("SQLite:///x.db")) is AsyncSQLiteSessionStore


def test_opening_touches_no_disk(tmp_path: Path) -> None:
    open_store("sqlite:///missing/x.db")
    open_async_store("sqlite:///x.db")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("url", "file"),
    [
        ("sqlite:///x.db", "x.db"),
        ("sqlite:///a%20b%23c%3Fd%25.db", "a b#c?d%.db"),
        ("sqlite:///a b é 漢.db", "a b é 漢.db"),
        ("sqlite:///%C3%A9.db", "é.db"),
        ("sqlite:///%E9.db", os.fsdecode(b"\xe9.db")),
        ("sqlite:///x", "x"),
        ("sqlite:///./x.db?timeout=3", "x.db"),
        ("sqlite:///file:x.db", "file:x.db"),
    ],
)
def test_a_sqlite_url_names_a_file(url: str, file: str, tmp_path: Path) -> None:
    with open_store(url) as store:
        store.create(PromptSession.create_new())
    assert (tmp_path / file).is_file()


def test_four_slashes_make_an_absolute_path(tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    with open_store(f"sqlite:///{tmp_path}/x.db") as store:
        store.create(PromptSession.create_new())
    assert (tmp_path / "x.db").is_file()


def test_a_relative_path_is_the_one_of_the_folder_at_construction(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "later").mkdir()
    with open_store("sqlite:///x.db") as store:
        monkeypatch.chdir("later")
        store.create(PromptSession.create_new())
    assert (tmp_path / "x.db").is_file()


@BOTH
@pytest.mark.parametrize(
    "url",
    [
        "",
        "x.db",
        "sqlite:x.db",
        "sqlite:/x.db",
        "sqlite://",
        "sqlite:///",
        "sqlite://host/x.db",
        "sqlite:///:memory:",
        "sqlite:///a%00b",
        "sqlite:///a\nb",
        "sqlite:///a#b.db",
        "sqlite:///x.db?timout=3",
        "sqlite:///x.db?timeout=",
        "sqlite:///x.db?timeout=soon",
        "sqlite:///x.db?timeout=nan",
        "sqlite:///x.db?timeout=inf",
        "sqlite:///x.db?timeout=-1",
        "sqlite+other:///x.db",
        "memory",
        "memory://x",
        "memory:///x",
        "memory://?a=b",
        "mysql://h/d",
        "memory://[",
        "://x",
    ],
)
def test_any_other_url_is_a_value_error(opener: Callable[[str], Any], url: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        opener(url)


@BOTH
@pytest.mark.parametrize(
    "url",
    [
        "mysql://u:hush@h/d",
        "mysql://h/d?password=hush",
        "mysql://[hush",
        "sqlite://u:hush@h\N{FULLWIDTH COMMERCIAL AT}h/x.db",
        "sqlite:///x.db?password=hush",
        "sqlite:///x.db?hush",
        "u:hush@h",
        "hush://x",
        "memory://u:hush@h",
        "sqlite:///x.db?timeout=hush",
    ],
)
def test_no_message_holds_what_may_be_a_secret(opener: Callable[[str], Any], url: str) -> None:
    with pytest.raises(ValueError, match=r"\w") as raised:
        opener(url)
    error: BaseException | None = raised.value
    assert "hush" not in str(error)
    # What a traceback would show beside it.
    while error is not None and not error.__suppress_context__:
        error = error.__context__
        assert "hush" not in str(error)


def test_a_url_is_shown_without_its_secrets() -> None:
    assert without_secrets("postgresql://u:p@h/d?sslkey=k") == "postgresql://h/d"
    assert without_secrets("sqlite:///a.db?timeout=3") == "sqlite:///a.db"


@pytest.mark.parametrize("url", ["memory://", "sqlite:///x.db"])
def test_the_user_is_local_unless_named(url: str) -> None:
    assert open_store(url).user_id == "local"
    assert open_store(url, user_id="ann").user_id == "ann"


@pytest.mark.parametrize("url", ["memory://", "sqlite:///x.db"])
def test_an_empty_user_is_nobody_rather_than_the_local_one(url: str) -> None:
    with open_store(url, user_id="") as store, pytest.raises(UserRequiredError):
        store.list_all()


def test_the_timeout_may_stand_in_the_url_or_be_given() -> None:
    for store in (
        open_store("sqlite:///x.db?timeout=0.25"),
        open_store("sqlite:///x.db", timeout=0.25),
    ):
        assert store._backend._timeout == 0.25  # type: ignore[attr-defined]  # not in the protocol


def test_a_missing_folder_is_named() -> None:
    with (
        open_store("sqlite:///missing/x.db") as store,
        pytest.raises(StoreUnavailableError, match=r"there is no folder .*missing; make it"),
    ):
        store.list_all()
