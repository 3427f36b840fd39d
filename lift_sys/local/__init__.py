"""A Supabase-compatible stack on this machine, without containers: Postgres, PostgREST, gateway.

Everything listens on 127.0.0.1 only, and what was started stops with its owner, even when the
owner is killed. For development and tests: servers may be killed and restarted, requests counted,
and faults injected on both the HTTP side and the Postgres wire.
"""

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
