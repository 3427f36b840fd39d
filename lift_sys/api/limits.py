"""A limit on how large a request's body may be, kept while the body is read."""

from http import HTTPStatus
from typing import Final

from fastapi import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class BodyLimit:
    """Refuses a body that is larger than allowed, whatever its headers claim, with status 413.

    A body that nobody reads is not looked at.

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
        received = 0

        async def counted() -> Message:
            nonlocal received
            # Before the first part is asked for: a client that expects "100 Continue" sends none.
            self._require(self._claimed(scope))
            message = await receive()
            received += len(message.get("body", b""))
            self._require(received)
            return message

        await self._app(scope, counted, send)

    def _require(self, size: int) -> None:
        if size > self._max_bytes:
            raise HTTPException(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"at most {self._max_bytes} bytes are taken; send it in parts",
            )

    @staticmethod
    def _claimed(scope: Scope) -> int:
        lengths = [value for name, value in scope["headers"] if name == b"content-length"]
        return int(lengths[0][:20]) if lengths and lengths[0].isdigit() else 0
