"""The wire proxy counts turns of a conversation with Postgres, and can spoil one."""

import time
from collections.abc import Callable, Iterator

import psycopg
import pytest

from lift_sys.local import LocalSupabase, WireProxy, cut, delay, delay_answer, drop_answer, html_502

Count = Callable[[str], int]
ADD = "insert into public.notes (user_id, body) values ('ann', %s)"


@pytest.fixture
def proxy(stack: LocalSupabase) -> Iterator[WireProxy]:
    with WireProxy(stack.database_url) as proxy:
        yield proxy


@pytest.fixture
def connection(proxy: WireProxy) -> Iterator[psycopg.Connection]:
    with psycopg.connect(proxy.database_url, autocommit=True) as connection:
        yield connection


def test_logging_in_is_no_round_trip(proxy: WireProxy) -> None:
    psycopg.connect(proxy.database_url).close()
    assert (proxy.connections, proxy.round_trips) == (1, 0)


def test_each_turn_counts_once_whatever_its_protocol(
    proxy: WireProxy, connection: psycopg.Connection
) -> None:
    connection.execute("select 1")
    assert proxy.round_trips == 1
    connection.execute("select %s::int", [1])
    assert proxy.round_trips == 2
    connection.execute("begin; select 1; select 2; commit")
    assert proxy.round_trips == 3


def test_a_pipeline_is_one_round_trip(proxy: WireProxy, connection: psycopg.Connection) -> None:
    with connection.pipeline():
        for number in range(5):
            connection.execute("select %s::int", [number])
    assert proxy.round_trips == 1


def test_bytes_are_counted_both_ways_and_large_answers_stay_whole(
    proxy: WireProxy, connection: psycopg.Connection
) -> None:
    proxy.reset()
    text = "x" * 300_000
    row = connection.execute("select repeat(%s, 2)", [text]).fetchone()
    assert row == (text * 2,)
    assert proxy.round_trips == 1
    assert 300_000 < proxy.sent < 301_000
    assert 600_000 < proxy.received < 601_000


def test_a_dropped_answer_leaves_the_work_done(
    proxy: WireProxy, connection: psycopg.Connection, count_notes: Count
) -> None:
    with proxy.fault(drop_answer(), when=lambda sent: b"insert into" in sent) as injection:
        connection.execute("select 1")
        with pytest.raises(psycopg.OperationalError):
            connection.execute(ADD, ["wire dropped"])
    assert injection.hits == 1
    assert count_notes("wire dropped") == 1


def test_a_cut_leaves_nothing(
    proxy: WireProxy, connection: psycopg.Connection, count_notes: Count
) -> None:
    with proxy.fault(cut()), pytest.raises(psycopg.OperationalError):
        connection.execute(ADD, ["wire cut"])
    assert count_notes("wire cut") == 0


def test_a_dropped_commit_is_committed(
    proxy: WireProxy, connection: psycopg.Connection, count_notes: Count
) -> None:
    with (
        proxy.fault(drop_answer(), when=lambda sent: b"COMMIT" in sent),
        pytest.raises(psycopg.OperationalError),
        connection.transaction(),
    ):
        connection.execute(ADD, ["wire commit"])
    assert count_notes("wire commit") == 1


@pytest.mark.parametrize("fault", [delay(0.2), delay_answer(0.2)])
def test_a_delay_delays_one_turn(proxy: WireProxy, connection: psycopg.Connection, fault) -> None:
    with proxy.fault(fault):
        started = time.monotonic()
        connection.execute("select 1")
        assert time.monotonic() - started > 0.2


def test_cut_connections_lets_new_ones_in(proxy: WireProxy, connection: psycopg.Connection) -> None:
    proxy.cut_connections()
    with pytest.raises(psycopg.OperationalError):
        connection.execute("select 1")
    with psycopg.connect(proxy.database_url) as fresh:
        assert fresh.execute("select 1").fetchone() == (1,)


def test_a_fault_that_speaks_http_is_refused(proxy: WireProxy) -> None:
    with pytest.raises(ValueError, match="HTTP"):
        proxy.fault(html_502())
