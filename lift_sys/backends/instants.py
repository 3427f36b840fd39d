"""Instants: one way in, one way out (G12).

An instant is kept as an aware ``datetime`` in UTC, to the microsecond.
"""

import re
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BeforeValidator

from lift_sys.backends.excerpts import excerpt

_OFFSET_THEN_Z = re.compile(r"[+-]\d\d(?::?\d\d(?::?\d\d)?)?[Zz]$")


def now() -> datetime:
    """Return the current instant, in UTC."""
    return datetime.now(UTC)


def parse_instant(value: Any) -> datetime:
    """Return the instant that `value` names, in UTC.

    Args:
        value: an aware ``datetime``, or ISO 8601 text with an offset. ``...+00:00Z``, which
            ``isoformat() + "Z"`` makes of an aware instant, is understood too.

    Raises:
        ValueError: no instant, no offset, or outside the years 1 to 9999 in UTC.
    """
    if isinstance(value, str):
        value = _parse_text(value)
    if not isinstance(value, datetime):
        raise ValueError("must be an aware datetime or ISO 8601 text with an offset")  # noqa: TRY004  # pydantic reports no TypeError
    if value.tzinfo is UTC and type(value) is datetime:
        return value
    if value.utcoffset() is None:
        raise ValueError(f"{value.isoformat()} has no offset: append one, such as +00:00")
    try:
        moved = value.astimezone(UTC)
    except OverflowError as error:
        raise ValueError(f"{value.isoformat()} is outside the years 1 to 9999 in UTC") from error
    # Rebuilt, because a subclass (a data frame's time stamp, say) would come back as another type.
    return datetime.combine(moved.date(), moved.time(), UTC)


def format_instant(instant: datetime) -> str:
    """Return `instant` as ISO 8601 text of fixed width, so that text order is time order."""
    return instant.isoformat(timespec="microseconds")


def _parse_text(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:  # the rest is for what is seldom written
        text = text.strip()
    if _OFFSET_THEN_Z.search(text):
        text = text[:-1]
    try:
        return datetime.fromisoformat(text.upper())
    except ValueError as error:
        raise ValueError(f"{excerpt(text)!r} is not an ISO 8601 instant") from error


Instant = Annotated[datetime, BeforeValidator(parse_instant)]
"""A model field that holds an instant."""
