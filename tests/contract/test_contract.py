"""Every store of this package passes the contract: one test class for each line of the registry."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lift_sys.testing import SessionStoreContract, StoreHarness
from lift_sys.testing.harnesses import BACKENDS, open_harness


@pytest.fixture(scope="class")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data may be shared: each test has users of its own."""
    return tmp_path_factory.mktemp("data")


def _contract(name: str) -> type[SessionStoreContract]:
    class Contract(SessionStoreContract):
        backend = name

        @pytest.fixture
        def harness(self, folder: Path) -> Iterator[StoreHarness]:
            with open_harness(name, folder) as harness:
                yield harness

    return Contract


for _name in BACKENDS:
    globals()[f"Test_{_name.replace('-', '_')}"] = _contract(_name)


@pytest.mark.parametrize("name", ["sqlite", "sqlite-async"])
def test_a_new_file_may_be_opened_by_many_at_once(name: str, tmp_path: Path) -> None:
    for attempt in range(5):
        folder = tmp_path / f"{attempt}"
        folder.mkdir()
        with open_harness(name, folder) as harness:
            SessionStoreContract().test_stores_that_meet_new_data_at_the_same_time_all_work(harness)
