"""The gateway counts what comes in, and goes wrong in exactly the way it is told to."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from lift_sys.local import (
    Fault,
    LocalSupabase,
    cut,
    delay,
    delay_answer,
    drop_answer,
    empty_200,
    html_200,
    html_502,
    too_many_requests,
    truncate_answer,
    unavailable,
)

Count = Callable[[str], int]


@pytest.fixture(autouse=True)
def forgotten(stack: LocalSupabase) -> Iterator[None]:
    stack.gateway.reset()
    yield
    stack.gateway.start()


def add(client: httpx.Client, body: str) -> httpx.Response:
    return client.post("/rpc/add_note", json={"body": body})


def test_requests_are_counted_with_their_sizes(stack: LocalSupabase, client: httpx.Client) -> None:
    answer = add(client, "counted")
    client.get("/notes", params={"select": "id", "body": "eq.none"})
    first, second = stack.gateway.requests
    assert (first.method, first.path, first.status) == ("POST", "/rest/v1/rpc/add_note", 200)
    assert first.sent == len(b'{"body":"counted"}')
    assert first.received == len(answer.content)
    assert (second.method, second.query) == ("GET", "select=id&body=eq.none")
    stack.gateway.reset()
    assert stack.gateway.requests == []


def test_a_dropped_answer_leaves_the_work_done(
    stack: LocalSupabase, client: httpx.Client, count_notes: Count
) -> None:
    with (
        stack.gateway.fault(drop_answer()) as injection,
        pytest.raises(httpx.RemoteProtocolError),
    ):
        add(client, "dropped")
    assert injection.hits == 1
    assert count_notes("dropped") == 1


def test_a_cut_before_forwarding_leaves_nothing(
    stack: LocalSupabase, client: httpx.Client, count_notes: Count
) -> None:
    with stack.gateway.fault(cut()), pytest.raises(httpx.RemoteProtocolError):
        add(client, "cut")
    assert count_notes("cut") == 0


def test_a_truncated_answer_breaks_off_inside_the_body(
    stack: LocalSupabase, client: httpx.Client, count_notes: Count
) -> None:
    with stack.gateway.fault(truncate_answer()), pytest.raises(httpx.RemoteProtocolError):
        add(client, "truncated")
    assert count_notes("truncated") == 1


@pytest.mark.parametrize(
    ("fault", "status", "content_type", "retry_after"),
    [
        (html_502(), 502, "text/html", None),
        (html_200(), 200, "text/html", None),
        (empty_200(), 200, None, None),
        (unavailable(7), 503, "application/json", "7"),
        (too_many_requests(8), 429, "application/json", "8"),
    ],
)
def test_a_false_answer_comes_in_place_of_the_work_or_after_it(
    stack: LocalSupabase,
    client: httpx.Client,
    count_notes: Count,
    fault: Fault,
    status: int,
    content_type: str | None,
    retry_after: str | None,
) -> None:
    body = f"false {status} {content_type}"
    with stack.gateway.fault(fault):
        answer = add(client, body)
    assert answer.status_code == status
    assert answer.headers.get("content-type") == content_type
    assert answer.headers.get("retry-after") == retry_after
    assert count_notes(body) == 0
    with stack.gateway.fault(fault.after_commit()):
        assert add(client, body).status_code == status
    assert count_notes(body) == 1


@pytest.mark.parametrize("fault", [delay(0.3), delay_answer(0.3)])
def test_a_delay_delays(stack: LocalSupabase, client: httpx.Client, fault: Fault) -> None:
    with stack.gateway.fault(fault):
        started = time.monotonic()
        assert add(client, "late").status_code == 200
        assert time.monotonic() - started > 0.3


def test_a_client_that_gives_up_has_been_served_only_if_the_delay_came_after(
    stack: LocalSupabase, client: httpx.Client, count_notes: Count
) -> None:
    with stack.gateway.fault(delay_answer(5)), pytest.raises(httpx.ReadTimeout):
        client.post("/rpc/add_note", json={"body": "gave up"}, timeout=0.3)
    assert count_notes("gave up") == 1


def test_a_fault_strikes_as_often_and_where_it_is_told(
    stack: LocalSupabase, client: httpx.Client
) -> None:
    with stack.gateway.fault(
        html_502(), times=2, when=lambda request: b"struck" in request.body
    ) as injection:
        assert [add(client, body).status_code for body in ("other", *["struck"] * 3)] == [
            200,
            502,
            502,
            200,
        ]
    assert injection.hits == 2
    with stack.gateway.fault(html_502(), times=None):
        assert {add(client, "always").status_code for _ in range(4)} == {502}
    assert add(client, "over").status_code == 200


def test_a_stopped_gateway_refuses_and_comes_back_on_its_port(
    stack: LocalSupabase, client: httpx.Client
) -> None:
    add(client, "before")
    stack.gateway.stop()
    with pytest.raises(httpx.ConnectError):
        add(client, "while")
    stack.gateway.start()
    assert add(client, "after").status_code == 200


def test_cut_connections_end_a_request_in_flight(
    stack: LocalSupabase, client: httpx.Client
) -> None:
    with ThreadPoolExecutor(1) as pool, stack.gateway.fault(delay(30)):
        pending = pool.submit(add, client, "in flight")
        while not stack.gateway.requests:
            time.sleep(0.005)
        stack.gateway.cut_connections()
        with pytest.raises(httpx.HTTPError):
            pending.result(10)
    assert add(client, "next").status_code == 200


def test_fifty_clients_are_served_at_once(stack: LocalSupabase, client: httpx.Client) -> None:
    def work(number: int) -> int:
        numbers: list[int] = client.post("/rpc/many", json={"n": number}).json()
        return numbers[-1]

    with ThreadPoolExecutor(50) as pool:
        assert list(pool.map(work, range(1, 201))) == list(range(1, 201))
