"""How long one tick of the fleet takes, from reports to evidence, beside the least one could do.

The least: a plain Python loop over the same observations that keeps one exponential mean of each
counter's increments, with no windows, no quality, no quantiles, no verdicts and no diagnosis. One
deployment is 4 replicas and a gateway: about 350 raw series, 85 judged ones. Run with
`make bench`; the machine and the versions are in pytest-benchmark's own record. Not measured:
reading the pages and writing the evidence to the journal.
"""

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "signals"))

from fleet_sim import FleetSim, managed

from homeostat.base.evidence import Kind, SeriesKey, SourceReport
from homeostat.base.units import SECOND, TimeNs
from homeostat.base.world import Snapshot
from homeostat.detect import diagnose, forecast, slo, utilisation, verdicts
from homeostat.detect.ewma import Config, Ewma
from homeostat.detect.panel import Panel
from homeostat.detect.shift import Shift
from homeostat.loop import sense
from homeostat.signals.fleet import Fleet

Tick = tuple[tuple[SourceReport, ...], tuple[Snapshot, ...], TimeNs]
TICKS = 40


def _recorded(deployments: int) -> list[Tick]:
    """Return ticks of a fleet of equal deployments; keys are reused, as by a real source."""
    sim, ticks = FleetSim(1), []
    keys: dict[SeriesKey, SeriesKey] = {}
    for _ in range(TICKS):
        reports, world = sim.tick()
        many = [_named(report, f"m{n:03d}", keys) for n in range(deployments) for report in reports]
        worlds = tuple(replace(world[0], deployment=f"m{n:03d}") for n in range(deployments))
        ticks.append((tuple(many), worlds, sim.now))
    return ticks


def _named(report: SourceReport, deployment: str, keys: dict[SeriesKey, SeriesKey]) -> SourceReport:
    def key(old: SeriesKey) -> SeriesKey:
        new = replace(old, deployment=deployment)
        return keys.setdefault(new, new)

    return replace(
        report,
        source=f"{deployment}/{report.source}",
        observations=tuple(replace(one, key=key(one.key)) for one in report.observations),
    )


Build = Callable[[int], tuple[Iterator[Tick], Callable[[Tick], object]]]


def sense_tick(deployments: int) -> tuple[Iterator[Tick], Callable[[Tick], object]]:
    """Return one tick of the whole chain."""
    parts = sense.SenseParts(
        signals=Fleet(),
        panel=Panel({"ewma": Ewma(Config())}),
        judge=verdicts.judge,
        shift=Shift(),
        forecasts=forecast.forecasts,
        utilisation=utilisation.utilisation,
        slo_met=slo.slo_met,
        diagnose=diagnose.diagnose,
    )
    who = tuple(replace(managed(), name=f"m{n:03d}") for n in range(deployments))
    ticks, state, tick = _endless(_recorded(deployments)), sense.init(parts), 0

    def step(heard: Tick) -> object:
        nonlocal state, tick
        reports, world, now = heard
        tick += 1
        state, _, evidence = sense.step(parts, state, reports, world, who, frozenset(), now, tick)
        return evidence

    for _ in range(TICKS):
        step(next(ticks))
    return ticks, step


def plain_loop(deployments: int) -> tuple[Iterator[Tick], Callable[[Tick], object]]:
    """Return the least one could do: one mean per counter."""
    ticks = _endless(_recorded(deployments))
    last: dict[tuple[SeriesKey, float | None], float] = {}
    mean: dict[tuple[SeriesKey, float | None], float] = {}

    def step(heard: Tick) -> object:
        for report in heard[0]:
            for seen in report.observations:
                place = (seen.key, seen.le)
                before = last.get(place, seen.value)
                step_by = seen.value - before if seen.kind is not Kind.GAUGE else seen.value
                mean[place] = 0.9 * mean.get(place, step_by) + 0.1 * step_by
                last[place] = seen.value
        return mean

    for _ in range(TICKS):
        step(next(ticks))
    return ticks, step


def _endless(ticks: list[Tick]) -> Iterator[Tick]:
    """Return the ticks again and again, counters and clock carried on."""
    span = (ticks[-1][2] - ticks[0][2]) + SECOND
    lap = 0
    while True:
        for reports, world, now in ticks:
            shift = lap * span
            yield (
                tuple(_later(report, shift, lap) for report in reports),
                tuple(replace(one, observed_at=TimeNs(one.observed_at + shift)) for one in world),
                TimeNs(now + shift),
            )
        lap += 1


def _later(report: SourceReport, shift: int, lap: int) -> SourceReport:
    if not lap:
        return report
    return replace(
        report,
        at=TimeNs(report.at + shift),
        observations=tuple(
            replace(
                one,
                observed_at=TimeNs(one.observed_at + shift),
                value=one.value + (lap * 1e5 if one.kind is not Kind.GAUGE else 0.0),
            )
            for one in report.observations
        ),
    )


@pytest.mark.parametrize("build", [sense_tick, plain_loop], ids=lambda f: f.__name__)
@pytest.mark.parametrize("deployments", [1, 30])
def test_a_tick_of_the_fleet(benchmark: BenchmarkFixture, deployments: int, build: Build) -> None:
    ticks, step = build(deployments)
    benchmark.group = f"one tick, {deployments} deployments, {350 * deployments} raw series"
    rounds = 100 if deployments == 1 else 10
    benchmark.pedantic(  # type: ignore[no-untyped-call]
        step, setup=lambda: ((next(ticks),), {}), rounds=rounds
    )
