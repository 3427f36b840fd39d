"""A Supabase-compatible stack on this machine, without containers: Postgres, PostgREST, gateway.

Everything listens on 127.0.0.1 only, and what was started stops with its owner, even when the
owner is killed. For development and tests: servers may be killed and restarted, requests counted,
and faults injected on both the HTTP side and the Postgres wire.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from lift_sys.local.faults import (
    Answer,
    Fault,
    Injection,
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

if TYPE_CHECKING:
    from lift_sys.local.gateway import Gateway, Request
    from lift_sys.local.servers import LocalStackError
    from lift_sys.local.stack import LocalSupabase
    from lift_sys.local.wire import WireProxy

__all__ = [
    "Answer",
    "Fault",
    "Gateway",
    "Injection",
    "LocalStackError",
    "LocalSupabase",
    "Request",
    "WireProxy",
    "cut",
    "delay",
    "delay_answer",
    "drop_answer",
    "empty_200",
    "html_200",
    "html_502",
    "too_many_requests",
    "truncate_answer",
    "unavailable",
]

# What needs the extra "local" is imported when it is asked for: the command line names this
# package without it.
_MODULES = {
    "Gateway": "gateway",
    "LocalStackError": "servers",
    "LocalSupabase": "stack",
    "Request": "gateway",
    "WireProxy": "wire",
}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
