"""What the server is told by its environment."""

from typing import Final, Literal

from pydantic import AliasChoices, Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from lift_sys.spec_sessions.encoding import check_name
from lift_sys.spec_sessions.opening import open_async_store
from lift_sys.spec_sessions.store import AsyncSessionStore
from lift_sys.spec_sessions.stores import LOCAL_USER

_SECRET_BYTES: Final = 32
"""How long a secret for HS256 has to be at least (RFC 7518, 3.2)."""
_WEB_ADDRESS: Final = r"^https?://[^\s/]+"


class Settings(BaseSettings):
    """The server's settings, from the environment or a file ``.env``.

    Attributes:
        store: the store, as a URL. Environment: ``LIFT_SYS_STORE``.
        auth: ``supabase`` verifies each request's token; ``none`` is for one local user, and
            answers loopback addresses only. Environment: ``LIFT_SYS_AUTH``.
        user: whose sessions those of the one local user are. Environment: ``LIFT_SYS_USER``.
        supabase_url: the project whose users sign in, and of the store ``supabase://``.
            Environment: ``SUPABASE_URL``.
        supabase_key: the key for the store ``supabase://``. Environment: ``SUPABASE_KEY``, or one
            of the other names that ``SupabaseSessionStore`` knows.
        supabase_jwt_secret: verifies tokens signed with HS256. Environment:
            ``SUPABASE_JWT_SECRET``.
        jwks_url: where the public keys are for tokens signed with ES256 or RS256; the project's
            own by default. Environment: ``LIFT_SYS_JWKS_URL``.
        jwt_issuer: what ``iss`` has to be; the project's own by default. Environment:
            ``LIFT_SYS_JWT_ISSUER``.
        jwt_audience: what ``aud`` has to name. Environment: ``LIFT_SYS_JWT_AUDIENCE``.
        max_body_bytes: how large a request's body may be. Environment:
            ``LIFT_SYS_MAX_BODY_BYTES``.
        ready_seconds: how long ``/ready`` waits for the store. Environment:
            ``LIFT_SYS_READY_SECONDS``.

    Raises:
        pydantic.ValidationError: a setting is missing or wrong; names it.
    """

    model_config = SettingsConfigDict(env_file=".env", env_ignore_empty=True, extra="ignore")

    store: str = Field("sqlite:///lift_sys.db", validation_alias="LIFT_SYS_STORE")
    auth: Literal["none", "supabase"] = Field("none", validation_alias="LIFT_SYS_AUTH")
    user: str = Field(LOCAL_USER, validation_alias="LIFT_SYS_USER")
    supabase_url: str | None = Field(None, validation_alias="SUPABASE_URL", pattern=_WEB_ADDRESS)
    supabase_key: SecretStr | None = Field(
        None,
        validation_alias=AliasChoices(
            "SUPABASE_SERVICE_KEY",
            "SUPABASE_SERVICE_ROLE_KEY",
            "SUPABASE_SECRET_KEY",
            "SUPABASE_KEY",
        ),
    )
    supabase_jwt_secret: SecretStr | None = Field(None, validation_alias="SUPABASE_JWT_SECRET")
    jwks_url: str | None = Field(None, validation_alias="LIFT_SYS_JWKS_URL", pattern=_WEB_ADDRESS)
    jwt_issuer: str | None = Field(None, validation_alias="LIFT_SYS_JWT_ISSUER")
    jwt_audience: str = Field("authenticated", validation_alias="LIFT_SYS_JWT_AUDIENCE")
    max_body_bytes: int = Field(32 * 2**20, gt=0, validation_alias="LIFT_SYS_MAX_BODY_BYTES")
    ready_seconds: float = Field(5.0, gt=0, validation_alias="LIFT_SYS_READY_SECONDS")

    def open_store(self) -> AsyncSessionStore:
        """Return the store, not yet connected.

        Raises:
            ValueError: the URL names no store, or what the store needs is missing; says what.
        """
        url, options = self.store, {}
        # The file .env counts too, which the store does not read.
        if url == "supabase://" and self.supabase_url:
            url = f"supabase+{self.supabase_url}"
        if url.startswith("supabase") and self.supabase_key:
            options["key"] = self.supabase_key.get_secret_value()
        return open_async_store(url, **options)

    @field_validator("user")
    @classmethod
    def _storable(cls, user: str) -> str:
        check_name(user, "LIFT_SYS_USER")
        return user

    @field_validator("supabase_jwt_secret")
    @classmethod
    def _long_enough(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is not None and len(secret.get_secret_value().encode()) < _SECRET_BYTES:
            raise ValueError(f"a secret for HS256 has at least {_SECRET_BYTES} bytes")
        return secret

    @model_validator(mode="after")
    def _complete(self) -> "Settings":
        if self.auth == "supabase":
            if not self.supabase_url and not (self.jwt_issuer and self._has_keys()):
                raise ValueError(
                    "SUPABASE_URL is missing: LIFT_SYS_AUTH=supabase needs the project whose "
                    "users sign in"
                )
            project = (self.supabase_url or "").rstrip("/")
            self.jwt_issuer = self.jwt_issuer or f"{project}/auth/v1"
            self.jwks_url = self.jwks_url or (
                f"{project}/auth/v1/.well-known/jwks.json" if project else None
            )
        return self

    def _has_keys(self) -> bool:
        return self.jwks_url is not None or self.supabase_jwt_secret is not None
