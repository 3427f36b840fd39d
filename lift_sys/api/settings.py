"""What the server is told by its environment."""

from typing import Literal

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """The server's settings, from the environment or a file ``.env``.

    Attributes:
        store: the store, as a URL. Environment: ``LIFT_SYS_STORE``.
        auth: ``supabase`` verifies each request's token; ``none`` is for one local user, and
            answers loopback addresses only. Environment: ``LIFT_SYS_AUTH``.
        supabase_url: the project whose users sign in. Environment: ``SUPABASE_URL``.
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
    """

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", populate_by_name=True)

    store: str = Field("sqlite:///lift_sys.db", validation_alias="LIFT_SYS_STORE")
    auth: Literal["none", "supabase"] = Field("none", validation_alias="LIFT_SYS_AUTH")
    supabase_url: str | None = Field(None, validation_alias="SUPABASE_URL")
    supabase_jwt_secret: SecretStr | None = Field(None, validation_alias="SUPABASE_JWT_SECRET")
    jwks_url: str | None = Field(None, validation_alias="LIFT_SYS_JWKS_URL")
    jwt_issuer: str | None = Field(None, validation_alias="LIFT_SYS_JWT_ISSUER")
    jwt_audience: str = Field("authenticated", validation_alias="LIFT_SYS_JWT_AUDIENCE")
    max_body_bytes: int = Field(32 * 2**20, gt=0, validation_alias="LIFT_SYS_MAX_BODY_BYTES")
    ready_seconds: float = Field(5.0, gt=0, validation_alias="LIFT_SYS_READY_SECONDS")

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
