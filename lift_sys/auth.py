"""Signing in: who is behind a request's token, as Supabase issues them.

A token is believed when its signature, its time, its issuer, its audience and its role are right.
The algorithm follows from the key, never from the token alone: a shared secret verifies HS256, a
published key only what it is published for (RFC 8725, 3.1).
"""

import asyncio
import ipaddress
import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import urlsplit

import jwt
from fastapi import Request

from lift_sys.spec_sessions.encoding import is_name

if TYPE_CHECKING:
    from lift_sys.api.settings import Settings

_log = logging.getLogger(__name__)

_PUBLISHED: Final = frozenset({"ES256", "RS256"})
_LEEWAY: Final = 10
"""How many seconds clocks may differ."""
MAX_TOKEN_LENGTH: Final = 16_384
"""How many characters a token may have."""
FRESH: Final = 300.0
"""For how many seconds published keys are used before they are fetched anew."""
STALE: Final = 3_600.0
"""For how many seconds they are used where they cannot be fetched."""
COOLDOWN: Final = 10.0
"""How many seconds lie between two fetches at least, however many unknown keys are named."""
FETCH_SECONDS: Final = 5.0
"""How long one fetch may take."""
_UNREADABLE: Final = (jwt.PyJWTError, ArithmeticError, RecursionError, TypeError, ValueError)
"""What a hostile token can make of its reader."""
_FORWARDED: Final = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip")


class NotSignedInError(Exception):
    """The request carries no token that can be believed; the message says why."""


class NotLocalError(Exception):
    """Without sign-in only this machine is answered."""


class KeysUnavailableError(Exception):
    """The published keys cannot be had now, so no token can be judged."""


@dataclass(frozen=True, slots=True)
class CurrentUser:
    """Who a request acts for.

    Attributes:
        user_id: the claim ``sub``.
        access_token: the token itself, to be handed on to a database that checks it too; None
            where nobody signs in.
    """

    user_id: str
    access_token: str | None


class SignIn(Protocol):
    """A way to tell who a request acts for."""

    async def user_of(self, request: Request) -> CurrentUser:
        """Return who the request acts for.

        Raises:
            NotSignedInError: the token is missing or cannot be believed.
            NotLocalError: nobody signs in here, and the request is not from this machine.
            KeysUnavailableError: the keys that would tell cannot be had now.
        """


def make_sign_in(settings: "Settings") -> SignIn:
    """Return the way to sign in that these settings name."""
    if settings.auth == "none":
        return LocalSignIn(settings.user)
    secret = settings.supabase_jwt_secret
    return TokenSignIn(
        issuer=settings.jwt_issuer or "",
        audience=settings.jwt_audience,
        secret=secret.get_secret_value() if secret else None,
        keys=PublishedKeys(settings.jwks_url) if settings.jwks_url else None,
    )


async def get_current_user(request: Request) -> CurrentUser:
    """Return who the request acts for: a FastAPI dependency.

    Needs ``app.state.sign_in``, see ``make_sign_in``; raises what ``SignIn.user_of`` does.
    """
    sign_in: SignIn = request.app.state.sign_in
    return await sign_in.user_of(request)


class PublishedKeys:
    """The public keys of a project, fetched when needed and kept (RFC 7517).

    A key that is not known is looked for at the address, and a key that is no longer published
    there is forgotten after five minutes. While the address does not answer, what is known is used
    for an hour. One request at a time fetches, and none within ten seconds of another.

    Args:
        url: where they are published.
        fresh: for how many seconds they are used before they are fetched anew.
        stale: for how many seconds they are used where they cannot be fetched.
        cooldown: how many seconds lie between two fetches at least.
    """

    def __init__(
        self, url: str, *, fresh: float = FRESH, stale: float = STALE, cooldown: float = COOLDOWN
    ) -> None:
        self._client = jwt.PyJWKClient(url, cache_jwk_set=False, timeout=FETCH_SECONDS)
        self._fresh, self._stale, self._cooldown = fresh, stale, cooldown
        self._turn = asyncio.Lock()
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched_at = self._asked_at = float("-inf")

    async def find(self, kid: object) -> jwt.PyJWK:
        """Return the key of that id.

        Raises:
            NotSignedInError: no such key is published.
            KeysUnavailableError: none are known, and they cannot be fetched.
        """
        if not self._known(kid):
            async with self._turn:
                if not self._known(kid) and self._age(self._asked_at) > self._cooldown:
                    await self._fetch()
        if self._age(self._fetched_at) > self._stale:
            raise KeysUnavailableError("the keys that verify tokens cannot be fetched; try again")
        key = self._keys.get(kid) if isinstance(kid, str) else None
        if key is None:
            raise NotSignedInError("no key is published that could have signed the token")
        return key

    def _known(self, kid: object) -> bool:
        return kid in self._keys and self._age(self._fetched_at) <= self._fresh

    async def _fetch(self) -> None:
        self._asked_at = time.monotonic()
        try:
            found = await asyncio.to_thread(self._client.get_signing_keys)
        except (jwt.PyJWTError, OSError, ValueError) as error:
            _log.warning("the published keys cannot be fetched: %s", error)
            return
        self._keys = {key.key_id: key for key in found if key.key_id is not None}
        self._fetched_at = time.monotonic()

    @staticmethod
    def _age(instant: float) -> float:
        return time.monotonic() - instant


class TokenSignIn:
    """Believes the access tokens of one Supabase project.

    Args:
        issuer: what ``iss`` has to be.
        audience: what ``aud`` has to name.
        secret: verifies HS256; None refuses it.
        keys: verify ES256 and RS256; None refuses these.
    """

    def __init__(
        self, *, issuer: str, audience: str, secret: str | None, keys: PublishedKeys | None
    ) -> None:
        self._issuer = issuer
        self._audience = audience
        self._secret = secret
        self._keys = keys

    async def user_of(self, request: Request) -> CurrentUser:
        """Return whose token the request carries. See ``SignIn``."""
        headers = request.headers.getlist("authorization")
        if len(headers) > 1:
            raise NotSignedInError("more than one Authorization header; send one")
        scheme, _, token = "".join(headers).partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise NotSignedInError("no token: send Authorization: Bearer and an access token")
        return await self.verify(token.strip())

    async def verify(self, token: str) -> CurrentUser:
        """Return whose token it is.

        Raises:
            NotSignedInError: the token cannot be believed; says why.
            KeysUnavailableError: the keys that would tell cannot be had now.
        """
        if len(token) > MAX_TOKEN_LENGTH:
            raise NotSignedInError(f"the token has more than {MAX_TOKEN_LENGTH} characters")
        try:
            key, algorithm = await self._key(jwt.get_unverified_header(token))
            claims = jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                audience=self._audience,
                issuer=self._issuer,
                leeway=_LEEWAY,
                options={"require": ["exp", "sub", "aud", "iss"]},
            )
        except _UNREADABLE as error:
            raise NotSignedInError(f"the token is not accepted: {_reason(error)}") from error
        if not is_name(claims["sub"]):
            raise NotSignedInError("the claim sub is no text of 1 to 255 characters")
        if claims.get("role") != "authenticated":
            raise NotSignedInError("the token is not a signed-in user's")
        return CurrentUser(claims["sub"], token)

    async def _key(self, header: dict[str, Any]) -> tuple[Any, str]:
        algorithm = str(header.get("alg"))
        if algorithm == "HS256" and self._secret:
            return self._secret, algorithm
        if algorithm in _PUBLISHED and self._keys is not None:
            key = await self._keys.find(header.get("kid"))
            if key.algorithm_name == algorithm:
                return key, algorithm
        raise NotSignedInError(f"tokens signed with {algorithm[:20]!a} are not accepted here")


class LocalSignIn:
    """Takes whoever is at this machine for its one user, and refuses everyone else.

    Not only the addresses count. A page from elsewhere may have its own name resolve to 127.0.0.1,
    which ``Host`` tells; it may have the browser send a request here, which ``Origin`` tells; and
    a proxy on this machine may pass on what comes from another one.

    Args:
        user_id: the one user.
    """

    def __init__(self, user_id: str) -> None:
        self._user = CurrentUser(user_id, None)

    async def user_of(self, request: Request) -> CurrentUser:
        """Return the one user. See ``SignIn``."""
        if not self._is_local(request):
            raise NotLocalError(
                "without sign-in only loopback addresses are answered; set LIFT_SYS_AUTH=supabase"
            )
        return self._user

    @staticmethod
    def _is_local(request: Request) -> bool:
        client = request.client.host if request.client else ""
        server = request.scope.get("server") or ("", 0)
        names = [_host(f"//{name}") for name in request.headers.getlist("host")]
        origins = [_host(origin) for origin in request.headers.getlist("origin")]
        return (
            bool(names)
            and all(map(is_loopback, (client, server[0], *names, *origins)))
            and not any(name in request.headers for name in _FORWARDED)
        )


def is_loopback(host: str) -> bool:
    """Return whether `host`, a name or an address, can only be this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _reason(error: BaseException) -> str:
    """Return what is wrong with a token, in the library's words where it has judged it."""
    return str(error) if isinstance(error, jwt.PyJWTError) and str(error) else "it cannot be read"
