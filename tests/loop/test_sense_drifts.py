"""Tests of histograms in the senses: shown beside the plain answer, nothing follows from them."""

from dataclasses import replace
from typing import Any

import pytest
from fleet_sim import FleetSim, managed

from homeostat.base import codec
from homeostat.base.evidence import Evidence
from homeostat.detect.drifting import Drifting
from homeostat.loop import sense
from homeostat.server import wiring


def play(parts: sense.SenseParts, *, ticks: int = 60) -> list[Evidence]:
    sim, state, out = FleetSim(7), sense.init(parts), list[Evidence]()
    for tick in range(ticks):
        reports, world = sim.tick()
        state, _, evidence = sense.step(
            parts, state, reports, world, (managed(),), frozenset(), sim.now, tick
        )
        out += evidence
    return out


def plainly(every: list[Evidence]) -> list[Any]:
    return [codec.encode(replace(one, drifts=())) for one in every]


@pytest.mark.slow
def test_histograms_are_tested_and_all_else_is_as_it_is_without() -> None:
    parts = wiring.sense_parts()
    assert isinstance(parts.drift, Drifting)
    said = play(parts)
    found = {(one.subject, one.kind, one.name): one for one in said[-1].drifts}
    assert ("pool:a", "prediction", "") in found
    assert any(kind == "feature" for _, kind, _ in found)
    for one in found.values():
        if one.subject == "pool:b":  # hardly anybody asks it
            assert (one.moved, one.why, one.psi) == (None, "few", None)
            continue
        assert one.moved is False
        assert one.events is not None
        assert one.psi is not None
        assert one.log10_e is not None
    assert not any(one.moved for each in said for one in each.drifts)
    assert codec.decode(codec.encode(said[-1])) == said[-1]
    assert plainly(said) == plainly(play(replace(parts, drift=None)))
