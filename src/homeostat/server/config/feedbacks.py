"""The `feedback` section: how far what people say of incidents may move the lines of detection.

Without the section the defaults are in force: words are learnt from, and lines move within them.
Nothing here is a setting of the guards.
"""

from typing import Annotated, Final

from pydantic import BeforeValidator, Field

from homeostat.base.feedback import FeedbackMode, FeedbackPolicy
from homeostat.base.units import HOUR, MINUTE
from homeostat.server.config.guardrails import Strict
from homeostat.server.config.units import Duration, Share

_DEFAULT: Final = FeedbackPolicy()
_WORDS: Final = {True: "on", False: "off"}  # what `on` and `off` without quotes are to YAML
_Mode = Annotated[
    FeedbackMode, BeforeValidator(lambda said: _WORDS[said] if isinstance(said, bool) else said)
]
_Wait = Annotated[Duration, Field(ge=MINUTE, le=90 * 24 * HOUR)]


class FeedbackSpec(Strict):
    """What people, objectives and outcomes say of incidents moves the lines of detection."""

    mode: _Mode = Field(
        default=_DEFAULT.mode, description="off, watch (it is learnt, nothing follows) or on."
    )
    false_alarms_per_day: float = Field(
        default=_DEFAULT.per_day,
        gt=0.0,
        le=1000.0,
        allow_inf_nan=False,
        description="The budget: no learnt line is lower than surely keeps to it.",
    )
    sure: Annotated[Share, Field(gt=0.5, lt=1.0)] = Field(
        default=_DEFAULT.sure, description="Confidence that the budget is kept to."
    )
    words: int = Field(
        default=_DEFAULT.words,
        ge=2,
        le=16,
        strict=True,
        description="So many words move a line; one is a slip now and then.",
    )
    loudest: Annotated[Share, Field(gt=0.0, le=1.0)] = Field(
        default=_DEFAULT.loudest,
        description="A suspicion with this confidence is told of whatever was said.",
    )
    faintest: Annotated[Share, Field(ge=0.125, le=1.0)] = Field(
        default=_DEFAULT.faintest,
        description="Nothing below this share of a shipped line is ever told of.",
    )
    answer_within: _Wait = Field(
        default=_DEFAULT.answer_ns, description="How long an incident waits for a word."
    )
    report_within: _Wait = Field(
        default=_DEFAULT.report_ns,
        description="How long one can say that something was missed in quiet time.",
    )
    keep: _Wait = Field(
        default=_DEFAULT.keep_ns, description="A raised line goes back by itself after this long."
    )


def policy(spec: FeedbackSpec) -> FeedbackPolicy:
    """Return what the core knows of it."""
    return FeedbackPolicy(
        mode=spec.mode,
        per_day=spec.false_alarms_per_day,
        sure=spec.sure,
        words=spec.words,
        loudest=spec.loudest,
        faintest=spec.faintest,
        answer_ns=spec.answer_within,
        report_ns=spec.report_within,
        keep_ns=spec.keep,
    )
