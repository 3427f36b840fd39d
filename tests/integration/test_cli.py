"""The command line as a person and a script meet it: real processes, real exit codes."""

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from lift_sys.cli import app
from lift_sys.spec_sessions import PromptSession, SQLiteSessionStore, open_store

ROOT = Path(__file__).parents[2]
LIFT_SYS = Path(sys.executable).parent / "lift-sys"
HOSTILE = "[/red][bold]x\x1b[2J\x1b]0;t\x07\x9b31m\r\N{RIGHT-TO-LEFT OVERRIDE}\x7f\n[/]\\[\x08"
CODE = '''
def area(width, height: float):
    """Return the area."""
    return width * height

def perimeter(width: float, height: float) -> float:
    """Return the perimeter."""
    return 2 * (width + height)
'''


class Done(subprocess.CompletedProcess[str]):
    """What came of a command."""

    @property
    def json(self) -> Any:
        return json.loads(self.stdout)


class Shell:
    """Runs commands in one empty folder, with an environment of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        path = f"{LIFT_SYS.parent}{os.pathsep}{os.environ['PATH']}"
        self.env = {"PATH": path, "HOME": str(folder), "PYTHONWARNINGS": "error"}

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        given: dict[str, Any] = {
            "cwd": self.folder,
            "env": {**self.env, **options.pop("env", {})},
            "stdin": subprocess.PIPE,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            "text": True,
            # Whoever runs the tests in the background has had interruptions ignored.
            "preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        }
        return subprocess.Popen([str(LIFT_SYS), *arguments], **{**given, **options})

    def __call__(self, *arguments: str, text: str = "", code: int = 0, **options: Any) -> Done:
        process = self.start(*arguments, **options)
        stdout, stderr = process.communicate(text, timeout=60)
        assert "Traceback" not in stderr
        assert process.returncode == code, (stdout, stderr)
        if code == 0 and not options:
            assert stderr == ""
        return Done(process.args, process.returncode, stdout, stderr)

    def error(self, *arguments: str, code: int, **options: Any) -> str:
        """Return the one line that the command fails with."""
        done = self(*arguments, code=code, **options)
        assert done.stdout == ""
        [line] = done.stderr.splitlines()
        assert line.startswith("error: ")
        return line.removeprefix("error: ")

    def store(self, name: str = "lift_sys.db") -> SQLiteSessionStore:
        return SQLiteSessionStore(self.folder / name)


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


@pytest.fixture
def lifted(shell: Shell) -> tuple[str, str]:
    """Two sessions from code; the first has holes, the second none. Returns their ids."""
    (shell.folder / "shapes.py").write_text(CODE)
    shell("lift", "shapes.py")
    with shell.store() as store:
        by_name = {s.metadata["function"]: s.session_id for s in store.list_all()}
    return by_name["area"], by_name["perimeter"]


def commands() -> Iterator[tuple[tuple[str, ...], Any]]:
    def walk(command: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
        yield path, command
        for name, inner in getattr(command, "commands", {}).items():
            yield from walk(inner, (*path, name))

    return walk(typer.main.get_command(app), ())


COMMANDS = dict(commands())


class TestHelp:
    """Everything is documented."""

    @pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
    def test_every_command_argument_and_option_says_what_it_is(self, path: tuple[str, ...]) -> None:
        command = COMMANDS[path]
        assert command.help
        for parameter in command.params:
            assert getattr(parameter, "help", None), parameter.name

    @pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
    def test_every_command_has_help_that_names_its_options(self, path: tuple[str, ...]) -> None:
        done = CliRunner().invoke(app, [*path, "--help"], terminal_width=200)
        assert done.exit_code == 0
        for parameter in COMMANDS[path].params:
            if parameter.param_type_name == "option":
                assert parameter.opts[0] in done.output

    def test_the_readme_names_every_command(self) -> None:
        readme = (ROOT / "README.md").read_text()
        for path in COMMANDS:
            if path:
                assert re.search(rf"\b{path[-1]}\b", readme), path

    def test_the_exit_codes_are_in_the_help(self, shell: Shell) -> None:
        shown = " ".join(shell("--help").stdout.split())
        assert "Exit codes: 0 done, 1 failed, 2 wrong command line, 3 not found" in shown

    def test_the_version_is_printed(self, shell: Shell) -> None:
        assert re.fullmatch(r"lift-sys \d+\.\d+\.\d+\n", shell("--version").stdout)

    @pytest.mark.parametrize("arguments", [[], ["session"]])
    def test_no_command_shows_the_help(self, shell: Shell, arguments: list[str]) -> None:
        done = shell(*arguments, code=2)
        assert "Usage: lift-sys" in done.stdout + done.stderr


class TestDemo:
    """The main job in one command."""

    def test_from_an_empty_folder_and_again(self, shell: Shell) -> None:
        first = shell("demo").stdout
        assert re.search(r"\d+ active, 1 finalized", first)
        second = shell("demo").stdout
        assert re.search(r"\d+ active, 1 finalized", second)
        assert [entry.name for entry in shell.folder.iterdir()] == ["lift_sys.db"]

    def test_for_programs(self, shell: Shell) -> None:
        first, second = shell("demo", "--json").json, shell("demo", "--json").json
        assert (first["present"], second["lifted"]) == (0, 0)
        assert first["lifted"] == second["present"] > 100
        assert first["finalized"] == second["finalized"]
        with shell.store() as store:
            session = store.get(first["finalized"])
        assert session is not None
        assert (session.status, session.get_unresolved_holes()) == ("finalized", [])
        assert session.current_draft is not None
        assert session.current_draft.validation_status == "valid"

    def test_what_it_says_to_do_next_can_be_done(self, shell: Shell) -> None:
        shown = shell("demo").stdout
        [identifier] = re.findall(r"lift-sys session show (\S+)", shown)
        assert "finalized" in shell("session", "show", identifier).stdout
        shell("session", "list")


class TestSessions:
    """From a prompt or code to the end, for people and for programs."""

    def test_a_prompt_becomes_a_session(self, shell: Shell) -> None:
        [identifier] = shell("session", "create", "Sort by two keys").stdout.split()
        from_input = shell("session", "create", "-", "--json", text="Two\nlines").json
        assert from_input["revisions"][0]["content"] == "Two\nlines"
        page = shell("session", "list", "--json").json
        assert [item["session_id"] for item in page["items"]] == [
            from_input["session_id"],
            identifier,
        ]
        assert "Sort by two keys" in shell("session", "show", identifier).stdout

    def test_code_is_taken_to_the_end(self, shell: Shell, lifted: tuple[str, str]) -> None:
        area, _ = lifted
        shown = shell("session", "show", area).stdout
        assert "width.type" in shown
        assert "return.type" in shown
        shell("session", "resolve", area, "width.type", "float")
        done = shell("session", "resolve", area, "return.type", "-", "--json", text="float").json
        assert (done["version"], done["status"]) == (3, "active")
        processed = shell("session", "process", area, "--json").json
        assert processed["applied"] == ["width.type", "return.type"]
        assert (processed["unresolved"], processed["draft"]["validation_status"]) == ([], "valid")
        again = shell("session", "process", area).stdout
        assert "0 applied; no hole is left" in again
        shell("session", "finalize", area)
        assert shell("session", "show", area, "--json").json["status"] == "finalized"
        assert "No hole is open." in shell("session", "show", area).stdout

    def test_open_holes_keep_a_session_open_unless_forced(
        self, shell: Shell, lifted: tuple[str, str]
    ) -> None:
        area, _ = lifted
        message = shell.error("session", "finalize", area, code=4)
        assert message == "open holes: width.type, return.type; resolve them, or pass --force"
        assert shell("session", "finalize", area, "--force", "--json").json["version"] == 2

    def test_an_unknown_hole_needs_a_type_and_is_kept(
        self, shell: Shell, lifted: tuple[str, str]
    ) -> None:
        area, _ = lifted
        assert "no open hole 'nowhere'" in shell.error(
            "session", "resolve", area, "nowhere", "x", code=3
        )
        shell("session", "resolve", area, "nowhere", "x", "--type", "add_constraint")
        shown = shell("session", "process", area).stdout
        assert "no hole 'nowhere' in the current draft: kept, not applied" in shown
        assert shell("session", "process", area, "--json").json["unknown"] == ["nowhere"]

    def test_revise_takes_a_type_and_a_hole(self, shell: Shell, lifted: tuple[str, str]) -> None:
        area, _ = lifted
        shell("session", "revise", area, "say more", "--type", "hole_fill", "--hole", "width.type")
        last = shell("session", "show", area, "--json").json["revisions"][-1]
        assert (last["content"], last["revision_type"], last["target_hole"]) == (
            "say more",
            "hole_fill",
            "width.type",
        )

    def test_abandon_and_delete(self, shell: Shell, lifted: tuple[str, str]) -> None:
        area, perimeter = lifted
        assert shell("session", "abandon", area, "--json").json["status"] == "abandoned"
        assert "is deleted" in shell("session", "delete", perimeter).stdout
        shell.error("session", "delete", perimeter, code=3)
        assert [s["session_id"] for s in shell("session", "list", "--json").json["items"]] == [area]

    def test_lists_are_narrowed_and_paged(self, shell: Shell, lifted: tuple[str, str]) -> None:
        area, _ = lifted
        shell("session", "abandon", area)
        shell("session", "create", "prompt")
        for option, count in (("--status=abandoned", 1), ("--source=code", 2), ("--limit=2", 2)):
            assert len(shell("session", "list", option, "--json").json["items"]) == count
        first = shell("session", "list", "--limit", "2", "--json").json
        rest = shell("session", "list", "--cursor", first["next_cursor"], "--json").json
        assert len({s["session_id"] for s in first["items"] + rest["items"]}) == 3
        shown = shell("session", "list", "--limit", "2").stdout
        assert f"More: --cursor {first['next_cursor']}" in shown

    def test_an_empty_store_says_so(self, shell: Shell) -> None:
        assert shell("session", "list").stdout == "No sessions.\n"
        assert shell("session", "list", "--json").json == {"items": [], "next_cursor": None}


class TestLift:
    """Files and folders become sessions."""

    def test_again_adds_nothing(self, shell: Shell, lifted: tuple[str, str]) -> None:
        again = shell("lift", "shapes.py", "./shapes.py", "--json").json
        assert (again["files"], again["stored"], again["present"]) == (1, 0, 2)
        assert set(again) == {"files", "functions", "stored", "present", "passed_over", "seconds"}

    def test_what_cannot_be_lifted_is_told_and_passed_over(self, shell: Shell) -> None:
        folder = shell.folder / "[red]src[bold]"
        folder.mkdir()
        (folder / "bad[bold].py").write_text("def f(:\n")
        (folder / "good.py").write_text(CODE)
        done = shell("lift", folder.name, env={"COLUMNS": "200"})
        assert "2 functions in 1 files: 2 new sessions" in done.stdout
        assert "functions/s" in done.stdout
        assert done.stderr.startswith("passed over: [red]src[bold]/bad[bold].py:1: ")

    def test_a_path_that_is_not_there_is_an_error(self, shell: Shell) -> None:
        assert "missing: no such file or folder" in shell.error("lift", "missing", code=5)

    def test_hostile_names_of_files_do_no_harm(self, shell: Shell) -> None:
        for name in (b"a\x1b[2J.py", b"caf\xe9.py", b"[red].py", b"-x.py"):
            Path(os.fsdecode(os.fsencode(shell.folder) + b"/" + name)).write_text("def f(: pass")
        done = shell("lift", ".", env={})
        assert done.stderr.count("passed over: ") == 4
        assert "\x1b" not in done.stderr

    def test_interrupted_it_keeps_what_is_stored_and_goes_on_the_next_time(
        self, shell: Shell
    ) -> None:
        (shell.folder / "a.py").write_text("".join(f"def f{n}(): pass\n" for n in range(450)))
        os.mkfifo(shell.folder / "waits.py")  # reading it waits, as a huge tree would take long
        process = shell.start("lift", "a.py", "waits.py")
        with shell.store() as store:
            until(lambda: len(store.list_page(limit=1000).items) == 400)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
        assert (process.returncode, err) == (130, "interrupted; what is stored stays\n")
        (shell.folder / "waits.py").unlink()
        again = shell("lift", "a.py", "--json").json
        assert (again["stored"], again["present"]) == (50, 400)


class TestCopy:
    """From one store to another."""

    def test_all_of_a_user_and_nothing_twice(self, shell: Shell, lifted: tuple[str, str]) -> None:
        url = "sqlite:///copy.db"
        assert (
            "2 copied, 0 extended, 0 there already"
            in shell("copy", "sqlite:///lift_sys.db", url).stdout
        )
        shell("session", "abandon", lifted[0])
        assert shell("copy", "sqlite:///lift_sys.db", url, "--json").json == {
            "copied": 0,
            "extended": 1,
            "unchanged": 1,
            "differing": [],
        }
        shell("copy", "sqlite:///lift_sys.db", "sqlite:///other.db", "--user", "nobody")
        with shell.store("other.db") as store:
            assert store.list_all() == []

    def test_another_history_is_a_conflict_and_told(
        self, shell: Shell, lifted: tuple[str, str]
    ) -> None:
        shell("copy", "sqlite:///lift_sys.db", "sqlite:///copy.db")
        for store in ("lift_sys", "copy"):
            shell("session", "revise", lifted[0], store, "--store", f"sqlite:///{store}.db")
        done = shell("copy", "sqlite:///lift_sys.db", "sqlite:///copy.db", code=4)
        assert "0 copied, 0 extended, 1 there already" in done.stdout
        assert lifted[0] in done.stderr

    def test_interrupted_it_keeps_what_is_copied_and_goes_on_the_next_time(
        self, shell: Shell
    ) -> None:
        with shell.store() as source:
            for _ in range(8):
                source.create_many(
                    [PromptSession.create_new(original_input="x " * 500) for _ in range(500)]
                )
        process = shell.start("copy", "sqlite:///lift_sys.db", "sqlite:///copy.db")
        with shell.store("copy.db") as target:
            until(lambda: target.list_page(limit=1).items)
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=60)
            assert (process.returncode, err) == (130, "interrupted; what is stored stays\n")
            kept = len(target.list_all())
            assert 0 < kept < 4_000
            again = shell("copy", "sqlite:///lift_sys.db", "sqlite:///copy.db", "--json").json
            assert again == {
                "copied": 4_000 - kept,
                "extended": 0,
                "unchanged": kept,
                "differing": [],
            }


def until(condition: Callable[[], Any]) -> None:
    """Wait for what another process does; the test's own time limit ends it."""
    while not condition():
        time.sleep(0.005)


class TestEnvironment:
    """What is set once need not be said each time."""

    def test_store_and_user_come_from_the_environment(self, shell: Shell) -> None:
        env = {"LIFT_SYS_STORE": "sqlite:///set.db", "LIFT_SYS_USER": "ann"}
        shell("session", "create", "hers", env=env)
        assert [entry.name for entry in shell.folder.iterdir()] == ["set.db"]
        with open_store(f"sqlite:///{shell.folder}/set.db", user_id="ann") as store:
            assert len(store.list_all()) == 1
        assert "No sessions" in shell("session", "list", "--store", "sqlite:///set.db").stdout
        assert "No sessions" in shell("session", "list", "--user", "bob", env=env).stdout

    @pytest.mark.parametrize("columns", ["20", "60", "80", "300"])
    def test_any_width_shows_whole_ids(self, shell: Shell, columns: str) -> None:
        with shell.store() as store:
            ids = [store.create(PromptSession.create_new(original_input="x" * 500))]
        env = {"COLUMNS": columns}
        shown = shell("session", "list", env=env).stdout
        assert ids[0] in shown.replace("\n", "").replace(" ", "") or int(columns) < 40
        assert (int(columns) < 70) or ("active" in shown and "xxx" in shown)
        shell("session", "show", ids[0], env=env)
        shell("--help", env=env)

    @pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
    def test_any_encoding_of_the_terminal_will_do(self, shell: Shell, encoding: str) -> None:
        env = {"PYTHONIOENCODING": encoding}
        shell("session", "create", "é 漢 \N{GRINNING FACE}")
        shell("session", "list", env=env, errors="replace")
        [item] = shell("session", "list", "--json").json["items"]
        shell("session", "show", item["session_id"], env=env, errors="replace")
        raw = shell("session", "list", "--json", env={**env, "PYTHONIOENCODING": "ascii"}).stdout
        assert json.loads(raw)["items"][0]["preview"] == "é 漢 \N{GRINNING FACE}"


class TestHostileText:
    """Nothing that is stored acts on a terminal, or is taken for markup."""

    @pytest.fixture
    def hostile(self, shell: Shell) -> str:
        (shell.folder / "h.py").write_text(CODE)
        [identifier] = shell("session", "create", HOSTILE).stdout.split()
        with shell.store() as store:
            session = store.get(identifier)
            assert session is not None
            session.metadata = {HOSTILE: [HOSTILE], "function": HOSTILE}
            store.update(session)
            session.session_id = HOSTILE
            store.create(session)
        return identifier

    @pytest.mark.parametrize("identifier", [None, HOSTILE])
    def test_it_is_shown_as_text(self, shell: Shell, hostile: str, identifier: str | None) -> None:
        for arguments in (
            ["session", "list"],
            ["session", "list", "--json"],
            ["session", "show", identifier or hostile],
            ["session", "show", identifier or hostile, "--json"],
            ["session", "revise", identifier or hostile, HOSTILE, "--hole", HOSTILE],
            ["session", "resolve", identifier or hostile, HOSTILE, "x", "--type=add_constraint"],
            ["session", "process", identifier or hostile],
            ["session", "show", identifier or hostile],
            ["session", "delete", identifier or hostile],
        ):
            shown = shell(*arguments).stdout
            assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", shown), arguments

    def test_messages_show_it_as_text(self, shell: Shell) -> None:
        for arguments, code in (
            (["session", "show", HOSTILE], 3),
            (["session", "finalize", HOSTILE], 3),
            (["lift", HOSTILE], 5),
            (["session", "list", "--store", HOSTILE], 5),
            (["session", "list", "--cursor", HOSTILE], 5),
        ):
            message = shell.error(*arguments, code=code)
            assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", message)

    def test_a_huge_text_is_kept_whole_and_listed_short(self, shell: Shell) -> None:
        text = "word " * 400_000
        [identifier] = shell("session", "create", "-", text=text).stdout.split()
        assert len(shell("session", "list").stdout) < 1_000
        assert (
            shell("session", "show", identifier, "--json").json["revisions"][0]["content"] == text
        )
        shown = shell("session", "show", identifier).stdout
        assert len(shown) < 1.2 * len(text)


class TestFailing:
    """One line, an exit code, and no traceback."""

    @pytest.mark.parametrize(
        ("arguments", "code"),
        [
            (["session", "show", "unknown"], 3),
            (["session", "show", ""], 3),
            (["session", "create", "x", "--user", ""], 5),
            (["session", "create", "x", "--user", "u" * 256], 5),
            (["session", "list", "--store", "nonsense"], 5),
            (["session", "list", "--store", "mysql://u:p@h/d"], 5),
            (["session", "list", "--store", "sqlite:///a?timeout=x"], 5),
            (["session", "list", "--store", "sqlite:///no/folder/x.db"], 6),
            (["session", "list", "--store", "sqlite:///text"], 6),
            (["session", "list", "--store", "sqlite:////proc/x.db"], 7),
            (["session", "list", "--store", "sqlite:///foreign.db"], 8),
            (["copy", "sqlite:///no/folder/x.db", "memory://"], 6),
            (["copy", "nonsense", "memory://"], 5),
            (["lift", "text", "--store", "sqlite:///no/folder/x.db"], 6),
        ],
    )
    def test_each_kind_has_its_exit_code(
        self, shell: Shell, arguments: list[str], code: int
    ) -> None:
        (shell.folder / "text").write_text("no = 'database'\ndef f(): pass\n" * 9)
        with closing(sqlite3.connect(shell.folder / "foreign.db")) as file:
            file.execute("create table t (a)")
        before = {e.name: e.read_bytes() for e in shell.folder.iterdir()}
        message = shell.error(*arguments, code=code)
        assert "u:p" not in message
        after = {e.name: e.read_bytes() for e in shell.folder.iterdir()}
        assert {name: after[name] for name in before} == before

    @pytest.mark.parametrize("text", [b"a\0b", b"a\xffb", b"\xed\xa0\x80"])
    def test_input_that_cannot_be_kept_is_bad_input(self, shell: Shell, text: bytes) -> None:
        done = subprocess.run(
            [str(LIFT_SYS), "session", "create", "-"],
            input=text,
            cwd=shell.folder,
            env=shell.env,
            capture_output=True,
            check=False,
        )
        assert done.returncode == 5
        assert done.stderr.startswith(b"error: ")

    @pytest.mark.parametrize(
        "arguments",
        [
            ["nonsense"],
            ["session", "list", "--status", "[/red]"],
            ["session", "list", "--limit", "0"],
            ["session", "list", "--limit", "x"],
            ["session", "list", "--nonsense"],
            ["session", "show"],
            ["lift"],
            ["copy", "memory://"],
            ["session", "revise", "id", "text", "--type", "nonsense"],
        ],
    )
    def test_a_wrong_command_line_is_2(self, shell: Shell, arguments: list[str]) -> None:
        done = shell(*arguments, code=2)
        assert "Usage: " in done.stderr
        assert list(shell.folder.iterdir()) == []

    @pytest.mark.parametrize("arguments", [["session", "list"], ["session", "list", "--json"]])
    def test_output_that_cannot_be_written_is_told(
        self, shell: Shell, arguments: list[str]
    ) -> None:
        with Path("/dev/full").open("w") as full:
            process = shell.start(*arguments, stdout=full)
            _, err = process.communicate(timeout=60)
        assert (process.returncode, err) == (1, "error: [Errno 28] No space left on device\n")

    @pytest.mark.parametrize("option", ["", "--json"])
    def test_a_reader_that_has_enough_is_no_error_to_tell(self, shell: Shell, option: str) -> None:
        with shell.store() as store:
            store.create_many(
                [PromptSession.create_new(original_input="x" * 100) for _ in range(900)]
            )
        done = subprocess.run(
            ["bash", "-c", f"lift-sys session list --limit 900 {option} | head -1"],
            cwd=shell.folder,
            env=shell.env,
            capture_output=True,
            text=True,
            check=True,
        )
        assert (done.stderr, len(done.stdout.splitlines())) == ("", 1)
