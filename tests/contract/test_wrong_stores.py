"""The contract suite catches every wrong store, by the guarantee that the store breaks."""

import inspect
import itertools
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from lift_sys.testing import SessionStoreContract
from tests.contract.wrong_stores import WRONG, Wrong

Check = tuple[str, Callable[..., None]]


def checks(guarantee: str) -> Iterator[Check]:
    """Yield every test of the contract that bears that number, by name."""
    contract = SessionStoreContract()
    for name, test in inspect.getmembers(contract, inspect.ismethod):
        marks = getattr(test, "pytestmark", [])
        if any(mark.name == "guarantee" and mark.args == (guarantee,) for mark in marks):
            for arguments in _parameters(marks):
                yield f"{name}{_shown(arguments)}", partial(test, **arguments)


def _parameters(marks: list[pytest.Mark]) -> Iterator[dict[str, object]]:
    """Yield the arguments that pytest would give to a test with these marks."""
    choices = []
    for mark in marks:
        if mark.name == "parametrize":
            names, values = mark.args
            names = (names,) if isinstance(names, str) else names
            single = len(names) == 1
            choices.append([dict(zip(names, (v,) if single else v, strict=True)) for v in values])
    for combination in itertools.product(*choices):
        yield {name: value for some in combination for name, value in some.items()}


def _shown(arguments: dict[str, object]) -> str:
    return f"[{'-'.join(ascii(v)[:20] for v in arguments.values())}]" if arguments else ""


def caught_by(wrong: Wrong) -> str | None:
    """Return the first test of its guarantee that the store fails, or None."""
    # The long ones last, since most defects show in the short ones.
    for name, check in sorted(checks(wrong.guarantee), key=lambda check: "10000" in check[0]):
        with wrong.harness() as harness:
            try:
                check(harness=harness)
            except pytest.skip.Exception:
                continue
            except (Exception, pytest.fail.Exception):  # noqa: BLE001  # a defect may show in any way
                return name
    return None


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: wrong.kind.__name__)
def test_the_suite_catches(wrong: Wrong, record_property: Callable[[str, object], None]) -> None:
    name = caught_by(wrong)
    assert name is not None, f"nothing of {wrong.guarantee} catches a store that {wrong.defect}"
    record_property("wrong_store", (wrong.guarantee, wrong.defect, name))


def test_there_are_wrong_stores_for_every_guarantee_of_an_embedded_store() -> None:
    networked = {"G14", "G17", "G20"}
    wanted = {f"G{number}" for number in range(1, 21)} - networked
    assert wanted <= {wrong.guarantee for wrong in WRONG}
    assert len(WRONG) >= 50
