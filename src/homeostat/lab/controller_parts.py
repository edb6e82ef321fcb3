"""The controller as it is shipped, put together for the lab.

Same rooms, same functions, same default settings as the server's composition root, which the lab
may not import; a test compares the two, so that neither can drift from the other.
"""

import math
from typing import Final

from homeostat.base.actions import ActionKind
from homeostat.base.policy import GuardPolicy, LeverLimit, Managed, Mode, Objective
from homeostat.base.units import SECOND
from homeostat.detect.charted import charted
from homeostat.detect.diagnose import diagnose
from homeostat.detect.drifting import Drifting
from homeostat.detect.ewma import Config as EwmaConfig
from homeostat.detect.ewma import Ewma
from homeostat.detect.forecast import forecasts
from homeostat.detect.forecast_fleet import Foresight
from homeostat.detect.fused import Fused
from homeostat.detect.health_of import health_of
from homeostat.detect.panel import Panel
from homeostat.detect.shift import Shift
from homeostat.detect.slo import slo_met
from homeostat.detect.slo_evidence import Promises
from homeostat.detect.utilisation import utilisation
from homeostat.detect.verdicts import judge
from homeostat.govern import accounts, canary_alike, decide, ramp, verify
from homeostat.lab.controller_names import SCALE_ACTUATOR, TRAFFIC_ACTUATOR
from homeostat.lab.types import Episode
from homeostat.learn import feedback_live
from homeostat.learn.covering import cover
from homeostat.learn.standing import stand
from homeostat.loop.feedback_parts import FeedbackParts
from homeostat.loop.parts import LoopParts
from homeostat.loop.seat_parts import SeatParts, TrainedParts
from homeostat.loop.sense import SenseParts
from homeostat.policy import (
    canary,
    runbook,
    seat,
    seat_arms,
    seat_effect,
    seat_learn,
    seat_trained,
    trained_watch,
)
from homeostat.safety.guard import guard
from homeostat.safety.permit import permit
from homeostat.signals.fleet import Fleet
from homeostat.twin.params import Provision
from homeostat.twin.shapes import SCRAPE_S, Variant

GRANTED: Final = (
    ActionKind.SCALE_UP,
    ActionKind.SCALE_DOWN,
    ActionKind.BATCH_UP,
    ActionKind.BATCH_DOWN,
    ActionKind.SHIFT_TRAFFIC,
    ActionKind.ROLLBACK,
    ActionKind.RESTART_REPLICA,
    ActionKind.DRAIN_REPLICA,
    ActionKind.SHED_LOAD,
)
"""What the lab grants: the kinds that the shipped policy of the local deployment grants.

Retraining and restarting everything are granted to nobody.
"""

# The product measures p95 and users were promised a p99. Between half and nine tenths of its load
# a deployment of the twin has a p95 of 0.62 to 0.70 of its p99 (measured in episodes of S16 and
# S33): that share of the promise is where the p99 comes to it.
P95_OF_P99: Final = 0.65
# An accuracy promise that no label can speak of during the first ten minutes would leave the
# objectives unknown, and an unknown objective stops every verification: it is declared only where
# labels come in that soon.
LABELS_SOON_S: Final = 600.0

# Steps are those of the shipped policy: doubled at most upwards, halved at most downwards.
_HALVED: Final = 0.5
_LEAST_IN_FLIGHT: Final = 16.0
_MOST_IN_FLIGHT: Final = 100_000.0

_Z99: Final = 2.326  # of the standard normal distribution


def _none(_: str) -> None:
    """Find no trained policy: an episode's seat is off, and names none."""


SEAT: Final = SeatParts(
    offers=seat_arms.offers,
    weigh=seat.weigh,
    payoff=seat_effect.payoff,
    latency=seat_effect.latency,
    learn=seat_learn.learn,
    renew=seat_learn.renewed,
    cover=cover,
    stand=stand,
    trained=TrainedParts(
        chart=charted, watch=trained_watch.watched, find=_none, like=seat_trained.like
    ),
)
"""The learner that is heard on decisions; see docs/explanation/adaptive.md."""


FEEDBACK: Final = FeedbackParts(
    heed=feedback_live.heed,
    watched=feedback_live.watched,
    answered=feedback_live.answered,
    forgotten=feedback_live.forgotten,
)
"""What people say; nobody says anything in an episode, so `managed` has no feedback policy."""


def loop_parts() -> LoopParts:
    """Return the stages of the decision loop: runbook, kernel, decision, verification."""
    return LoopParts(
        candidates=runbook.candidates,
        permit=permit,
        choose=runbook.choose,
        decide=decide.decide,
        record=decide.record,
        guard=guard,
        measure=verify.measure,
        judge=verify.judge,
        account=accounts.account,
        compare=ramp.compare,
        alike=canary_alike.step,
        watch=ramp.watch,
        canary=canary.proposed,
        feedback=FEEDBACK,
        seat=SEAT,
    )


def sense_parts() -> SenseParts:
    """Return the stages of sensing, with every detector's default settings."""
    return SenseParts(
        signals=Fleet(),
        panel=Panel({"ewma": Ewma(EwmaConfig())}),
        judge=judge,
        shift=Shift(),
        forecasts=forecasts,
        utilisation=utilisation,
        slo_met=slo_met,
        diagnose=diagnose,
        ahead=Foresight(),
        health=health_of,
        fused=Fused(),
        promises=Promises(),
        drift=Drifting(),
    )


def guard_policy(episode: Episode) -> GuardPolicy:
    """Return the guard policy of one episode: the product's defaults, and what must be said.

    Said are the bounds of the levers (nothing has bounds by default), the budget, who granted
    which kinds, and how long a replica may take to come up. Every other time keeps its default in
    scrapes: cooldown 20 (5 minutes), persistence 4, freshness 2, at most 6 actions an hour.
    """
    params = episode.params
    largest = float(params.service.batch_limit)
    jobs = float(params.service.concurrency)
    return GuardPolicy(
        limits=(
            LeverLimit(lever="replicas.", low=1, high=float(params.money.hard_cap)),
            LeverLimit(lever="weight.", low=0, high=100, step_down=1.0),
            LeverLimit(lever="batch_max", low=1, high=largest, step_down=_HALVED),
            LeverLimit(lever="concurrency_max", low=1, high=max(4.0 * jobs, 1.0)),
            LeverLimit(
                lever="gateway_limit",
                low=_LEAST_IN_FLIGHT,
                high=_MOST_IN_FLIGHT,
                step_down=_HALVED,
            ),
        ),
        budget_usd_per_hour=float(params.money.budget_usd_per_hour),
        auto_kinds=GRANTED,
        granted_by="whoever runs the lab",
        readiness_deadline_ns=_readiness_ns(params.provision),
    )


def _readiness_ns(provision: Provision) -> int:
    """Return what an operator would set: 99 of 100 starts are over by then, a minute at least.

    Machine and model load are log-normal; the sum of their 99 % quantiles is at least that of the
    sum. What a fault makes of them is nothing that a configuration knows.
    """
    median_s = float(provision.delay_s) + float(provision.load_s)
    slow_s = median_s * math.exp(_Z99 * float(provision.sigma))
    return max(GuardPolicy().readiness_deadline_ns, round(slow_s) * SECOND)


def managed(episode: Episode, name: str) -> Managed:
    """Return one episode's deployment as the controller's configuration describes it.

    Args:
        episode: The episode.
        name: The deployment's name.
    """
    params = episode.params
    has_fallback = float(params.replicas[Variant.B]) > 0
    soon = float(params.quality.label_delay_s) < LABELS_SOON_S
    return Managed(
        name=name,
        mode=Mode.AUTO,
        scrape_ns=SCRAPE_S * SECOND,
        objective=Objective(
            latency_p95_ms=1000.0 * P95_OF_P99 * float(params.promise.p99_s),
            error_ratio=_error_ratio(float(params.promise.availability)),
            accuracy=float(params.quality.floor) if soon else None,
        ),
        stable_pool="a",
        fallback_pool="b" if has_fallback else None,
        scale_actuator=SCALE_ACTUATOR,
        traffic_actuator=TRAFFIC_ACTUATOR,
        replica_usd_per_hour=float(params.money.usd_per_hour[Variant.A]),
        guard=guard_policy(episode),
        policy_digest="0" * 64,
    )


def _error_ratio(availability: float) -> float:
    """Return the error ratio that is promised.

    A window of 75 s holds a few thousand requests at most: a ratio below half a percent is a
    handful of failures, which a promise per month does not speak of.
    """
    return max(1.0 - availability, 0.005)
