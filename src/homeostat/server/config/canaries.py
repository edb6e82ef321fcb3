"""The `canary` section: which pool is tried, and how far each step of it must be proven.

Without the section there is no canary: nothing new gets traffic through the controller.
"""

from enum import StrEnum
from itertools import pairwise
from typing import Annotated, Final, Self

from pydantic import Field, field_validator, model_validator

from homeostat.base.policy import CanaryPolicy, OnUnproven
from homeostat.base.units import HOUR, MINUTE
from homeostat.server.config.guardrails import Strict
from homeostat.server.config.units import Duration

_ALL: Final = 100.0
_DEFAULT: Final = CanaryPolicy(pool="canary")
_Rung = Annotated[float, Field(gt=0.0, le=_ALL, multiple_of=1.0)]
_Ratio = Annotated[float, Field(ge=1.0, le=1000.0, allow_inf_nan=False)]


class HarmSpec(Strict):
    """Multiples of the stable pool's share up to which it is no harm."""

    error_ratio: _Ratio = Field(default=_DEFAULT.error_ratio, description="Failed answers.")
    slow_ratio: _Ratio = Field(
        default=_DEFAULT.slow_ratio, description="Answers beyond each bound of the latencies."
    )
    wrong_ratio: _Ratio = Field(
        default=_DEFAULT.wrong_ratio, description="Wrong answers, where labels of both come."
    )


class Certified(StrEnum):
    """What a certificate may be about."""

    FAILURES = "failures"
    ANSWERS = "answers"


class PromoteSpec(Strict):
    """What the last step, to all of the traffic, rests on."""

    certify: tuple[Certified, ...] = Field(
        default=(Certified.FAILURES,),
        min_length=1,
        max_length=2,
        description="What must be certified, all of it: `failures`, `answers` (needs `labels`). "
        "What is not named is compared all the same, and may be harm.",
    )
    error_ratio_below: float = Field(
        default=_DEFAULT.promote_ratio,
        gt=1.0,
        le=1000.0,
        allow_inf_nan=False,
        description="Certified: failed answers stay below this multiple of the stable pool's.",
    )
    wrong_ratio_below: float = Field(
        default=_DEFAULT.wrong_promote_ratio,
        gt=1.0,
        le=1000.0,
        allow_inf_nan=False,
        description="Certified: wrong answers stay below this multiple of the stable pool's.",
    )
    max_wait: Duration = Field(
        default=4 * HOUR, description="How long a ramp may take without a certificate."
    )
    on_unproven: OnUnproven = Field(
        default=OnUnproven.ASK,
        description="Then: `ask` a person, `keep` it and call it unproven, or `return` it.",
    )


class CanarySpec(Strict):
    """A pool that runs something new gets its traffic in steps, each compared with what serves."""

    pool: str = Field(pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$", description="Its pool.")
    ramp: tuple[_Rung, ...] = Field(
        default=(1.0, 5.0, 10.0, 25.0, 50.0),
        min_length=1,
        max_length=20,
        description="Its share of the traffic in whole percent, step by step; all of it comes "
        "after the last.",
    )
    bucket: Duration = Field(
        default=MINUTE,
        description="What is compared at a time; longer than a burst of errors, two intervals at "
        "least.",
    )
    alpha: float = Field(
        default=_DEFAULT.alpha,
        gt=0.0,
        le=0.5,
        description="Chance that a whole ramp is called harmful, and goes back, for nothing.",
    )
    harm: HarmSpec = Field(default_factory=HarmSpec)
    promote_when: PromoteSpec = Field(default_factory=PromoteSpec)
    rung_buckets: int = Field(
        default=_DEFAULT.rung_buckets,
        ge=1,
        le=1000,
        strict=True,
        description="Compared buckets that each step lasts at least.",
    )
    missing_buckets: int = Field(
        default=_DEFAULT.missing_buckets,
        ge=1,
        le=1000,
        strict=True,
        description="More buckets in a row than this without an answer of it: the traffic goes "
        "back.",
    )
    watch: Duration = Field(
        default=30 * MINUTE, description="How long it is watched after its promotion."
    )

    @field_validator("ramp")
    @classmethod
    def _rises(cls, ramp: tuple[float, ...]) -> tuple[float, ...]:
        if any(low >= high for low, high in pairwise(ramp)):
            raise ValueError(f"{list(ramp)} must rise from step to step")
        return ramp

    @model_validator(mode="after")
    def _leaves_room(self) -> Self:
        if self.ramp == (_ALL,):
            raise ValueError("ramp [100] compares nothing; write a smaller step before it")
        return self


def policy(spec: CanarySpec | None) -> CanaryPolicy | None:
    """Return what the core knows of a canary; all of the traffic is its last rung."""
    if spec is None:
        return None
    below = tuple(rung for rung in spec.ramp if rung < _ALL)
    return CanaryPolicy(
        pool=spec.pool,
        ramp=(*below, _ALL),
        bucket_ns=spec.bucket,
        alpha=spec.alpha,
        error_ratio=spec.harm.error_ratio,
        slow_ratio=spec.harm.slow_ratio,
        wrong_ratio=spec.harm.wrong_ratio,
        promote_ratio=spec.promote_when.error_ratio_below,
        wrong_promote_ratio=spec.promote_when.wrong_ratio_below,
        certify_failures=Certified.FAILURES in spec.promote_when.certify,
        certify_answers=Certified.ANSWERS in spec.promote_when.certify,
        rung_buckets=spec.rung_buckets,
        missing_buckets=spec.missing_buckets,
        max_wait_ns=spec.promote_when.max_wait,
        on_unproven=spec.promote_when.on_unproven,
        watch_ns=spec.watch,
    )
