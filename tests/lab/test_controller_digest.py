"""What the thinking policies see and do is what it was before their path was made leaner.

The digests were taken when every series was judged by itself and every page read one by one. They
change when what is sensed or decided changes on purpose; then take new ones, and say so.
"""

import hashlib
from collections.abc import Callable

import pytest
from controller_made import Made, episode

from homeostat.base.evidence import Evidence
from homeostat.base.names import MEMORY_SHARE
from homeostat.base.world import ReplicaState
from homeostat.lab.controller import Controller
from homeostat.lab.homeostat import homeostat
from homeostat.lab.random_safe import random_safe
from homeostat.lab.runbook_policy import runbook_policy
from homeostat.twin.orders import Orders

SCRAPES = 56
DIGESTS = {
    "homeostat": "1507d57b4b4cc3ea",
    "runbook": "814082c28c9b4921",
    "random_safe": "b274a4e923931883",
}
MAKERS: dict[str, Callable[[], Controller]] = {
    "homeostat": homeostat,
    "runbook": runbook_policy,
    "random_safe": random_safe,
}


def trouble(made: Made, at: int) -> None:
    """A dead replica, then pages that say nothing, then more load than fits."""
    if at == 20:
        made.dead.add(1)
    made.silent = frozenset({"gateway"}) if 30 <= at < 34 else frozenset()
    if at == 38:
        made.rate, made.p95_ms = 500.0, 900.0


def said(evidence: Evidence) -> list[str]:
    """Evidence as text, numbers to nine digits: the last bit is the processor's."""
    out = [f"{evidence.slo_met} {evidence.ready}"]
    out += [
        f"{r.subject} {r.signal} {r.verdict} {r.quality} {r.age_ns} "
        + " ".join("-" if v is None else f"{v:.9g}" for v in (r.value, r.low, r.high, r.samples))
        for r in evidence.readings
    ]
    out += [f"{a.detector} {a.subject} {a.signal} {a.verdict}" for a in evidence.anomalies]
    # Of memory; what else is foreseen has numbers of its own, and what is done on it is seen here.
    memory = [f for f in evidence.forecasts if f.signal == MEMORY_SHARE]
    out += [f"{f.subject} {f.time_to_limit_ns is None}" for f in memory]
    out += [f"{s.family} {s.subject} {s.because}" for s in evidence.suspicions]
    world = evidence.world
    gone = [] if world is None else [r for r in world.replicas if r.state is ReplicaState.GONE]
    return [*out, str([replica.name for replica in gone])]


def played(controller: Controller) -> str:
    made, told = Made(seed=3), hashlib.sha256()
    controller.start([episode(seed=3)])
    orders: Orders | None = None
    acted = 0
    for at in range(SCRAPES):
        trouble(made, at)
        scrape = made.scrape(orders)
        move = controller.act(made.now_s, scrape)
        orders, mind = move.orders, controller.minds[0]
        assert mind.state.evidence is not None
        acted += bool(move.intervened[0])
        lines = said(mind.state.evidence)
        lines += [str((move.alarm[0], move.family[0], move.paged[0], move.intervened[0]))]
        lines += [str(intent) for intent in mind.done.writes]
        lines += [str((one.id, one.considered, one.allowed)) for one in mind.done.decisions]
        told.update("\n".join(lines).encode())
    assert acted
    return told.hexdigest()[:16]


@pytest.mark.parametrize("policy", DIGESTS)
def test_what_is_seen_and_done_is_what_it_was(policy: str) -> None:
    assert played(MAKERS[policy]()) == DIGESTS[policy]
