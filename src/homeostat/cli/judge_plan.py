"""What `homeostat judge --plan` does: plays canaries at your traffic and says the minutes."""

import math
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from homeostat.base.errors import ConfigError
from homeostat.base.units import MINUTE
from homeostat.cli.judge_read import counters, pods
from homeostat.cli.judge_run import Asked
from homeostat.cli.output import Output, show, tell
from homeostat.govern.canary_plan import Plan, Question, Span, by_pods, by_share, words
from homeostat.govern.canary_plan import plan as planned
from homeostat.stats.share_bet_runs import Law


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is planned; what is None comes from the file.

    Attributes:
        requests: A minute, both arms.
        bad: Share of bad responses.
        share: Percent of the traffic, several for a ramp.
        ratio: To be found.
        burst: Bad responses that come together.
        seed: Of the made-up canaries.
    """

    requests: float | None
    bad: float | None
    share: str | None
    ratio: float
    burst: float
    seed: int


def plan(source: Path | None, wanted: Wanted, asked: Asked, output: Output) -> None:
    """Print how long a canary takes, at this share and at others.

    Raises:
        ConfigError: The traffic is not known, or an option is out of range.
    """
    requests, bad = _traffic(source, wanted)
    try:
        law = Law(
            requests=requests,
            bad=bad,
            ratio=wanted.ratio,
            burst=wanted.burst,
            ramp=_shares(wanted.share),
        )
    except ValueError as error:
        raise ConfigError(str(error)) from None
    metric = asked.config(None).metrics[0]
    question = Question(
        law=law,
        alpha=asked.alpha,
        margin=metric.margin,
        promote_ratio=metric.promote_ratio,
        minutes=max(1, math.ceil(asked.deadline_s / 60.0)),
    )
    rng = np.random.default_rng(wanted.seed)
    found = planned(question, rng)
    others = by_share(question, rng)
    least = replace(question, margin=asked.margin, promote_ratio=asked.below)
    windows = [] if asked.calibration is None else pods(asked.calibration)
    counted = by_pods(least, windows, rng)
    if output is Output.TABLE:
        for line in words(found):
            tell(line)
        show([_row(one, asked.pods) for one in (found, *others)], output)
        if counted:
            show([_row(one, count) for count, one in counted], output)
        return
    rows = {
        "plan": _plain(found),
        "by_share": [_plain(one) for one in others],
        "by_pods": [{"pods": count, **_plain(one)} for count, one in counted],
    }
    show(rows, output)


def _traffic(source: Path | None, wanted: Wanted) -> tuple[float, float]:
    """Return requests a minute and stable's bad share: as said, else as the file has it."""
    if wanted.requests is not None and wanted.bad is not None:
        return wanted.requests, wanted.bad
    if source is None:
        raise ConfigError(
            "--plan needs --requests and --bad, or an --input FILE of counters to take them from"
        )
    known = [
        (one.at - one.since, one.canary_total + one.stable_total, one)
        for one in counters(source).counts
        if not (one.since is None or one.canary_total is None or one.stable_total is None)
    ]
    minutes = sum(span for span, _, _ in known) / MINUTE
    total = sum(served for _, served, _ in known)
    stable = sum(one.stable_total or 0.0 for _, _, one in known)
    stable_bad = sum(one.stable_bad or 0.0 for _, _, one in known)
    if not (minutes and total and stable_bad):
        raise ConfigError(
            f"{source}: {total:.0f} responses, {stable_bad:.0f} bad ones of stable in "
            f"{minutes:g} minutes: not enough to plan with; say --requests and --bad"
        )
    return wanted.requests or total / minutes, wanted.bad or stable_bad / stable


def _shares(text: str | None) -> tuple[float, ...]:
    try:
        return tuple(float(part) / 100.0 for part in (text or "10").split(","))
    except ValueError:
        raise ConfigError(f"--share is percent, 10 or 1,5,10 for a ramp; got {text!r}") from None


def _row(one: Plan, pods: int | None) -> dict[str, Any]:
    return {
        "pods": pods,
        "margin": one.question.margin,
        "share": ", ".join(f"{100 * share:g} %" for share in one.question.law.ramp),
        "minutes_to_find": _minutes(one.find),
        "found": f"{100 * one.find.share:.0f} %",
        "minutes_to_certify": "" if one.certify is None else _minutes(one.certify),
        "certified": "" if one.certify is None else f"{100 * one.certify.share:.0f} %",
    }


def _minutes(span: Span) -> str:
    if span.minutes is None:
        return "not in nine of ten"
    high = "more" if span.high is None else f"{span.high:.0f}"
    return f"{span.minutes:.0f} ({span.low or 0:.0f} to {high})"


def _plain(one: Plan) -> dict[str, Any]:
    law = one.question.law
    return {
        "requests_per_minute": law.requests,
        "bad": law.bad,
        "ratio": law.ratio,
        "burst": law.burst,
        "shares": list(law.ramp),
        "margin": one.question.margin,
        "certificate_below": one.question.promote_ratio,
        "minutes": one.question.minutes,
        "runs": one.runs,
        "find": asdict(one.find),
        "certify": None if one.certify is None else asdict(one.certify),
        "words": list(words(one)),
    }
