"""One request an operation, however much is stored (G17), and flat in bytes (G18)."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.servers.conftest import Service
from tests.integration.servers.sessions import add, resolution, revision, session

Operation = Callable[[Any, Any], object]


def _update(store: Any, stored: Any) -> None:
    stored.add_revision(revision("one more"))
    store.update(stored)


def _apply(store: Any, stored: Any) -> None:
    stored.mark_applied_at(0)
    store.update(stored)


OPERATIONS: dict[str, Operation] = {
    "create": lambda store, stored: store.create(session()),
    "create_many": lambda store, stored: store.create_many([session() for _ in range(10)]),
    "get": lambda store, stored: store.get(stored.session_id),
    "get an unknown one": lambda store, stored: store.get("unknown"),
    "update": _update,
    "update resolutions": _apply,
    "update a foreign object": lambda store, stored: store.update(
        type(stored).from_dict(stored.to_dict())
    ),
    "refresh": lambda store, stored: store.refresh(stored),
    "list_active": lambda store, stored: store.list_active(),
    "list_all": lambda store, stored: store.list_all(),
    "list_page": lambda store, stored: store.list_page(),
    "delete": lambda store, stored: store.delete(stored.session_id),
}


@pytest.mark.parametrize("items", [1, 5_000])
def test_each_operation_is_one_request(service: Service, store: Any, items: int) -> None:
    stored = session(items, text="text")
    store.create(stored)
    for name, operation in OPERATIONS.items():
        with service.counted() as count:
            operation(store, stored)
        assert count() == 1, name


def test_what_needs_no_answer_needs_no_request(service: Service, store: Any) -> None:
    with service.counted() as count:
        assert store.get("") is None
        assert store.get("x" * 256) is None
        store.delete("x" * 256)
        assert store.create_many([]) == []
        view = store.for_user("another")
        view.close()
    assert count() == 0


def test_list_all_is_one_request_a_page_of_200(service: Service, store: Any) -> None:
    made = [session() for _ in range(450)]
    store.create_many(made)
    with service.counted() as count:
        found = store.list_all()
    assert count() == 3
    assert {one.session_id for one in found} == {one.session_id for one in made}


@pytest.mark.parametrize("operation", [_update, _apply])
def test_an_update_sends_and_receives_no_history(
    service: Service, store: Any, operation: Operation
) -> None:
    moved = []
    for items in (1, 3_000):
        stored = session(items, text="x" * 100)
        store.create(stored)
        before = service.sent() + service.received()
        operation(store, stored)
        moved.append(service.sent() + service.received() - before)
    assert moved[1] - moved[0] < 100  # the counts have more digits


def test_a_refresh_moves_only_the_tail(service: Service, store: Any) -> None:
    stored = session(3_000, text="x" * 100)
    store.create(stored)
    other = store.get(stored.session_id)
    add(other, range(5), "news")
    other.mark_applied_at(0)
    other.add_resolution(resolution("second"))
    store.update(other)
    before = service.sent() + service.received()
    found = store.refresh(stored)
    assert service.sent() + service.received() - before < 5_000
    assert found == other
    assert stored.version == 1
