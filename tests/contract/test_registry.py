"""No store of this package is left out of the contract suite."""

import importlib
import inspect
import pkgutil
from collections.abc import Iterator

from lift_sys import backends, spec_sessions
from lift_sys.testing.harnesses import BACKENDS


def _modules_with_a_data_backend() -> Iterator[str]:
    """Yield the modules of ``lift_sys.backends`` with a class that carries calls to data."""
    for found in pkgutil.iter_modules(backends.__path__):
        module = importlib.import_module(f"{backends.__name__}.{found.name}")
        for _, kind in inspect.getmembers(module, inspect.isclass):
            own = kind.__module__ == module.__name__ and not getattr(kind, "_is_protocol", False)
            # One that is made of a backend carries calls for another one, and keeps no data.
            carries = own and "execute" in vars(kind) and "origin" in inspect.getsource(kind)
            if carries and "backend" not in inspect.signature(kind).parameters:
                yield found.name


def test_every_backend_is_registered() -> None:
    registered = {backend.module for backend in BACKENDS.values()}
    assert set(_modules_with_a_data_backend()) == registered


def test_every_public_store_is_registered() -> None:
    public = {
        name
        for name in spec_sessions.__all__
        if name.endswith("SessionStore")
        and not getattr(getattr(spec_sessions, name), "_is_protocol", False)
    }
    assert {backend.store.__name__ for backend in BACKENDS.values()} == public
