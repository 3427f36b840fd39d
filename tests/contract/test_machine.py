"""Random programs: no store differs from the in-memory one, and a planted defect is shown small."""

from pathlib import Path

import pytest

from lift_sys.testing import StoreHarness, machine
from lift_sys.testing.harnesses import BACKENDS, open_harness
from lift_sys.testing.machine import run_machine
from tests.contract.wrong_stores.registry import opener
from tests.contract.wrong_stores.writes import GetRaises


@pytest.mark.parametrize("name", BACKENDS)
def test_random_programs_show_no_difference(name: str, tmp_path: Path) -> None:
    with open_harness(name, tmp_path) as harness:
        run_machine(harness, examples=30)


def test_random_programs_meet_every_error_a_caller_can_cause(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    told: list[str] = []
    plain = machine._outcome

    def noting(action):
        outcome = plain(action)
        told.append(outcome.told)
        return outcome

    monkeypatch.setattr(machine, "_outcome", noting)
    with open_harness("memory", tmp_path) as harness:
        run_machine(harness, examples=120, from_seed=1)
    raised = {text.split()[1] for text in told if text.startswith("raised")}
    assert raised >= {
        "HistoryRewriteError",
        "IdempotencyKeyReusedError",
        "InvalidSessionError",
        "SessionConflictError",
        "SessionExistsError",
        "SessionNotFoundError",
    }


def test_a_planted_defect_is_shown_as_a_short_program() -> None:
    with StoreHarness(opener(GetRaises)) as harness, pytest.raises(AssertionError) as caught:
        run_machine(harness, examples=100, steps=6, from_seed=3)
    steps = [note for note in caught.value.__notes__ if "state." in note]
    assert any("state.get(" in step for step in steps)
    assert len(steps) <= 5, "\n".join(steps)
