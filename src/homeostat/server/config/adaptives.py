"""The `adaptive` section: whether a learner is heard on decisions, and how much trying may cost.

Without the section it is heard in shadow: written down, never followed. Without a twin nothing can
be foreseen of what was not done, and nobody is heard whatever is written here.
"""

from typing import Annotated, Final, Literal

from pydantic import BeforeValidator, Field, field_validator

from homeostat.base.policy import AdaptiveMode, AdaptivePolicy
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
    arms: tuple[Literal["hold", "twin"], ...] = Field(
        default=("hold", "twin"),
        max_length=2,
        description="What is weighed beside the runbook's proposal: doing nothing for now, and "
        "what the twin likes best.",
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


def policy(spec: AdaptiveSpec) -> AdaptivePolicy:
    """Return what the core knows of it."""
    return AdaptivePolicy(
        mode=spec.mode,
        arms=spec.arms,
        missed=spec.limits.missed,
        failed=spec.limits.failed,
        doubt=spec.doubt,
        delta=spec.delta,
        explore=spec.explore,
        holds=spec.limits.holds,
    )
