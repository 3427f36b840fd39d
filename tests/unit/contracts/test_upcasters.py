"""Rows of every version are read by the newest reader, and of none beyond it."""

import doctest
from typing import Any

import pydantic
import pytest

from lift_sys.contracts import UnknownVersionError, Versions, versions


class First(pydantic.BaseModel, extra="forbid"):
    amount: str


class Second(pydantic.BaseModel, extra="forbid"):
    amount: int


class Third(pydantic.BaseModel, extra="forbid"):
    amount: int
    unit: str = pydantic.Field(serialization_alias="currency", validation_alias="currency")


READER = (
    Versions(First)
    .then(Second, lambda old: Second(amount=int(old.amount)))
    .then(Third, lambda old: Third(amount=old.amount, currency="EUR"))
)


def test_the_worked_example_runs() -> None:
    result = doctest.testmod(versions, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert (result.failed, result.attempted > 5) == (0, True)


@pytest.mark.parametrize(
    "row",
    [
        {"amount": "7"},
        {"_version": "1", "amount": "7"},
        {"_version": "2", "amount": 7},
        {"_version": "3", "amount": 7, "currency": "EUR"},
    ],
)
def test_rows_of_every_version_are_read(row: dict[str, Any]) -> None:
    assert READER.read(row) == Third(amount=7, currency="EUR")


@pytest.mark.parametrize("version", ["4", "0", "01", "1.0", "", "x", 1, None, ["1"], True])
def test_an_unknown_version_is_a_clear_error(version: Any) -> None:
    with pytest.raises(UnknownVersionError, match="this reader knows 1 to 3") as raised:
        READER.read({"_version": version, "amount": 7})
    assert (raised.value.found, raised.value.newest) == (version, "3")


def test_data_that_is_not_of_its_version_is_refused() -> None:
    with pytest.raises(pydantic.ValidationError):
        READER.read({"_version": "2", "amount": "seven"})


def test_what_is_written_is_read_again() -> None:
    value = Third(amount=1, currency="CHF")
    row = READER.write(value)
    assert row == {"_version": "3", "amount": 1, "currency": "CHF"}
    assert READER.read(row) == value


def test_a_longer_chain_leaves_the_shorter_alone() -> None:
    short = Versions(First)
    short.then(Second, lambda old: Second(amount=int(old.amount)))
    assert short.newest == "1"
    assert short.read({"amount": "7"}) == First(amount="7")


def test_reading_leaves_the_row_alone() -> None:
    row = {"_version": "2", "amount": 7}
    READER.read(row)
    assert row == {"_version": "2", "amount": 7}
