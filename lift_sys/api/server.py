"""The FastAPI application."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI, Request
from fastapi.openapi.utils import get_openapi

from lift_sys.api import sessions
from lift_sys.api.limits import BodyLimit
from lift_sys.api.problems import Problem, add_problem_handlers, described
from lift_sys.api.schemas import Health
from lift_sys.api.settings import Settings
from lift_sys.auth import make_verifier
from lift_sys.backends.errors import PermissionDeniedError, StoreUnavailableError
from lift_sys.spec_sessions.opening import open_async_store
from lift_sys.spec_sessions.store import AsyncSessionStore
from lift_sys.spec_sessions.stores import LOCAL_USER

_PROBE = "lift-sys-ready"
"""The user that ``/ready`` asks the store for: it has no sessions."""


def create_app(settings: Settings | None = None) -> FastAPI:
    """Return the application. Opens nothing before it is started (G16).

    Args:
        settings: the environment's by default.

    Raises:
        pydantic.ValidationError: a setting is missing or wrong; names it.
        ValueError: the store's URL names no store.
    """
    settings = settings or Settings()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_async_store(settings.store) as store:
            app.state.store = store
            yield

    app = FastAPI(
        title="lift-sys",
        version=version("lift-sys"),
        summary="Refine a prompt or existing code into a typed specification, step by step.",
        lifespan=lifespan,
    )
    app.state.settings = settings
    app.state.verifier = make_verifier(settings)
    app.state.local_user = LOCAL_USER
    app.add_middleware(BodyLimit, max_bytes=settings.max_body_bytes)
    add_problem_handlers(app)
    app.include_router(sessions.router)
    app.add_api_route("/health", _health, tags=["operation"], summary="Is the server alive?")
    app.add_api_route(
        "/ready",
        _ready,
        tags=["operation"],
        summary="Can the store be used?",
        responses=described(503),
    )
    app.openapi = lambda: _description(app)  # type: ignore[method-assign]  # as FastAPI says to
    return app


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
    except PermissionDeniedError:
        # A key that needs a user's token beside it: the database is there and knows the call.
        pass
    return Health(status="ok")


def _description(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        description = get_openapi(
            title=app.title, version=app.version, summary=app.summary, routes=app.routes
        )
        schemas = description["components"]["schemas"]
        schemas["Problem"] = Problem.model_json_schema()
        for name in ("HTTPValidationError", "ValidationError"):  # problem details replace them
            schemas.pop(name, None)
        app.openapi_schema = description
    return app.openapi_schema


app = create_app()
