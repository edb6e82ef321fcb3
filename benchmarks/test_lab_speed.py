"""How many simulated seconds a policy plays per second of processor time; the goal is a whole run.

The goal: 43 scenarios x 100 seeds under one compiled policy, with the HOLD counterfactual and the
judge, within 5 minutes on two cores; within an hour under the real controller, which thinks in
Python. That is `RUN_TICKS` deployment-seconds, played twice (HOLD's play, which a run needs once
for all policies, is left out of the controller's: it is small beside the thinking). Each case plays
an hour of one scenario in full batches, as a run does; beside it the same batch without policy,
tape and judge (the twin alone), so that what the lab adds shows. Rates are per second of processor
time of one core, which other work on the machine hardly changes. Not measured: the oracle, and the
first call's compilation.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from importlib import resources

import jax
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from homeostat.lab.baselines.levers import standing
from homeostat.lab.draw import draw
from homeostat.lab.metrics_score import score
from homeostat.lab.policies import make
from homeostat.lab.run import world_of
from homeostat.lab.scenario_schema import load
from homeostat.lab.types import Episode
from homeostat.lab.world import Batch

RUN_TICKS = 36_540_000  # lengths of the 43 scenarios, s, x 100 seeds
GOALS_S = {"threshold": 300.0, "homeostat": 3600.0}
CORES = 2
SLOTS = 16
LENGTH_S = 3600
WIDTHS = (8, 25, 50)
CASES = ("twin alone", "hold", "threshold", "hpa", "keda", "random", "homeostat")


def episodes(count: int) -> list[Episode]:
    text = (resources.files("homeostat.lab") / "catalogue" / "load.yaml").read_text()
    case = next(one for one in load(text, "load.yaml") if one.id == "S07")
    return [replace(draw(case, seed, slots=SLOTS), length_s=LENGTH_S) for seed in range(count)]


def twin_alone(width: int) -> Callable[[], None]:
    many, steps = episodes(width), world_of(SLOTS, width).steps
    orders = standing(many)

    def play() -> None:
        batch = Batch(steps, many, width)
        for _ in range(LENGTH_S // 15):
            batch.advance(orders)
        jax.block_until_ready(batch.state)  # type: ignore[no-untyped-call]

    return play


def judged(name: str, width: int) -> Callable[[], None]:
    many, world = episodes(width), world_of(SLOTS, width)
    hold = world.play(make("hold"), many)

    def play() -> None:
        played = world.play(make(name), many)
        score(played.trace, hold.trace, orders=played.orders)

    return play


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("case", CASES)
def test_a_policy_plays_a_catalogue(benchmark: BenchmarkFixture, case: str, width: int) -> None:
    if benchmark.disabled and (case, width) != ("hold", WIDTHS[0]):
        pytest.skip("measured with --benchmark-enable; one case shows that it runs")
    play = twin_alone(width) if case == "twin alone" else judged(case, width)
    play()  # compiles
    begun = time.process_time()
    benchmark.group = f"an hour of {width} deployments with {SLOTS} slots"
    benchmark.pedantic(play, rounds=3, warmup_rounds=0)  # type: ignore[no-untyped-call]
    took = (time.process_time() - begun) / (1 if benchmark.disabled else 3)
    rate = width * LENGTH_S / took
    plays = 1 if case == "homeostat" else 2
    whole_s = plays * RUN_TICKS / rate / CORES
    benchmark.extra_info["ticks_per_s"] = round(rate)
    benchmark.extra_info["whole_run_s"] = round(whole_s)
    print(f"{case}, {width} side by side: {rate / 1e3:.0f} k ticks/s; a run {whole_s:.0f} s")
    if benchmark.enabled and case in GOALS_S and width == WIDTHS[-1]:
        assert whole_s <= GOALS_S[case]
