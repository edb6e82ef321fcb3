"""`spec.target.triton`: servers whose model is loaded anew to change how it batches."""

from typing import Self

from pydantic import Field, model_validator

from homeostat.server.config.guardrails import Strict
from homeostat.server.config.spelling import Name, Url
from homeostat.server.config.units import Duration


class TritonTarget(Strict):
    """One model on some Triton servers, each of which is a replica."""

    servers: dict[Name, Url] = Field(
        min_length=1, max_length=100, description="Replica to its server's HTTP address."
    )
    model: str = Field(pattern=r"^[A-Za-z0-9_.\-]{1,200}$", description="The model's name.")
    metrics_port: int = Field(
        default=8002, ge=1, le=65_535, strict=True, description="Where each has its page."
    )
    key_header: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9-]{1,100}$",
        description="Header of --http-restricted-api for the model repository.",
    )
    key_file: str | None = Field(
        default=None, min_length=1, max_length=4096, description="Holds what that header says."
    )
    timeout: Duration | None = Field(default=None, description="Longest wait for a read.")

    @model_validator(mode="after")
    def _a_key_has_both(self) -> Self:
        if (self.key_header is None) != (self.key_file is None):
            raise ValueError("keyHeader and keyFile belong together; say both, or neither")
        return self

    @model_validator(mode="after")
    def _told_apart(self) -> Self:
        if len(set(self.servers.values())) < len(self.servers):
            raise ValueError("two replicas of servers have the same address; name one for each")
        return self
