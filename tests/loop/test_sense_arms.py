"""From the gateway's pages to the evidence that a ramp is compared by, and from there to news."""

from dataclasses import replace

from fleet_sim import FleetSim, managed

from homeostat.base import codec
from homeostat.base.evidence import Evidence, SourceReport
from homeostat.base.policy import CanaryPolicy, Managed
from homeostat.detect import diagnose, forecast, shift, slo, utilisation, verdicts
from homeostat.detect.ewma import Config, Ewma
from homeostat.detect.panel import Panel
from homeostat.loop import sense
from homeostat.signals.fleet import Fleet


def sensed(config: Managed, ticks: int, without: str = "") -> list[Evidence]:
    parts = sense.SenseParts(
        signals=Fleet(),
        panel=Panel({"ewma": Ewma(Config())}),
        judge=verdicts.judge,
        shift=shift.Shift(),
        forecasts=forecast.forecasts,
        utilisation=utilisation.utilisation,
        slo_met=slo.slo_met,
        diagnose=diagnose.diagnose,
    )
    sim, state, out = FleetSim(2), sense.init(parts), []
    for tick in range(1, ticks + 1):
        reports, world = sim.tick()
        kept: tuple[SourceReport, ...] = tuple(one for one in reports if one.source != without)
        state, _, (evidence,) = sense.step(
            parts, state, kept, world, (config,), frozenset({"credit"}), sim.now, tick
        )
        out.append(evidence)
    return out


def test_evidence_carries_what_each_pool_served_and_the_journal_keeps_it() -> None:
    first, *later = sensed(replace(managed(), canary=CanaryPolicy(pool="b")), 4)
    assert all(one.answered is None for one in first.increments)
    for evidence in later:
        assert [one.pool for one in evidence.increments] == ["a", "b"]
        assert all(one.answered is not None and one.latency for one in evidence.increments)
        assert all(one.timed for one in (*first.increments, *evidence.increments))
        assert codec.decode(codec.encode(evidence)) == evidence


def test_without_the_gateways_page_nothing_is_known_of_a_pool() -> None:
    config = replace(managed(), canary=CanaryPolicy(pool="b"))
    assert all(not one.increments for one in sensed(config, 3, without="envoy"))


def test_a_deployment_that_shifts_nothing_has_none_in_its_journal() -> None:
    assert all(one.increments == () for one in sensed(replace(managed(), fallback_pool=None), 3))


def test_the_pools_of_one_that_may_shift_to_its_fallback_are_counted() -> None:
    for evidence in sensed(managed(), 3):
        assert [one.pool for one in evidence.increments] == ["a", "b"]
