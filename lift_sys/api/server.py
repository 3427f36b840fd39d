"""The FastAPI application."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI, Request
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema
from starlette.types import ASGIApp, Receive, Scope, Send

from lift_sys.api import sessions
from lift_sys.api.limits import BodyLimit
from lift_sys.api.problems import Problem, add_problem_handlers, described
from lift_sys.api.schemas import Health
from lift_sys.api.settings import Settings
from lift_sys.auth import make_sign_in
from lift_sys.backends.errors import PermissionDeniedError, StoreUnavailableError
from lift_sys.spec_sessions.store import AsyncSessionStore

_PROBE = "lift-sys-ready"
"""The user that ``/ready`` asks the store for: it has no sessions."""
_NOT_GRANTED = "42501"
"""What a database says where a key needs a user's token beside it (SQLSTATE)."""


def create_app(settings: Settings | None = None) -> FastAPI:
    """Return the application. Opens nothing before it is started (G16), and then closes it once.

    Args:
        settings: the environment's by default.

    Raises:
        pydantic.ValidationError: a setting is missing or wrong; names it.
        ValueError: the store's URL names no store, or what the store needs is missing.
    """
    settings = settings or Settings()
    store = settings.open_store()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with store:
            yield

    app = FastAPI(
        title="lift-sys",
        version=version("lift-sys"),
        summary="Refine a prompt or existing code into a typed specification, step by step.",
        lifespan=lifespan,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.settings = settings
    app.state.store = store
    app.state.sign_in = make_sign_in(settings)
    app.add_middleware(BodyLimit, max_bytes=settings.max_body_bytes)
    app.add_middleware(_HeadAsGet)
    add_problem_handlers(app)
    app.include_router(sessions.router)
    _add_operation(app)
    app.openapi = lambda: _description(app)  # type: ignore[method-assign]  # as FastAPI says to
    return app


def __getattr__(name: str) -> Any:
    # For `uvicorn lift_sys.api.server:app`. An import alone reads no settings.
    if name == "app":
        return _app()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


@cache
def _app() -> FastAPI:
    return create_app()


class _HeadAsGet:
    """Answers HEAD as GET is answered; the server leaves the body away (RFC 9110, 9.3.2)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "HEAD":
            scope = {**scope, "method": "GET"}
        await self._app(scope, receive, send)


def _add_operation(app: FastAPI) -> None:
    anyone: dict[str, Any] = {"security": []}
    app.add_api_route(
        "/health",
        _health,
        name="health",
        tags=["operation"],
        summary="Is the server alive?",
        openapi_extra=anyone,
    )
    app.add_api_route(
        "/ready",
        _ready,
        name="ready",
        tags=["operation"],
        summary="Can the store be used?",
        responses=described(403, 503),
        openapi_extra=anyone,
    )


async def _health() -> Health:
    """Say that the server is alive, whatever its store is."""
    return Health(status="ok")


async def _ready(request: Request) -> Health:
    """Say that the store can be reached and has this release's schema."""
    store: AsyncSessionStore = request.app.state.store
    try:
        async with asyncio.timeout(request.app.state.settings.ready_seconds):
            await store.for_user(_PROBE).list_page(limit=1)
    except TimeoutError as error:
        raise StoreUnavailableError("the store does not answer in time") from error
    except PermissionDeniedError as error:
        # With a publishable key users bring the right to call: that the function is there, and
        # may not be called without a token, is all that can be asked.
        if request.app.state.settings.auth == "none" or _NOT_GRANTED not in str(error):
            raise
    return Health(status="ok")


def _description(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        description = get_openapi(
            title=app.title, version=app.version, summary=app.summary, routes=app.routes
        )
        components = description["components"]
        _, problem = models_json_schema(
            [(Problem, "serialization")], ref_template="#/components/schemas/{model}"
        )
        components["schemas"] |= problem["$defs"]
        for name in ("HTTPValidationError", "ValidationError"):  # problem details replace them
            components["schemas"].pop(name, None)
        _say_what_arrays_hold(components)
        if app.state.settings.auth != "none":
            token = {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
            components["securitySchemes"] = {"token": token}
            description["security"] = [{"token": []}]
        app.openapi_schema = description
    return app.openapi_schema


def _say_what_arrays_hold(schema: Any) -> None:
    """Give arrays of anything an ``items`` that says so: generators of clients insist on one."""
    if isinstance(schema, dict):
        if schema.get("type") == "array":
            schema.setdefault("items", {})
        schema = list(schema.values())
    if isinstance(schema, list):
        for member in schema:
            _say_what_arrays_hold(member)
