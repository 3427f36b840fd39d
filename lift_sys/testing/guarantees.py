"""The numbered guarantees, and how a test says which one it checks."""

from collections.abc import Callable
from typing import Final, TypeVar

import pytest

TITLES: Final = {
    "G1": "round trip",
    "G2": "values, not references",
    "G3": "absence",
    "G4": "existing id",
    "G5": "append-only",
    "G6": "atomic",
    "G7": "fenced",
    "G8": "exactly once",
    "G9": "order",
    "G10": "complete",
    "G11": "isolation",
    "G12": "time",
    "G13": "bad values",
    "G14": "faults",
    "G15": "concurrency",
    "G16": "lifecycle",
    "G17": "one round trip",
    "G18": "flat cost",
    "G19": "gone is gone",
    "G20": "schema",
}
"""What each guarantee is about; the protocol ``SessionStore`` states it in full."""

T = TypeVar("T", bound=Callable[..., None])


def guarantee(number: str) -> Callable[[T], T]:
    """Mark a test as one that checks the guarantee of that number, such as ``"G7"``.

    A test may bear several marks. The report at the end of the run is made from them.
    """
    if number not in TITLES:
        raise ValueError(f"{number} is none of {', '.join(TITLES)}")

    def mark(test: T) -> T:
        marked: T = pytest.mark.guarantee(number)(test)
        return marked

    return mark
