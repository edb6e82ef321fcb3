"""`spec.target`: what is reached through Ray's dashboard."""

from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from homeostat.adapters._guard import base_url, kept_secret
from homeostat.server.config.guardrails import Strict
from homeostat.server.config.spelling import Url
from homeostat.server.config.units import Duration

KeyPath = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+){0,9}$", max_length=500)]
"""Keys of nested settings, with dots between."""


class RayUserConfig(Strict):
    """Which values of a deployment's user_config are levers."""

    batch_max: KeyPath | None = Field(default=None, description="Where the largest batch is.")
    batch_wait_ms: KeyPath | None = Field(
        default=None, description="Where the longest wait for a batch is, in milliseconds."
    )


class RayTarget(Strict):
    """One deployment of a Ray Serve application, by the dashboard's REST API."""

    dashboard: Annotated[Url, AfterValidator(base_url)] = Field(description="Ray's dashboard.")
    application: str = Field(min_length=1, max_length=253)
    deployment: str = Field(min_length=1, max_length=253)
    user_config: RayUserConfig = Field(default_factory=RayUserConfig)
    token_file: str | None = Field(default=None, min_length=1, max_length=4096)
    ca_file: str | None = Field(default=None, min_length=1, max_length=4096)
    timeout: Duration | None = Field(default=None, description="Longest wait for a read.")

    @model_validator(mode="after")
    def _keeps_the_token(self) -> Self:
        kept_secret(self.dashboard, self.token_file)
        return self
