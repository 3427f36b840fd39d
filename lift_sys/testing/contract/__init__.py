"""The contract as one test class, put together from its themes."""

import pytest

from lift_sys.testing.contract.bad_values import BadValues
from lift_sys.testing.contract.concurrency import Concurrency, Tasks
from lift_sys.testing.contract.cost import FlatCost, OneRoundTrip
from lift_sys.testing.contract.faults import Atomic, Faults, Schema
from lift_sys.testing.contract.history import AppendOnly, Fenced
from lift_sys.testing.contract.idempotency import ExactlyOnce
from lift_sys.testing.contract.instants import Time
from lift_sys.testing.contract.isolation import Isolation
from lift_sys.testing.contract.lifecycle import Lifecycle
from lift_sys.testing.contract.lists import Complete, Order
from lift_sys.testing.contract.presence import Absence, ExistingId, Gone
from lift_sys.testing.contract.round_trip import RoundTrip, Values
from lift_sys.testing.harness import StoreHarness


class SessionStoreContract(
    RoundTrip,
    Values,
    Absence,
    ExistingId,
    Gone,
    AppendOnly,
    Fenced,
    ExactlyOnce,
    Order,
    Complete,
    Isolation,
    Time,
    BadValues,
    Lifecycle,
    Atomic,
    Faults,
    Schema,
    Concurrency,
    Tasks,
    FlatCost,
    OneRoundTrip,
):
    """Every test that a session store must pass.

    Subclass it with a name that begins with ``Test`` and give it a fixture ``harness``. Tests
    only ever use users and ids of their own, so it also runs against a hosted database.

    Attributes:
        backend: what the report and ``--require-backends`` call the store; the name of the class
            where it is empty.
    """

    backend: str = ""

    @pytest.fixture
    def harness(self) -> StoreHarness:
        """Return what opens the stores under test. To be overridden."""
        raise NotImplementedError("define a fixture `harness` that returns a StoreHarness")
