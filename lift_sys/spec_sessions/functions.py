"""The session calls as functions of a database: see ``supabase/migrations``."""

from typing import Final

from lift_sys.backends.remote import Functions
from lift_sys.spec_sessions import rules

FUNCTIONS: Final = Functions(
    suffix="_v1",
    refusals={
        "session_not_found": lambda detail: rules.not_found(detail["session_id"]),
        "session_exists": lambda detail: rules.taken(detail["session_id"]),
        "session_conflict": lambda detail: rules.conflict(
            detail["session_id"], detail["expected_version"], detail["current_version"]
        ),
        "history_rewritten": lambda detail: rules.rewritten(
            detail["field"], detail["index"], missing=detail["missing"]
        ),
        "another_session": lambda detail: rules.another_session(detail["session_id"]),
        "idempotency_key_reused": lambda detail: rules.key_reused(detail["key"]),
    },
    remedy="run `lift-sys migrate up`, or `supabase db push`",
)
