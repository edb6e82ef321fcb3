"""The `adaptive` section: whether a learner is heard on decisions, and how much trying may cost.

Without the section it is heard in shadow: written down, never followed. Without a twin nothing can
be foreseen of what was not done, and nobody is heard whatever is written here.
"""

from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from homeostat.base.errors import ConfigError
from homeostat.base.learning import TRAINED
from homeostat.base.policy import AdaptiveMode, AdaptivePolicy
from homeostat.server import snapshots
from homeostat.server.config.guardrails import Strict
from homeostat.server.config.units import Share

_DEFAULT: Final = AdaptivePolicy()
_WORDS: Final = {True: "on", False: "off"}  # what `on` and `off` without quotes are to YAML
_Part = Annotated[Share, Field(ge=0.0, le=1.0)]
_Mode = Annotated[
    AdaptiveMode, BeforeValidator(lambda said: _WORDS[said] if isinstance(said, bool) else said)
]


class AdaptiveLimits(Strict):
    """How much a choice of the learner may cost, in expectation, beyond the runbook's own."""

    missed: _Part = Field(
        default=_DEFAULT.missed,
        description="Added to the chance of ending outside the objectives.",
    )
    failed: _Part = Field(
        default=_DEFAULT.failed, description="Added to the share of requests that fail."
    )
    holds: int = Field(
        default=_DEFAULT.holds,
        ge=0,
        le=10,
        strict=True,
        description="How often it may hold back a cure of one incident; a way back, never.",
    )


class AdaptiveSpec(Strict):
    """A learner between the runbook and the guards: it chooses among what they permit."""

    mode: _Mode = Field(
        default=_DEFAULT.mode,
        description="off, shadow (it is heard and written down) or on (it chooses).",
    )
    arms: tuple[Literal["hold", "twin", "ppo"], ...] = Field(
        default=("hold", "twin"),
        max_length=3,
        description="What is weighed beside the runbook's proposal: doing nothing for now, "
        "what the twin likes best, and what a trained policy likes best.",
    )
    snapshot: str | None = Field(
        default=None,
        min_length=1,
        max_length=4096,
        description="File of the trained policy that is the arm `ppo`; the one that ships if not "
        "said.",
    )
    limits: AdaptiveLimits = Field(default_factory=AdaptiveLimits)
    doubt: Annotated[Share, Field(gt=0.0, le=1.0)] = Field(
        default=_DEFAULT.doubt,
        description="How far the twin may be off in what it foresees, as a share of the worst; "
        "somebody has to stand for it.",
    )
    delta: Annotated[Share, Field(gt=0.0, le=0.5)] = Field(
        default=_DEFAULT.delta, description="Chance that a limit is ever exceeded in expectation."
    )
    explore: Annotated[Share, Field(ge=0.0, le=0.5)] = Field(
        default=_DEFAULT.explore,
        description="Chance of choosing evenly among what may be played, to learn.",
    )

    @field_validator("arms")
    @classmethod
    def _once(cls, arms: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(arms)) < len(arms):
            raise ValueError(f"{list(arms)} names one twice; name each arm once")
        return arms

    @model_validator(mode="after")
    def _of_an_arm(self) -> Self:
        if self.snapshot is not None and TRAINED not in self.arms:
            raise ValueError("snapshot is of the arm ppo; add ppo to arms, or take snapshot out")
        return self


def policy(spec: AdaptiveSpec, base: Path, name: str) -> AdaptivePolicy:
    """Return what the core knows of it; a trained policy that is an arm is opened.

    Args:
        spec: The section.
        base: Folder that relative paths start from.
        name: Of the deployment, for the error.

    Raises:
        ConfigError: The trained policy cannot be used; the message names the file and the fix.
    """
    digest = ""
    if TRAINED in spec.arms:
        try:
            digest = snapshots.read(None if spec.snapshot is None else base / spec.snapshot)
        except ConfigError as error:
            raise ConfigError(f"{name}: {error}") from error
    return AdaptivePolicy(
        mode=spec.mode,
        arms=spec.arms,
        missed=spec.limits.missed,
        failed=spec.limits.failed,
        doubt=spec.doubt,
        delta=spec.delta,
        explore=spec.explore,
        holds=spec.limits.holds,
        snapshot=digest,
    )
