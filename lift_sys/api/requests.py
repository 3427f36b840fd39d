"""How the bodies of requests are read: as strict JSON, by the same parser that reads the stores.

The framework's own parser takes NaN, lone surrogates and bytes that are no UTF-8, and falls over
what nests too deeply.
"""

from collections.abc import Callable, Coroutine
from email.message import Message
from http import HTTPStatus
from json import JSONDecodeError
from typing import Any

from fastapi import HTTPException, Request, Response
from fastapi.routing import APIRoute
from pydantic_core import from_json


class JsonRoute(APIRoute):
    """A route that takes JSON only, and says so of anything else."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what answers a request: the framework's handler, given a stricter request."""
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            request = _JsonRequest(request.scope, request.receive)
            if self.body_field is not None and await request.body() and not _is_json(request):
                raise HTTPException(
                    HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "send Content-Type: application/json"
                )
            return await handle(request)

        return answer


class _JsonRequest(Request):
    async def json(self) -> Any:
        """Return what the body says.

        Raises:
            json.JSONDecodeError: it is no JSON; the one error that the framework knows.
        """
        try:
            return from_json(await self.body(), allow_inf_nan=False)
        except ValueError as error:
            raise JSONDecodeError(str(error), "", 0) from error


def _is_json(request: Request) -> bool:
    header = Message()
    header["content-type"] = request.headers.get("content-type", "")
    kind, _, suffix = header.get_content_type().partition("+")
    return kind == "application/json" or (kind.startswith("application/") and suffix == "json")
