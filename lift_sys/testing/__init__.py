"""The contract suite: what every session store must pass, ours or a third party's.

A store of your own is held to the same guarantees by one test class::

    from functools import partial

    import pytest
    from lift_sys.testing import Capability, SessionStoreContract, StoreHarness
    from my_package import MyStore

    class TestMyStore(SessionStoreContract):
        @pytest.fixture
        def harness(self, tmp_path):
            with StoreHarness(partial(MyStore, tmp_path / "db"), Capability.DURABLE) as harness:
                yield harness

``StoreHarness`` takes whatever opens a store for a user id. Async stores are run on a loop in the
background. The report at the end of the run shows each guarantee as passed, failed or not
applicable, with the reason.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lift_sys.testing.blocking import BlockingStore as BlockingStore
    from lift_sys.testing.contract import SessionStoreContract as SessionStoreContract
    from lift_sys.testing.guarantees import guarantee as guarantee
    from lift_sys.testing.harness import Capability as Capability
    from lift_sys.testing.harness import StoreHarness as StoreHarness
    from lift_sys.testing.machine import run_machine as run_machine

_HOMES = {
    "BlockingStore": "blocking",
    "Capability": "harness",
    "SessionStoreContract": "contract",
    "StoreHarness": "harness",
    "guarantee": "guarantees",
    "run_machine": "machine",
}

__all__ = [  # noqa: PLE0604  # the names above, each from its own module
    *_HOMES
]


def __getattr__(name: str) -> object:
    # Loaded when asked for: pytest imports the plugin in this package in every run, also where
    # Hypothesis is not installed, and has to rewrite the suite's assertions before it is loaded.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
