"""How the stack's PostgREST is started, with the settings of hosted Supabase."""

from __future__ import annotations

import http.client
from collections.abc import Sequence
from pathlib import Path

from lift_sys.local.background import HOST
from lift_sys.local.binaries import postgrest
from lift_sys.local.servers import Server, bare_environment
from lift_sys.local.settings import StackSettings

NAME = "postgrest"

_MAX_ROWS = 1000  # the default of hosted Supabase: more is cut off without a word


def server(settings: StackSettings, schemas: Sequence[str], pool_size: int, log: Path) -> Server:
    """Return how to start PostgREST.

    Args:
        settings: the ports and secrets.
        schemas: what it exposes; the first is the default one.
        pool_size: how many database connections it keeps.
        log: where its output goes.
    """
    variables = {
        "PGRST_DB_URI": settings.authenticator_url,
        "PGRST_DB_SCHEMAS": ",".join(schemas),
        "PGRST_DB_EXTRA_SEARCH_PATH": "public,extensions",
        "PGRST_DB_ANON_ROLE": "anon",
        "PGRST_DB_MAX_ROWS": str(_MAX_ROWS),
        "PGRST_DB_POOL": str(pool_size),
        "PGRST_JWT_SECRET": settings.jwt_secret,
        "PGRST_SERVER_HOST": HOST,
        "PGRST_SERVER_PORT": str(settings.postgrest_port),
        "PGRST_ADMIN_SERVER_PORT": str(settings.admin_port),
    }
    return Server(
        NAME, [str(postgrest())], env=bare_environment() | variables, folder=log.parent, log=log
    )


def is_ready(settings: StackSettings) -> bool:
    """Say whether PostgREST has its connection to the database and knows the schema."""
    connection = http.client.HTTPConnection(HOST, settings.admin_port, timeout=5)
    try:
        connection.request("GET", "/ready")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
