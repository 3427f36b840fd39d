"""lift-sys on Modal: deploy with ``modal deploy -m lift_sys.modal_app``, from a checkout.

Modal runs an input at least once: again after a preemption, or in two containers at a time.
``process_session`` may be run so. It takes what is pending now, and its write is fenced by the
version it read; a second run finds nothing pending, or is refused and looks again. Nothing opens
at import.
"""

import os
from pathlib import Path
from typing import Any, Final

import modal

_CHECKOUT: Final = Path(__file__).parents[1]
_PACKAGE: Final = ("lift_sys", "supabase/migrations", "pyproject.toml", "README.md", "LICENSE")
_STORE: Final = "supabase://"
"""The store, where the secret names no other: a container's own disk goes when it does."""

app = modal.App("lift-sys")


def _image() -> modal.Image:
    """Return an image with this checkout installed, as a wheel would be."""
    image = modal.Image.debian_slim(python_version="3.11")
    for name in _PACKAGE:
        path = _CHECKOUT / name
        add = image.add_local_file if path.is_file() else image.add_local_dir
        image = add(str(path), f"/lift-sys/{name}", copy=True)
    return image.run_commands("pip install '/lift-sys[postgres,server,supabase]'")


image = _image()
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

    user_id = user_id or os.environ.get("USER_ID")
    with open_store(os.environ.get("LIFT_SYS_STORE", _STORE), user_id=user_id) as store:
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
    """Return the application server. Users sign in: nobody is at a container's own address."""
    from lift_sys.api.server import create_app
    from lift_sys.api.settings import Settings

    store = os.environ.get("LIFT_SYS_STORE", _STORE)
    return create_app(Settings(LIFT_SYS_STORE=store, LIFT_SYS_AUTH="supabase"))
