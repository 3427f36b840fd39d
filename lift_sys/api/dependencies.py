"""What endpoints are given: the store of whoever asks. Works in any FastAPI application."""

from typing import Annotated

from fastapi import Depends, Request

from lift_sys.auth import CurrentUser, get_current_user
from lift_sys.spec_sessions.store import AsyncSessionStore


async def get_store(
    request: Request, user: Annotated[CurrentUser, Depends(get_current_user)]
) -> AsyncSessionStore:
    """Return the store of the signed-in user: a FastAPI dependency.

    The user's token goes along, so that a database which checks it keeps users apart by itself.
    Needs ``app.state.store``, an open store, and ``app.state.sign_in``, see ``make_sign_in``.
    """
    store: AsyncSessionStore = request.app.state.store
    return store.for_user(user.user_id, access_token=user.access_token)


StoreOfUser = Annotated[AsyncSessionStore, Depends(get_store)]
"""The type of an endpoint's parameter that is the store of whoever asks."""
