"""Signing in: who is behind a request's token, as Supabase issues them.

A token is believed when its signature, its time, its issuer and its audience are right. The
algorithm follows from the key, never from the token alone: a shared secret verifies HS256, a
published key only what it is published for (RFC 8725, 3.1).
"""

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import anyio.to_thread
import jwt
from fastapi import Request

if TYPE_CHECKING:
    from lift_sys.api.settings import Settings

_PUBLISHED: Final = frozenset({"ES256", "RS256"})
_LEEWAY: Final = 10
"""How many seconds clocks may differ."""
_NAME_LENGTH: Final = 255


class NotSignedInError(Exception):
    """The request carries no token that can be believed; the message says why."""


class NotLocalError(Exception):
    """Without sign-in only this machine is answered."""


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


class TokenVerifier:
    """Verifies access tokens of one Supabase project.

    Args:
        issuer: what ``iss`` has to be.
        audience: what ``aud`` has to name.
        secret: verifies HS256; None refuses it.
        jwks_url: where the keys for ES256 and RS256 are published; None refuses these. Keys are
            kept for five minutes; one that is not known is looked up anew, at most every 30 s.
    """

    def __init__(
        self, *, issuer: str, audience: str, secret: str | None, jwks_url: str | None
    ) -> None:
        self._issuer = issuer
        self._audience = audience
        self._secret = secret
        self._keys = None if jwks_url is None else jwt.PyJWKClient(jwks_url, timeout=5)

    def verify(self, token: str) -> CurrentUser:
        """Return whose token it is. May fetch the published keys, blocking the thread.

        Raises:
            NotSignedInError: the token cannot be believed; says why.
        """
        try:
            header = jwt.get_unverified_header(token)
            key, algorithm = self._key(token, header)
            claims = jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                audience=self._audience,
                issuer=self._issuer,
                leeway=_LEEWAY,
                options={"require": ["exp", "sub", "aud", "iss"]},
            )
        except jwt.PyJWTError as error:
            raise NotSignedInError(str(error) or type(error).__name__) from error
        subject = claims["sub"]
        if not isinstance(subject, str) or not 0 < len(subject) <= _NAME_LENGTH:
            raise NotSignedInError("the claim sub is no text of 1 to 255 characters")
        if claims.get("role", "authenticated") != "authenticated":
            raise NotSignedInError("the token is not a signed-in user's")
        return CurrentUser(subject, token)

    def _key(self, token: str, header: dict[str, Any]) -> tuple[Any, str]:
        algorithm = header.get("alg")
        if algorithm == "HS256" and self._secret is not None:
            return self._secret, algorithm
        if algorithm in _PUBLISHED and self._keys is not None:
            key = self._keys.get_signing_key_from_jwt(token)
            if key.algorithm_name == algorithm:
                return key, algorithm
        raise NotSignedInError(f"tokens signed with {algorithm} are not accepted here")


def make_verifier(settings: "Settings") -> TokenVerifier | None:
    """Return what verifies tokens by these settings; None where nobody signs in."""
    if settings.auth == "none":
        return None
    secret = settings.supabase_jwt_secret
    return TokenVerifier(
        issuer=settings.jwt_issuer or "",
        audience=settings.jwt_audience,
        secret=secret.get_secret_value() if secret else None,
        jwks_url=settings.jwks_url,
    )


async def get_current_user(request: Request) -> CurrentUser:
    """Return who the request acts for: a FastAPI dependency.

    Needs ``app.state.verifier`` (see ``make_verifier``) and ``app.state.local_user``.

    Raises:
        NotSignedInError: the token is missing or cannot be believed.
        NotLocalError: nobody signs in here, and the request is not from this machine.
    """
    verifier: TokenVerifier | None = request.app.state.verifier
    if verifier is None:
        _require_loopback(request)
        return CurrentUser(request.app.state.local_user, None)
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise NotSignedInError("no token: send Authorization: Bearer and an access token")
    return await anyio.to_thread.run_sync(verifier.verify, token.strip())


def is_loopback(host: str) -> bool:
    """Return whether `host`, a name or an address, can only be this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _require_loopback(request: Request) -> None:
    """Refuse what does not come from this machine to this machine.

    The name in ``Host`` counts too: a page from elsewhere may have its own name resolve to
    127.0.0.1, and would be let in by the addresses alone.
    """
    client = request.client.host if request.client else ""
    server = request.scope.get("server") or ("", 0)
    name = request.url.hostname or ""
    for host in (client, server[0], name):
        if not is_loopback(host):
            raise NotLocalError(
                "without sign-in only loopback addresses are answered; set LIFT_SYS_AUTH=supabase"
            )
