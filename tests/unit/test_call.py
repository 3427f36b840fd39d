"""The two drivers carry a flow alike: results, errors and cancellation."""

import asyncio
from collections.abc import Coroutine, Generator
from typing import Any

import pytest

from lift_sys.backends.call import Call, Flow, Lasting, User, run, run_async

USER = User("someone")


def call(name: str, *, writes: bool = False) -> Call[Any]:
    return Call(name, None, str, writes=writes)


def two_calls(seen: list[Any], *, writes: bool = False) -> Flow[list[Any]]:
    """Ask twice and return both answers; what happens in between goes to `seen`."""
    first = yield call("first", writes=writes)
    seen.append(first)
    second = yield call("second", writes=writes)
    seen.append(second)
    return [first, second]


class Backend:
    """Answers with the call's name, or fails where `errors` says so."""

    origin = "test"

    def __init__(self, **errors: BaseException) -> None:
        self.errors = errors
        self.executed: list[str] = []

    def execute(self, call: Call[Any], user: User) -> Any:
        assert user is USER
        self.executed.append(call.name)
        if error := self.errors.get(call.name):
            raise error
        return call.name

    def close(self) -> None: ...


class AsyncBackend(Backend):
    """The same, pausing in each call until `go` is set."""

    def __init__(self, **errors: BaseException) -> None:
        super().__init__(**errors)
        self.go = asyncio.Event()
        self.entered = asyncio.Event()
        self.finished: list[str] = []

    def execute(self, call: Call[Any], user: User) -> Coroutine[Any, Any, Any]:
        return self._execute(call, user)

    async def _execute(self, call: Call[Any], user: User) -> Any:
        self.entered.set()
        await self.go.wait()
        answer = super().execute(call, user)
        self.finished.append(call.name)
        return answer

    async def close(self) -> None: ...  # type: ignore[override]  # as AsyncBackend has it


def no_call() -> Flow[int]:
    yield from ()
    return 7


def failing() -> Generator[Call[Any], Any, int]:
    yield call("first")
    raise KeyError("flow")


def test_answers_go_to_the_flow_and_its_result_comes_back() -> None:
    seen: list[Any] = []
    assert run(two_calls(seen), Backend(), USER) == ["first", "second"] == seen


def test_a_flow_without_a_call_does_no_io() -> None:
    backend = Backend()
    assert run(no_call(), backend, USER) == 7
    assert backend.executed == []


@pytest.mark.parametrize("error", [KeyError("x"), StopIteration(3), KeyboardInterrupt()])
def test_an_error_of_the_backend_ends_the_flow_and_is_raised(error: BaseException) -> None:
    seen: list[Any] = []
    with pytest.raises(type(error)) as raised:
        run(two_calls(seen), Backend(second=error), USER)
    assert raised.value is error
    assert seen == ["first"]


def test_an_error_of_the_flow_is_raised() -> None:
    with pytest.raises(KeyError, match="flow"):
        run(failing(), Backend(), USER)


def test_async_carries_answers_results_and_errors() -> None:
    async def scenario() -> None:
        backend = AsyncBackend()
        backend.go.set()
        assert await run_async(two_calls([]), backend, USER) == ["first", "second"]
        assert await run_async(no_call(), backend, USER) == 7
        with pytest.raises(KeyError, match="flow"):
            await run_async(failing(), backend, USER)
        broken = AsyncBackend(second=OSError("disk"))
        broken.go.set()
        with pytest.raises(OSError, match="disk"):
            await run_async(two_calls([]), broken, USER)

    asyncio.run(scenario())


class LastingBackend(AsyncBackend):
    """The same, where the answer is not a coroutine's."""

    def execute(self, call: Call[Any], user: User) -> Any:
        lasting: Lasting[Any] = Lasting()
        task = asyncio.ensure_future(self._execute(call, user))

        def pass_on(task: asyncio.Task[Any]) -> None:
            if error := task.exception():
                lasting.set_exception(error)
            else:
                lasting.set_result(task.result())

        task.add_done_callback(pass_on)
        return lasting


either = pytest.mark.parametrize("kind", [AsyncBackend, LastingBackend])


async def cancelled_in(backend: AsyncBackend, flow: Flow[Any], times: int = 1) -> asyncio.Task[Any]:
    """Start the flow, cancel it in its first call, and let that call end."""
    task = asyncio.ensure_future(run_async(flow, backend, USER))
    await backend.entered.wait()
    for _ in range(times):
        task.cancel()
        await asyncio.sleep(0)  # lets the task take notice
    backend.go.set()
    await asyncio.wait([task])
    return task


def test_a_cancelled_read_is_given_up_at_once() -> None:
    async def scenario() -> None:
        backend = AsyncBackend()
        seen: list[Any] = []
        task = await cancelled_in(backend, two_calls(seen))
        assert task.cancelled()
        assert (backend.finished, seen) == ([], [])

    asyncio.run(scenario())


@either
@pytest.mark.parametrize("times", [1, 3])
def test_a_cancelled_write_ends_first_and_nothing_follows_it(
    kind: type[AsyncBackend], times: int
) -> None:
    async def scenario() -> None:
        backend = kind()
        seen: list[Any] = []
        task = await cancelled_in(backend, two_calls(seen, writes=True), times)
        assert task.cancelled()
        assert (backend.finished, seen) == (["first"], ["first"])

    asyncio.run(scenario())


@either
def test_the_last_write_of_a_cancelled_task_reaches_the_flow(kind: type[AsyncBackend]) -> None:
    def one(seen: list[Any]) -> Flow[None]:
        seen.append((yield call("only", writes=True)))

    async def scenario() -> None:
        backend = kind()
        seen: list[Any] = []
        task = await cancelled_in(backend, one(seen))
        assert task.cancelled()
        assert seen == ["only"]

    asyncio.run(scenario())


@either
def test_a_cancelled_write_that_fails_is_a_cancellation_with_its_cause(
    kind: type[AsyncBackend],
) -> None:
    async def scenario() -> None:
        backend = kind(first=OSError("disk"))
        task = asyncio.ensure_future(run_async(two_calls([], writes=True), backend, USER))
        await backend.entered.wait()
        task.cancel()
        await asyncio.sleep(0)
        backend.go.set()
        with pytest.raises(asyncio.CancelledError) as raised:
            await task
        assert isinstance(raised.value.__cause__, OSError)

    asyncio.run(scenario())


@either
def test_a_timeout_round_a_write_is_a_timeout(kind: type[AsyncBackend]) -> None:
    async def scenario() -> None:
        backend = kind()
        asyncio.get_running_loop().call_later(0.02, backend.go.set)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.001):
                await run_async(two_calls([], writes=True), backend, USER)
        assert backend.finished == ["first"]

    asyncio.run(scenario())
