"""Other people's outages, first part: metrics that were missing, empty, zero, late or not asked."""

import math
from dataclasses import replace
from typing import Final

from homeostat.adapters.sources._fetch import AbsurdError
from homeostat.adapters.sources._mapping import Mapper
from homeostat.adapters.sources._page import TEXT, PageReader
from homeostat.adapters.sources.presets import PRESETS
from homeostat.base import names
from homeostat.base.actions import Action, ActionKind
from homeostat.base.canary import CanaryConfig, CanaryJudgement, CanaryMetric, CanaryVerdict, Counts
from homeostat.base.guard import GuardState
from homeostat.base.units import MINUTE, SECOND, TimeNs
from homeostat.govern import canary
from homeostat.safety.permit import permit
from homeostat.testing import guard_scene as g
from homeostat.testing.outages import Outage, Outcome

PEAK: Final = 8
NEEDED: Final = 7  # replicas that the load of the scene's peak needs
_SHRINK: Final = g.scale(PEAK - 1, ActionKind.SCALE_DOWN)
"""One fewer: the least that any shrinking rule would take."""


def allows(state: GuardState, *wanted: Action) -> bool:
    """Return whether any of some actions may run now without asking."""
    return any(one in permit(wanted, state, g.NOW).allowed for one in wanted)


def refusal(state: GuardState, action: Action) -> str:
    """Return the first reason against an action, empty if it may run."""
    refused = permit((action,), state, g.NOW).refused
    return refused[0].reasons[0].split(":", maxsplit=1)[0] if refused else ""


def _holds(state: GuardState) -> Outcome:
    if allows(state, _SHRINK):
        return Outcome(does="takes a replica away", harm=True)
    return Outcome(does=f"holds at {PEAK} ({refusal(state, _SHRINK)})", harm=False)


def _shrinks_when_seen() -> bool:
    """Return whether the scene's deployment does shrink where everything is seen and idle."""
    return allows(g.scene(PEAK), _SHRINK)


def _desired(value: float | None, per_replica: float, least: int) -> int:
    """Return what an autoscaler wants that reads nothing as zero."""
    known = 0.0 if value is None or not math.isfinite(value) else value
    return max(least, math.ceil(known / per_replica))


def _scaled_to(wanted: int) -> Outcome:
    return Outcome(does=f"scales {PEAK} to {wanted}", harm=wanted < NEEDED)


def _nothing_answers() -> GuardState:
    state = g.scene(PEAK)
    evidence = state.evidence
    return replace(state, evidence=None if evidence is None else replace(evidence, readings=()))


def _no_load_series() -> GuardState:
    return g.without(g.scene(PEAK), [(names.pool(g.STABLE), names.UTILISATION)])


def _back_with_zero() -> GuardState:
    """The source answers again, with nothing counted yet; the load was watched for seconds."""
    zero = g.reading(names.pool(g.STABLE), names.UTILISATION, 0.0)
    return replace(g.told(g.scene(PEAK), zero), loads=g.watched(5.0))


def _back_and_low() -> GuardState:
    low = g.reading(names.pool(g.STABLE), names.UTILISATION, 0.1)
    return replace(g.told(g.scene(PEAK), low), loads=g.watched(60.0))


def judged(
    minutes: int, canary_arm: tuple[float | None, float | None], *, stable: float = 900.0
) -> CanaryJudgement:
    """Return what the canary judge says after minutes of the same counts.

    Args:
        minutes: How many.
        canary_arm: Responses and bad ones of the canary in each; None is not reported.
        stable: Responses of stable in each, one in a hundred bad.
    """
    config = CanaryConfig()
    state = canary.init(config)
    found: CanaryJudgement | None = None
    for minute in range(minutes + 1):
        counts = Counts(
            at=TimeNs(minute * MINUTE + SECOND), canary_total=canary_arm[0],
            canary_bad=canary_arm[1], stable_total=stable, stable_bad=stable / 100, share=0.1,
        )  # fmt: skip
        state, found = canary.step(state, counts, config)
    assert found is not None  # noqa: S101 - at least one step
    return found


def _not_certified(found: CanaryJudgement) -> Outcome:
    bad = found.verdict is CanaryVerdict.CERTIFIED
    does = "promotes" if bad else f"does not promote: `{found.verdict}`"
    return Outcome(does=does, harm=bad)


def _certifies_what_is_well() -> bool:
    return judged(200, (900.0, 9.0)).verdict is CanaryVerdict.CERTIFIED


def _kayenta() -> Outcome:
    """`nanStrategy: replace`: what is not a number is compared as zero."""
    seen = [0.0 if math.isnan(value) else value for value in [math.nan] * 10]
    passes = sum(seen) / len(seen) <= 0.01  # noqa: PLR2004 - stable's mean
    return Outcome(does="passes with zeros for what is missing", harm=passes)


def _kayenta_error() -> Outcome:
    """Metrics whose judgement raised count neither for nor against: an empty group scores 100."""
    labels = ["error"] * 5
    total = sum(label in {"pass", "high", "low"} for label in labels)
    score = 100.0 if total == 0 else 100.0 * labels.count("pass") / total
    return Outcome(does=f"scores {score:.0f} of 100 and promotes", harm=score >= 75.0)  # noqa: PLR2004 - its pass mark


def _argo_nan() -> Outcome:
    """`failureCondition: result > 0.05` alone: successful unless it failed."""
    result, condition = float("nan"), 0.05
    failed = result > condition
    return Outcome(does="a failure condition alone: NaN > 0.05 is false, so *Successful*",
                   harm=not failed)  # fmt: skip


def _flagger_idle_passes() -> Outcome:
    total, bad = 0.0, 0.0
    percent = 100.0 * bad / total if total else 0.0
    return Outcome(does="0 % of no requests failed: below 1 %, passed five times, promoted",
                   harm=percent < 1.0)  # fmt: skip


def _no_metric() -> Outcome:
    checks: list[bool] = []
    return Outcome(does="every check of none passed: promoted", harm=all(checks))


def _refuses_no_metric() -> Outcome:
    try:
        CanaryConfig(metrics=())
    except ValueError:
        return Outcome(does="refuses the configuration: nothing would be compared", harm=False)
    return Outcome(does="accepts a comparison of nothing", harm=True)


def _ignored_threshold() -> Outcome:
    threshold: float | None = None  # written at the wrong place, read as not there
    passes = threshold is None or 0.2 <= threshold  # noqa: PLR2004, SIM300 - a fifth fails
    return Outcome(does="a threshold that is not read lets 20 % errors pass", harm=passes)


def _says_harm() -> Outcome:
    found = judged(30, (100.0, 20.0))
    told = any("20" in line or "bad" in line for line in found.because)
    right = found.verdict is CanaryVerdict.HARM and told
    does = "`harm`, with the counts and the margin in words" if right else str(found.verdict)
    return Outcome(does=does, harm=not right)


def _cumulative_failures() -> Outcome:
    """Each look without a value is a failed check; the counter never goes down."""
    failed = sum(value is None for value in [None, 1.0, None, 1.0, None, 1.0, None, 1.0, None])
    return Outcome(does=f"{failed} looks without traffic: rolled back as bad", harm=failed >= 5)  # noqa: PLR2004 - its threshold


def _idle_is_not_blamed() -> Outcome:
    found = judged(9, (0.0, 0.0), stable=0.0)
    blamed = found.verdict is CanaryVerdict.HARM
    return Outcome(does="blames it" if blamed else f"`{found.verdict}`: blames nobody", harm=blamed)


_TWO: Final = (
    'envoy_cluster_upstream_rq_total{envoy_cluster_name="a"} 10\n'
    'envoy_cluster_upstream_rq_total{envoy_cluster_name="a"} 90000\n'
)


def _last_series() -> Outcome:
    value = [float(line.rsplit(" ", 1)[1]) for line in _TWO.splitlines()][-1]
    return Outcome(does=f"takes the last of two answers, {value:.0f}", harm=value > 10.0)  # noqa: PLR2004 - the other


def _reader(most: int = 10_000) -> PageReader:
    mapper = Mapper(preset=PRESETS["envoy"], deployment=g.NAME, subject=names.GATEWAY)
    return PageReader(mapper, max_series=most)


def _refused(page: str, *, most: int = 10_000) -> Outcome:
    try:
        readings = _reader(most).read(TEXT, page.encode())
    except AbsurdError as error:
        return Outcome(does=f"refuses the page whole ({str(error)[:60]}); unknown", harm=False)
    return Outcome(does=f"believes {len(readings)} readings", harm=True)


def _exploding() -> str:
    return "".join(
        f'envoy_cluster_upstream_rq_total{{envoy_cluster_name="a",x="{n}"}} 1\n'
        for n in range(20_000)
    )


def _keeps_all_series() -> Outcome:
    known = {line.split(" ")[0]: 1.0 for line in _exploding().splitlines()}
    return Outcome(does=f"keeps {len(known)} series, more on each page", harm=len(known) > 10_000)  # noqa: PLR2004 - ours


def _alarmless() -> Outcome:
    alarms: list[str] = []
    return Outcome(does="no alarm was named: nothing ever rolls back", harm=not alarms)


def _deadline_without_evidence() -> Outcome:
    config = CanaryConfig(metrics=(CanaryMetric(name="errors"),), deadline_ns=30 * MINUTE)
    state, found = canary.init(config), None
    for minute in range(60):
        counts = Counts(
            at=TimeNs(minute * MINUTE + SECOND), canary_total=None, canary_bad=None,
            stable_total=900.0, stable_bad=9.0, share=0.1,
        )  # fmt: skip
        state, found = canary.step(state, counts, config)
    ends = found is not None and found.verdict in {
        CanaryVerdict.NO_EVIDENCE, CanaryVerdict.DEADLINE
    }  # fmt: skip
    verdict = "" if found is None else found.verdict
    return Outcome(does=f"`{verdict}`: traffic goes back", harm=not ends)


BLIND: Final = (
    Outage(
        key="keda-null",
        source="[KEDA 3065](https://github.com/kedacore/keda/issues/3065)",
        happened="Prometheus in trouble at peak: every query answered nothing, everything was "
        "scaled to its minimum.",
        naive=lambda: _scaled_to(_desired(None, 100.0, 1)),
        ours=lambda: _holds(_nothing_answers()),
        placed=_shrinks_when_seen,
    ),
    Outage(
        key="keda-return",
        source="[KEDA 965](https://github.com/kedacore/keda/issues/965)",
        happened="When Prometheus came back, a 0 came through first: minReplicas at once.",
        naive=lambda: _scaled_to(_desired(0.0, 100.0, 1)),
        ours=lambda: _holds(_back_with_zero()),
        placed=_shrinks_when_seen,
    ),
    Outage(
        key="mimir-low",
        source="[Mimir 7691](https://github.com/grafana/mimir/issues/7691)",
        happened="After an outage averages over the gap read low for a while: scaled down.",
        naive=lambda: _scaled_to(math.ceil(PEAK * 0.1 / 0.8)),
        ours=lambda: _holds(_back_and_low()),
        placed=_shrinks_when_seen,
    ),
    Outage(
        key="ray-no-series",
        source="Ray Serve, `autoscaling_state.py`",
        happened="No series for a deployment is read as 0.0 ongoing requests: downscaled.",
        naive=lambda: _scaled_to(_desired(None, 2.0, 0)),
        ours=lambda: _holds(_no_load_series()),
        placed=_shrinks_when_seen,
    ),
    Outage(
        key="kayenta-replace",
        source="Kayenta, `nanStrategy: replace`",
        happened="What is not a number is judged as zero, and zero errors are fine.",
        naive=_kayenta,
        ours=lambda: _not_certified(judged(200, (math.nan, math.nan))),
        placed=_certifies_what_is_well,
    ),
    Outage(
        key="kayenta-error",
        source="Kayenta, `NetflixACAJudge` and `WeightedSumScorer`",
        happened="Metrics whose judgement raised were left out; a group of none scored 100.",
        naive=_kayenta_error,
        ours=lambda: _not_certified(judged(200, (None, None))),
        placed=_certifies_what_is_well,
    ),
    Outage(
        key="argo-nan",
        source="Argo Rollouts, `analysis.md`, NaN and infinity",
        happened="With a failure condition alone a NaN does not fail, so it is successful.",
        naive=_argo_nan,
        ours=lambda: _not_certified(judged(200, (900.0, math.nan))),
        placed=_certifies_what_is_well,
    ),
    Outage(
        key="flagger-no-traffic",
        source="[Flagger 1098](https://github.com/fluxcd/flagger/issues/1098)",
        happened='No traffic: 0 or NaN passes the check "below the threshold".',
        naive=_flagger_idle_passes,
        ours=lambda: _not_certified(judged(200, (0.0, 0.0), stable=0.0)),
        placed=_certifies_what_is_well,
    ),
    Outage(
        key="flagger-no-metric",
        source="[Flagger 1581](https://github.com/fluxcd/flagger/issues/1581)",
        happened="A canary without any metric always passed.",
        naive=_no_metric,
        ours=_refuses_no_metric,
    ),
    Outage(
        key="flagger-threshold",
        source="[Flagger 1815](https://github.com/fluxcd/flagger/issues/1815)",
        happened="A Datadog threshold was ignored, a failing version deployed, no value logged.",
        naive=_ignored_threshold,
        ours=_says_harm,
    ),
    Outage(
        key="flagger-idle",
        source="[Flagger 1035](https://github.com/fluxcd/flagger/issues/1035), "
        "[1689](https://github.com/fluxcd/flagger/issues/1689)",
        happened="Looks without traffic counted as failures, for ever: idle canaries rolled back.",
        naive=_cumulative_failures,
        ours=_idle_is_not_blamed,
    ),
    Outage(
        key="flagger-last-series",
        source="Flagger, `providers/prometheus.go`",
        happened="A query that answers several series: the last one is taken, silently.",
        naive=_last_series,
        ours=lambda: _refused(_TWO),
    ),
    Outage(
        key="label-explosion",
        source="Prometheus, `sample_limit`: label explosions",
        happened="One label without bound: memory of whoever reads the page runs full.",
        naive=_keeps_all_series,
        ours=lambda: _refused(_exploding()),
    ),
    Outage(
        key="sagemaker-no-alarm",
        source="SageMaker, deployment guardrails",
        happened="Without an alarm configured the automatic rollback does not work.",
        naive=_alarmless,
        ours=_deadline_without_evidence,
    ),
)  # fmt: skip
