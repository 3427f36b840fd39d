"""What one stack must remember from run to run: its ports, its secrets, its keys."""

from __future__ import annotations

import json
import secrets
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import jwt

from lift_sys.local.background import HOST
from lift_sys.local.servers import free_port

_ISSUER = "lift-sys-local"
_KEY_SECONDS = 10 * 365 * 24 * 3600
_FILE = "stack.json"


@dataclass(frozen=True)
class StackSettings:
    """Ports and secrets of a stack.

    Attributes:
        gateway_port, postgrest_port, admin_port, postgres_port: where its servers listen.
        postgres_password: of the role ``postgres``.
        authenticator_password: of the role that PostgREST logs in as.
        jwt_secret: signs every token (HS256).
        anon_key, service_key: API keys that are JWTs.
        publishable_key, secret_key: API keys of the newer kind, which are none.
    """

    gateway_port: int
    postgrest_port: int
    admin_port: int
    postgres_port: int
    postgres_password: str
    authenticator_password: str
    jwt_secret: str
    anon_key: str
    service_key: str
    publishable_key: str
    secret_key: str

    @classmethod
    def new(cls) -> Self:
        """Choose free ports and make secrets."""
        ports: list[int] = []
        for _ in range(4):
            ports.append(free_port(ports))
        jwt_secret = secrets.token_urlsafe(40)
        return cls(
            gateway_port=ports[0],
            postgrest_port=ports[1],
            admin_port=ports[2],
            postgres_port=ports[3],
            postgres_password=secrets.token_urlsafe(24),
            authenticator_password=secrets.token_urlsafe(24),
            jwt_secret=jwt_secret,
            anon_key=_api_key(jwt_secret, "anon"),
            service_key=_api_key(jwt_secret, "service_role"),
            publishable_key=f"sb_publishable_{secrets.token_urlsafe(24)}",
            secret_key=f"sb_secret_{secrets.token_urlsafe(24)}",
        )

    @classmethod
    def load(cls, folder: Path) -> Self | None:
        """Read what ``save`` wrote; None where nothing is."""
        try:
            return cls(**json.loads((folder / _FILE).read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None

    def save(self, folder: Path) -> None:
        """Write the settings where only this user can read them, whole or not at all."""
        scratch = folder / f"{_FILE}.new"
        scratch.touch(mode=0o600)
        scratch.write_text(json.dumps(asdict(self), indent=2), encoding="utf-8")
        scratch.rename(folder / _FILE)

    @property
    def url(self) -> str:
        """The address of the gateway."""
        return f"http://{HOST}:{self.gateway_port}"

    @property
    def database_url(self) -> str:
        """The address of the database for its owner, the superuser ``postgres``."""
        return self._login("postgres", self.postgres_password)

    @property
    def authenticator_url(self) -> str:
        """The address of the database for the role that PostgREST logs in as."""
        return self._login("authenticator", self.authenticator_password)

    def environment(self) -> dict[str, str]:
        """Return the environment variables that lead a program to this stack."""
        return {
            "SUPABASE_URL": self.url,
            "SUPABASE_ANON_KEY": self.anon_key,
            "SUPABASE_SERVICE_KEY": self.service_key,
            "SUPABASE_JWT_SECRET": self.jwt_secret,
            "LIFT_SYS_DATABASE_URL": self.database_url,
        }

    def token(self, claims: dict[str, Any], *, expires_in: float) -> str:
        """Sign a token with these claims that expires after so many seconds."""
        return _sign(self.jwt_secret, claims, expires_in)

    def keys(self) -> dict[str, str]:
        """Return every accepted API key, with the JWT that speaks for it."""
        return {
            self.anon_key: self.anon_key,
            self.publishable_key: self.anon_key,
            self.service_key: self.service_key,
            self.secret_key: self.service_key,
        }

    def _login(self, role: str, password: str) -> str:
        return f"postgresql://{role}:{password}@{HOST}:{self.postgres_port}/postgres"


def _api_key(jwt_secret: str, role: str) -> str:
    return _sign(jwt_secret, {"role": role}, _KEY_SECONDS)


def _sign(jwt_secret: str, claims: dict[str, Any], expires_in: float) -> str:
    now = time.time()
    times = {"iss": _ISSUER, "iat": int(now), "exp": int(now + expires_in)}
    return jwt.encode(times | claims, jwt_secret, algorithm="HS256")
