"""Instants: every way to write one, and what none is."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone, tzinfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lift_sys.backends.instants import format_instant, now, parse_instant

NOON = datetime(2026, 11, 13, 12, 0, 0, tzinfo=UTC)
EAST = timezone(timedelta(hours=5, minutes=30))


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-13T12:00:00+00:00",
        "2026-11-13T12:00:00Z",
        "2026-11-13t12:00:00z",
        "2026-11-13 12:00:00Z",
        "2026-11-13T12:00Z",
        "2026-11-13T12Z",
        "20261113T120000Z",
        "20261113T12Z",
        "2026-W46-5T12:00:00Z",
        "2026W465T120000Z",
        "2026-11-13T12:00:00.000000Z",
        "2026-11-13T12:00:00,000Z",
        "2026-11-13T12:00:00.000000000Z",
        "2026-11-13T12:00:00-00:00",
        "2026-11-13T17:30:00+05:30",
        "2026-11-13T17:30:00+0530",
        "2026-11-13T05:00:00-07",
        "2026-11-13T12:00:30+00:00:30",
        "2026-11-14T11:59:00+23:59",
        "2026-11-12T12:01:00-23:59",
        "2026-11-13T12:00:00+00:00Z",
        "2026-11-13T17:30:00+05:30Z",
        "2026-11-13T17:30:00+0530z",
        "  2026-11-13T12:00:00Z\n",
    ],
)
def test_iso_8601_with_an_offset_is_the_instant_in_utc(text: str) -> None:
    parsed = parse_instant(text)
    assert parsed == NOON
    assert parsed.tzinfo is UTC


@pytest.mark.parametrize(
    "value",
    [
        "",
        "now",
        "2026-11-13",
        "2026-11-13Z",
        "2026-11-13T12:00:00",
        "2026-13-13T12:00:00Z",
        "2026-02-29T12:00:00Z",
        "2026-11-13T25:00:00Z",
        "2026-11-13T12:60:00Z",
        "2026-11-13T12:00:00+24:00",
        "2026-11-13T12:00:00ZZ",
        "2026-11-13T12:00:00Z+00:00",
        "12:00:00Z",
        "1763035200",
        "x" * 10_000,
        1763035200,
        1763035200.5,
        None,
        b"2026-11-13T12:00:00Z",
        NOON.date(),
        NOON.replace(tzinfo=None),
    ],
)
def test_anything_else_is_a_value_error_of_one_short_line(value: object) -> None:
    with pytest.raises(ValueError, match=r"\w") as raised:
        parse_instant(value)
    assert len(str(raised.value)) < 120
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01"])
def test_an_instant_outside_the_years_1_to_9999_in_utc_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="outside the years 1 to 9999"):
        parse_instant(text)


@pytest.mark.parametrize(
    "instant", [datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)]
)
def test_the_first_and_the_last_instant_are_kept(instant: datetime) -> None:
    assert parse_instant(format_instant(instant)) == instant
    assert parse_instant(instant.isoformat() + "Z") == instant


class Zone(tzinfo):
    """A zone with the offsets that a test gives it."""

    def __init__(self, offset: Callable[[datetime | None], timedelta | None]) -> None:
        self._offset = offset

    def utcoffset(self, at: datetime | None) -> timedelta | None:
        return self._offset(at)

    def dst(self, _: datetime | None) -> None:
        return None

    def tzname(self, _: datetime | None) -> str:
        return "test"


class Stamp(datetime):
    """As data frames have it: a subclass whose methods return the subclass."""


@pytest.mark.parametrize("zone", [UTC, EAST])
def test_a_subclass_comes_back_as_a_plain_datetime(zone: tzinfo) -> None:
    stamp = Stamp(2026, 1, 2, 3, 4, 5, 678901, tzinfo=zone)
    parsed = parse_instant(stamp)
    assert type(parsed) is datetime
    assert (parsed, parsed.tzinfo) == (stamp, UTC)


def test_a_zone_that_knows_no_offset_makes_a_naive_instant() -> None:
    with pytest.raises(ValueError, match="has no offset"):
        parse_instant(NOON.replace(tzinfo=Zone(lambda _: None)))


def test_both_readings_of_an_hour_that_is_repeated_are_kept_apart() -> None:
    autumn = Zone(lambda at: timedelta(hours=1 if at is not None and at.fold else 2))
    first = NOON.replace(tzinfo=autumn)
    assert parse_instant(first.replace(fold=1)) - parse_instant(first) == timedelta(hours=1)


DAY = 24 * 60 * 60
zones = st.integers(1 - DAY, DAY - 1).map(lambda seconds: timezone(timedelta(seconds=seconds)))
aware = st.datetimes(timezones=zones).filter(lambda instant: 1 < instant.year < 9999)


@given(aware)
def test_every_instant_survives_to_the_microsecond(instant: datetime) -> None:
    for written in (instant, instant.isoformat(), instant.isoformat() + "Z"):
        parsed = parse_instant(written)
        assert (parsed, parsed.tzinfo, type(parsed)) == (instant, UTC, datetime)


@given(aware, aware)
def test_text_order_is_time_order(one: datetime, other: datetime) -> None:
    texts = [format_instant(parse_instant(i)) for i in (one, other)]
    assert len(texts[0]) == len(texts[1])
    assert (texts[0] < texts[1]) == (one < other)


def test_now_is_aware_and_in_utc() -> None:
    assert now().tzinfo is UTC
