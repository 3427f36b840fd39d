"""Run the state machine for as long as wanted: ``python -m lift_sys.testing --backend sqlite``."""

import argparse
import importlib
import sys
import tempfile
import time
from pathlib import Path

from lift_sys.testing.harness import StoreHarness
from lift_sys.testing.harnesses import BACKENDS, open_harness
from lift_sys.testing.machine import run_machine

_BATCH = 50
"""How many programs are run at once; each batch has a seed of its own."""


class _Progress:
    """Counts steps and shows them on one line."""

    def __init__(self, wanted: int) -> None:
        self.done = 0
        self._wanted = wanted
        self._started = time.monotonic()
        self._shown = 0.0

    def step(self) -> None:
        self.done += 1
        if time.monotonic() - self._shown >= 1:
            self.show()

    def show(self) -> None:
        self._shown = time.monotonic()
        elapsed = self._shown - self._started
        sys.stderr.write(f"\r{self.done} of {self._wanted} steps, {elapsed:.0f} s ")
        sys.stderr.flush()


def main() -> None:
    """Run ``--steps`` steps or more, until the first difference."""
    parser = argparse.ArgumentParser(prog="python -m lift_sys.testing", description=__doc__)
    parser.add_argument(
        "--backend",
        required=True,
        help=f"one of {', '.join(BACKENDS)}, or module:function that is given a folder and "
        "returns a StoreHarness",
    )
    parser.add_argument("--steps", type=int, default=10_000, help="how many steps at least")
    parser.add_argument("--seed", type=int, default=0, help="the same seed, the same programs")
    parser.add_argument("--folder", type=Path, help="where to keep data; a temporary one if left")
    options = parser.parse_args()
    progress = _Progress(options.steps)
    with (
        tempfile.TemporaryDirectory(dir=options.folder) as folder,
        _harness(options.backend, Path(folder)) as harness,
    ):
        seed = options.seed
        while progress.done < options.steps:
            run_machine(harness, examples=_BATCH, from_seed=seed, on_step=progress.step)
            seed += 1
    progress.show()
    sys.stderr.write(f"- no difference, seeds {options.seed} to {seed - 1}\n")


def _harness(name: str, folder: Path) -> StoreHarness:
    if ":" not in name:
        return open_harness(name, folder)
    module, _, function = name.partition(":")
    harness: StoreHarness = getattr(importlib.import_module(module), function)(folder)
    return harness


if __name__ == "__main__":
    main()
