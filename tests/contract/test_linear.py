"""The judge of recorded calls accepts what can have happened in some order, and nothing else."""

import pytest

from lift_sys.testing.linear import GONE, Event, check_order


def _write(start: int, end: int, version: int) -> Event:
    return Event("w", "update", start, end, version, wrote=True)


def _read(start: int, end: int, version: int) -> Event:
    return Event("r", "get", start, end, version)


POSSIBLE = {
    "nothing": [],
    "one after the other": [_write(0, 1, 2), _write(2, 3, 3), _read(4, 5, 3)],
    "a read beside a write sees it or not": [_write(0, 9, 2), _read(1, 2, 2), _read(1, 2, 1)],
    "writes beside each other in any order": [_write(0, 9, 3), _write(0, 9, 2)],
    "a conflict tells the version of then": [_write(0, 1, 2), Event("c", "update", 2, 3, 2)],
    "gone at the end": [_write(0, 1, 2), _read(2, 3, GONE)],
}
IMPOSSIBLE = {
    "a version written twice": [_write(0, 1, 2), _write(2, 3, 2)],
    "a version left out": [_write(0, 1, 2), _write(2, 3, 4)],
    "a stale read": [_write(0, 1, 2), _read(2, 3, 1)],
    "a read that goes back": [_write(0, 9, 2), _read(1, 2, 2), _read(3, 4, 1)],
    "a later write before an earlier one": [_write(0, 1, 3), _write(2, 3, 2)],
    "a write before what was seen": [_read(0, 1, 2), _write(2, 3, 2)],
    "a stale conflict": [_write(0, 1, 2), Event("c", "update", 2, 3, 1)],
    "revived": [_read(0, 1, GONE), _read(2, 3, 1)],
}


@pytest.mark.parametrize("name", POSSIBLE)
def test_what_can_have_happened_is_accepted(name: str) -> None:
    check_order(POSSIBLE[name])


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_what_cannot_have_happened_is_refused(name: str) -> None:
    with pytest.raises(AssertionError):
        check_order(IMPOSSIBLE[name])
