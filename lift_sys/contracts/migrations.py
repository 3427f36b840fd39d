"""What a folder of migrations says: which tables they make, and what is left to review.

Hand-written migrations count like generated ones: a table is known by the statement that creates
it, never by a file's name or time.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

TIMESTAMP_FORMAT: Final = "%Y%m%d%H%M%S"

_FILE_NAME: Final = re.compile(r"(?P<moment>\d{14})_(?P<name>.+)\.sql")
_MARKER: Final = re.compile(r"^\s*-- REVIEW\((?P<topic>[a-z-]+)\): ?(?P<text>.*)$")
_HIDDEN: Final = re.compile(
    r"""
      --[^\n]*
    | /\*.*?\*/
    | \b[eE]'(?:[^'\\]|\\.|'')*'
    | '(?:[^']|'')*'
    | (?P<quote>\$(?:[A-Za-z_]\w*)?\$).*?(?P=quote)
    """,
    re.VERBOSE | re.DOTALL,
)
_NAME: Final = r'(?:"(?:[^"]|"")+"|[\w$]+)'
_QUALIFIED: Final = rf"(?:{_NAME}\s*\.\s*)?{_NAME}"
_STATEMENT: Final = re.compile(
    rf"""
      \bcreate\s+(?:unlogged\s+)?table\s+(?:if\s+not\s+exists\s+)?(?P<created>{_QUALIFIED})
    | \bdrop\s+table\s+(?:if\s+exists\s+)?(?P<dropped>{_QUALIFIED}(?:\s*,\s*{_QUALIFIED})*)
    | \balter\s+table\s+(?:if\s+exists\s+)?(?:only\s+)?(?P<renamed>{_QUALIFIED})
      \s+rename\s+to\s+(?P<new_name>{_NAME})
    """,
    re.VERBOSE | re.IGNORECASE,
)


@dataclass(frozen=True)
class ReviewLine:
    """A marker that nobody has settled yet."""

    file: str
    line: int
    topic: str
    text: str


@dataclass(frozen=True)
class Migrations:
    """What the migrations in one folder amount to, applied in order.

    Attributes:
        tables: the tables that stand at the end, and the file that made each; one in another
            schema than public is named with it, as in ``schema.table``.
        markers: the review markers left, in order.
        newest: the moment in the last file's name, or None without files.
    """

    tables: dict[str, str]
    markers: tuple[ReviewLine, ...]
    newest: datetime | None

    def next_moment(self, now: datetime) -> datetime:
        """Return ``now`` to the second, or the second after the newest file if that is later."""
        now = now.astimezone(UTC).replace(microsecond=0)
        return now if self.newest is None else max(now, self.newest + timedelta(seconds=1))


def read_migrations(folder: Path) -> Migrations:
    """Return what the migrations in ``folder`` say; a folder that does not exist says nothing.

    Files whose name is not 14 digits, an underscore and a name are no migrations, as for the
    Supabase CLI.
    """
    tables: dict[str, str] = {}
    markers: list[ReviewLine] = []
    newest: datetime | None = None
    for path in sorted(folder.glob("*.sql")):
        match = _FILE_NAME.fullmatch(path.name)
        if match is None:
            continue
        text = path.read_text(encoding="utf-8")
        _apply(text, path.name, tables)
        markers.extend(_markers(text, path.name))
        newest = _moment(match["moment"]) or newest
    return Migrations(tables, tuple(markers), newest)


def _moment(digits: str) -> datetime | None:
    try:
        return datetime.strptime(digits, TIMESTAMP_FORMAT).replace(tzinfo=UTC)
    except ValueError:
        # Fourteen digits that are no date order files all the same.
        return None


def _apply(text: str, file: str, tables: dict[str, str]) -> None:
    visible = _HIDDEN.sub(" ", text)
    for match in _STATEMENT.finditer(visible):
        if match["created"]:
            tables[_table_name(match["created"])] = file
        elif match["dropped"]:
            for dropped in re.findall(_QUALIFIED, match["dropped"]):
                tables.pop(_table_name(dropped), None)
        else:
            old = _table_name(match["renamed"])
            maker = tables.pop(old, None)
            if maker is not None:
                tables[_renamed(old, _unquoted(match["new_name"]))] = maker


def _table_name(qualified: str) -> str:
    """Return a table's unquoted name, with its schema unless that is public."""
    *schema, name = [_unquoted(part) for part in re.findall(_NAME, qualified)]
    return name if schema in ([], ["public"]) else f"{schema[0]}.{name}"


def _renamed(old: str, new: str) -> str:
    schema, dot, _ = old.rpartition(".")
    return f"{schema}{dot}{new}"


def _unquoted(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name.lower()


def _markers(text: str, file: str) -> Iterator[ReviewLine]:
    for number, line in enumerate(text.split("\n"), start=1):
        match = _MARKER.match(line.rstrip("\r"))
        if match:
            yield ReviewLine(file, number, match["topic"], match["text"])
