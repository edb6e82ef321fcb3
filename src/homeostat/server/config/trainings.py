"""The `training` section: who is asked for a retrain, and how long that may take.

Without the section there is no retraining: a drift is told to a person. With it a drift leads to a
question, which two people must answer with yes; nothing here can make it run by itself.
"""

from pathlib import Path
from typing import Annotated, Any, Final, Self

from pydantic import Field, model_validator

from homeostat.base.training import TrainingPolicy
from homeostat.base.units import HOUR, SECOND
from homeostat.server.config.guardrails import Strict
from homeostat.server.config.targets import Url
from homeostat.server.config.units import Duration
from homeostat.server.plan import PartPlan

_DEFAULT: Final = TrainingPolicy()
_File = Annotated[str, Field(min_length=1, max_length=4096)]
_Allow = Annotated[
    tuple[str, ...],
    Field(
        max_length=20,
        description="HOST:PORT that may be private, without TLS or on another port.",
    ),
]
_READ: Final = "Longest wait for an answer, at most 60s."
_Wait = Annotated[Duration, Field(le=60 * SECOND)]


class TrainingWebhook(Strict):
    """A service that is asked by signed events, and tells how an order stands."""

    url: Url = Field(description="Where orders are POSTed.")
    state: Url = Field(description="Where an order is read by GET, with ?key=KEY.")
    secret_file: _File = Field(description="Holds the signing secret, at least 16 bytes.")
    allow: _Allow = ()
    timeout: _Wait | None = Field(default=None, description=_READ)


class TrainingMlflow(Strict):
    """A registry: orders are tags of the model, and versions are found by them."""

    url: Url = Field(description="Base of the tracking server.")
    model: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9 _.\-]{0,199}$", description="The registered model."
    )
    experiment: str = Field(
        default="",
        pattern=r"^[A-Za-z0-9 _./\-]{0,200}$",
        description="Where its training runs are; without it only versions are looked for.",
    )
    alias: str = Field(
        default="",
        pattern=r"^[A-Za-z][A-Za-z0-9_\-]{0,100}$|^$",
        description="Names the version that serves; moved with `mark: true` only.",
    )
    token_file: _File | None = Field(default=None, description="Holds a bearer token.")
    username: str = Field(default="", max_length=256, description="For basic authentication.")
    password_file: _File | None = Field(default=None, description="Holds that user's password.")
    allow: _Allow = ()
    timeout: _Wait | None = Field(default=None, description=_READ)

    @model_validator(mode="after")
    def _one_way_to_say_who(self) -> Self:
        if bool(self.username) != (self.password_file is not None):
            raise ValueError("username and passwordFile go together; set both or neither")
        if self.username and self.token_file is not None:
            raise ValueError("both tokenFile and username are set; keep one")
        return self


class TrainingSpec(Strict):
    """Where a drift is found, a retrain is proposed; two people must say yes to each."""

    webhook: TrainingWebhook | None = None
    mlflow: TrainingMlflow | None = None
    window: Duration = Field(
        default=_DEFAULT.window_ns, description="How far back the data goes that is asked for."
    )
    within: Duration = Field(
        default=_DEFAULT.within_ns,
        ge=60 * SECOND,
        le=90 * 24 * HOUR,
        description="A version must have come, and been tried, within this long.",
    )
    every: Duration = Field(
        default=_DEFAULT.every_ns, ge=SECOND, description="How often it is asked how it stands."
    )
    mark: bool = Field(
        default=_DEFAULT.marks,
        strict=True,
        description="Write back what became of a version, and move the alias to it and back.",
    )

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.webhook is None) == (self.mlflow is None):
            raise ValueError("says either webhook: {...} or mlflow: {...}")
        if self.every > self.within:
            raise ValueError("every is longer than within; ask more often")
        return self


def policy(spec: TrainingSpec | None) -> TrainingPolicy | None:
    """Return what the core knows of it."""
    if spec is None:
        return None
    return TrainingPolicy(
        window_ns=spec.window, within_ns=spec.within, every_ns=spec.every, marks=spec.mark
    )


def plan(spec: TrainingSpec | None, base: Path) -> PartPlan | None:
    """Return the trainer's plug-in and settings.

    Args:
        spec: As written.
        base: Folder that relative paths start from.
    """
    if spec is None:
        return None
    if spec.mlflow is not None:
        return PartPlan(part="mlflow", settings=_mlflow(spec.mlflow, base))
    return None if spec.webhook is None else _webhook(spec.webhook, base)


def _webhook(said: TrainingWebhook, base: Path) -> PartPlan:
    settings: dict[str, Any] = {
        "url": said.url,
        "state": said.state,
        "secret_file": base / said.secret_file,
        "allow": said.allow,
    }
    return PartPlan(part="webhook", settings=settings | _timeout(said.timeout))


def _mlflow(said: TrainingMlflow, base: Path) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "url": said.url,
        "model": said.model,
        "experiment": said.experiment,
        "alias": said.alias,
        "token_file": None if said.token_file is None else base / said.token_file,
        "username": said.username,
        "password_file": None if said.password_file is None else base / said.password_file,
        "allow": said.allow,
    }
    return settings | _timeout(said.timeout)


def _timeout(timeout: int | None) -> dict[str, float]:
    return {} if timeout is None else {"read_timeout_s": timeout / SECOND}
