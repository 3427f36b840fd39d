"""lift-sys on Modal: deploy with ``modal deploy -m lift_sys.modal_app``.

Modal runs an input at least once: again after a preemption, or in two containers at a time.
``process_session`` may be run so. It takes what is pending now, and its write is fenced by the
version it read; a second run finds nothing pending, or is refused and looks again. Nothing opens
at import.
"""

import os
from typing import Any

import modal

app = modal.App("lift-sys")
image = modal.Image.debian_slim(python_version="3.11").pip_install(
    "lift-sys[modal,postgres,server,supabase]"
)
secret = modal.Secret.from_name("lift-sys")
"""The environment: ``LIFT_SYS_STORE`` and what its store and the server need (``.env.example``)."""


@app.function(image=image, secrets=[secret], retries=3)
def process_session(session_id: str, user_id: str | None = None) -> dict[str, Any]:
    """Apply the pending resolutions of a session to its current draft.

    Args:
        session_id: which session.
        user_id: whose; ``USER_ID`` in the environment by default.

    Returns:
        ``session_id``, ``status``, ``version``, ``applied`` (how many resolutions this run
        applied) and ``unresolved`` (the holes that are left).

    Raises:
        SessionNotFoundError: that user has no such session.
        SessionStoreError: the store failed; running it again is safe.
    """
    from lift_sys.spec_sessions import open_store, process

    store_url = os.environ.get("LIFT_SYS_STORE", "supabase://")
    with open_store(store_url, user_id=user_id or os.environ.get("USER_ID")) as store:
        session, done = process(store, session_id)
    return {
        "session_id": session.session_id,
        "status": session.status,
        "version": session.version,
        "applied": len(done.applied),
        "unresolved": done.unresolved,
    }


@app.function(image=image, secrets=[secret])
@modal.concurrent(max_inputs=50)
@modal.asgi_app()
def api() -> Any:
    """Return the application server."""
    from lift_sys.api.server import create_app

    return create_app()
