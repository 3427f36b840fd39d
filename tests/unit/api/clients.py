"""Clients of an application in this process."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from starlette.testclient import TestClient

from lift_sys.api.server import create_app
from lift_sys.api.settings import Settings

LOCAL = ("127.0.0.1", 50_000)


@contextmanager
def client_of(settings: Settings | None = None, **options: Any) -> Iterator[TestClient]:
    """A client on this machine, of an application with these settings; by default in memory."""
    app = create_app(settings or Settings(LIFT_SYS_STORE="memory://"))
    with TestClient(app, **{"base_url": "http://127.0.0.1", "client": LOCAL, **options}) as client:
        yield client
