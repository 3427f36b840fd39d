"""A limit on how large a request's body may be, kept before the body is read."""

from http import HTTPStatus
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lift_sys.api.problems import problem_response


class _TooLargeError(Exception):
    pass


class BodyLimit:
    """Answers 413 where a body is larger than allowed, whatever its headers claim.

    Args:
        app: what is guarded.
        max_bytes: how large a body may be.
    """

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self._app = app
        self._max_bytes: Final = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, counting what comes in."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        received, started = 0, False

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._max_bytes:
                raise _TooLargeError
            return message

        async def noted(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            if self._claimed(scope) > self._max_bytes:
                raise _TooLargeError  # noqa: TRY301  # one way out
            await self._app(scope, counted, noted)
        except _TooLargeError:
            if started:
                raise
            response = problem_response(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                "too-large",
                "The request is too large",
                f"at most {self._max_bytes} bytes; send it in parts",
            )
            await response(scope, receive, send)

    @staticmethod
    def _claimed(scope: Scope) -> int:
        lengths = [value for name, value in scope["headers"] if name == b"content-length"]
        return int(lengths[0]) if lengths and lengths[0].isdigit() else 0
