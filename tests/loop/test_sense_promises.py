"""Tests of objectives in the senses: beside the plain answer, and nothing follows from them."""

from dataclasses import replace
from typing import Any

import pytest
from fleet_sim import FleetSim, managed

from homeostat.base import codec, names
from homeostat.base.budgets import DAY_NS, SloSpec
from homeostat.base.evidence import Evidence
from homeostat.base.policy import Managed
from homeostat.detect.slo_evidence import Promises
from homeostat.loop import sense
from homeostat.server import wiring

SLO = SloSpec(
    name="answers", signal="errors", subject="gateway", target_ppm=990_000, window_ns=30 * DAY_NS
)
WARM, FAULT = 20, 25


def play(entry: Managed, parts: sense.SenseParts) -> list[Evidence]:
    """Return the evidence of a fleet in which a tenth of the answers fail in the end."""
    sim, state, out = FleetSim(7), sense.init(parts), list[Evidence]()
    for tick in range(WARM + FAULT):
        if tick == WARM:
            for server in sim.servers:
                server.failure_ratio = 0.1
        reports, world = sim.tick()
        state, _, evidence = sense.step(
            parts, state, reports, world, (entry,), frozenset(), sim.now, tick
        )
        out += evidence
    return out


def plainly(every: list[Evidence]) -> list[Any]:
    return [codec.encode(replace(one, promises=())) for one in every]


@pytest.mark.slow
def test_a_broken_promise_is_shown_since_its_onset_and_nothing_else_is_changed_by_it() -> None:
    counted = replace(managed(), slos=(SLO,))
    parts = wiring.sense_parts()
    assert isinstance(parts.promises, Promises)
    said = play(counted, parts)
    for one in said[5:WARM]:
        test = next(test for test in one.promises if test.signal == names.ERROR_RATIO)
        assert (test.broken, test.limit) == (False, counted.objective.error_ratio)
    last = next(test for test in said[-1].promises if test.signal == names.ERROR_RATIO)
    assert last.broken is True
    assert last.since is not None
    onset = said[WARM].at
    assert abs(last.since - onset) <= 2 * counted.scrape_ns
    assert said[-1].slo_met is False
    assert codec.decode(codec.encode(said[-1])) == said[-1]
    # All but the tests themselves is as it is without them: they open and close nothing.
    assert plainly(said) == plainly(play(counted, replace(parts, promises=None)))


@pytest.mark.slow
def test_where_nobody_counts_there_is_no_test() -> None:
    said = play(managed(), wiring.sense_parts())
    assert {one.promises for one in said} == {()}
