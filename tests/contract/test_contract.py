"""Every store of this package passes the contract: one test class for each line of the registry."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lift_sys.testing import SessionStoreContract, StoreHarness
from lift_sys.testing.harnesses import BACKENDS, open_harness


def _contract(name: str) -> type[SessionStoreContract]:
    class Contract(SessionStoreContract):
        backend = name

        @pytest.fixture
        def harness(self, tmp_path: Path) -> Iterator[StoreHarness]:
            with open_harness(name, tmp_path) as harness:
                yield harness

    return Contract


for _name in BACKENDS:
    globals()[f"Test_{_name.replace('-', '_')}"] = _contract(_name)
