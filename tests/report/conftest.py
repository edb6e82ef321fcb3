"""Results that nobody measured, complete in every field, for what only reads and draws them."""

from collections.abc import Sequence

import numpy as np
import pytest

from homeostat.report.lab_html import Film
from homeostat.report.lab_results import (
    Bound,
    Check,
    Curve,
    Figure,
    Group,
    Machine,
    PolicyResults,
    Results,
    ScenarioLine,
    Worst,
)
from homeostat.report.lab_words import CODES, METRICS, Unit
from homeostat.report.strips import Mark, Strip, strip

SCENARIOS = {
    "S01": ("cpu_throttling_and_contention", "infrastructure"),
    "S02": ("gpu_lost_black_hole_replica", "infrastructure"),
    "S07": ("flash_crowd", "load"),
    "S09": ("retry_storm_metastable", "load"),
    "S16": ("bad_release_slow_or_erroring", "serving"),
    "S21": ("covariate_drift_gradual_or_sudden", "data"),
    "S29": ("bad_retrain_or_training_serving_skew_promoted", "model"),
    "S33": ("missing_metrics_read_as_zero", "observability"),
    "S43": ("benign_event_no_fault", "control"),
}
# A policy is better at everything the larger its skill.
SKILL = {
    "hold": 0.1,
    "threshold": 0.45,
    "hpa": 0.55,
    "keda": 0.5,
    "homeostat": 0.9,
    "oracle": 0.97,
}
_BASE = {
    Unit.SHARE: 1.0,
    Unit.SECONDS: 1500.0,
    Unit.MILLISECONDS: 700.0,
    Unit.MINUTES: 60.0,
    Unit.DOLLARS: 14.0,
    Unit.TIMES: 9.0,
    Unit.NUMBER: 1.0,
}


def metrics(skill: float, seed: int, n: int) -> dict[str, Figure]:
    chance = np.random.default_rng(seed)
    found = {}
    for name, metric in METRICS.items():
        if name == "breach_brier_skill":
            found[name] = Figure(value=None, n=0)
            continue
        level = skill if metric.up else 1.0 - skill
        value = float(_BASE[metric.unit] * level * chance.uniform(0.9, 1.1))
        value = min(value, 0.999) if metric.unit is Unit.SHARE else value
        spread = 0.08 * value
        low, high = max(0.0, value - spread), value + spread
        if metric.unit is Unit.SHARE:
            high = min(1.0, high)
        found[name] = Figure(value=value, low=low, high=high, n=n)
    return found


def group(skill: float, seed: int, n: int) -> Group:
    zero = Figure(value=0.0, low=0.0, high=0.02, n=n)
    found = metrics(skill, seed, n)
    rate = found["catastrophic_rate_caused"].value
    codes = {
        code: Figure(value=rate, n=n) if code == f"K{1 + seed % 7}" and rate else zero
        for code in CODES
    }
    return Group(metrics=found, codes=codes)


def policy(skill: float, seed: int) -> PolicyResults:
    n = 100 * len(SCENARIOS)
    whole = group(skill, seed, n)
    families = sorted({family for _, family in SCENARIOS.values()})
    t_s = tuple(float(t) for t in range(0, 3601, 15))
    share = tuple(float(skill * (1 - np.exp(-t / (900 * (1.05 - skill))))) for t in t_s)
    none = skill > 0.8
    return PolicyResults(
        metrics=whole.metrics,
        codes=whole.codes,
        codes_any={code: Figure(value=0.3, low=0.2, high=0.4, n=n) for code in CODES},
        families={f: group(skill, seed + i, n) for i, f in enumerate(families)},
        scenarios={s: group(skill, seed + i, 100) for i, s in enumerate(SCENARIOS)},
        over_episodes=Bound(events=0 if none else 270, n=n, upper=0.0033 if none else 0.33),
        over_scenarios=Bound(events=0 if none else 6, n=9, upper=0.283 if none else 0.9),
        gate=(
            Check(name="no catastrophe of its own", passed=none, because="caused 0 of 900"),
            Check(name="repairs in time", passed=skill > 0.5, because="12 min, at most 25 min"),
            Check(name="near the oracle", passed=None, because="the oracle did not run"),
        ),
        recovery=Curve(t_s=t_s, share=share, n=n),
        worst=(Worst(scenario="S07", seed=3, codes=("K1", "K2"), violation_s=1500.0),),
    )


def made(names: Sequence[str] = tuple(SKILL)) -> Results:
    return Results(
        version="0.1.0",
        made_at="2026-02-03T04:05:06Z",
        command="homeostat lab run --seeds 100 --policies " + ",".join(names),
        wall_s=300.0,
        machine=Machine(cpu="A processor", cores=2, python="3.11.2", jax="0.9.0"),
        catalogue="catalogue.yaml",
        catalogue_digest="c" * 64,
        thresholds_digest="d" * 64,
        seed_first=0,
        seeds=100,
        scenarios={
            key: ScenarioLine(
                name=name,
                family=family,
                length_s=3600,
                benign=key == "S43",
                recoverable=key != "S21",
            )
            for key, (name, family) in SCENARIOS.items()
        },
        policies={name: policy(SKILL[name], i) for i, name in enumerate(names)},
        notes=("These numbers are made up.",),
    )


def episode() -> Strip:
    t = np.arange(3600.0)
    fault = (t > 600) & (t < 2400)
    demand = 100 + 20 * np.sin(t / 600) + 120 * fault
    capacity = np.where(t > 1800, 300.0, 150.0)
    good = np.minimum(demand, capacity) * np.where(fault & (t < 1800), 0.7, 1.0)
    p99 = np.where(good < demand - 1, 8.0, 0.12)
    p99[2800:2900] = np.nan
    ready = np.where(t > 1800, 6.0, 3.0)
    return Strip(
        title="S07 flash crowd, seed 3",
        lines={
            "demand": demand,
            "good": good,
            "capacity": capacity,
            "p99_s": p99,
            "quality": np.where(t > 3000, 0.88, 0.93),
            "slice_quality": np.where(fault, 0.7, 0.93),
            "ready": ready,
            "held": np.where(t > 1500, 6.0, 3.0),
            "usd_per_hour": np.where(t > 1500, 18.0, 9.0),
        },
        p99_limit_s=0.4,
        quality_floor=0.9,
        budget_usd_per_hour=20.0,
        faults=((600.0, 2400.0),),
        marks=(
            Mark(at_s=900.0, kind="person", text="a person is told"),
            Mark(at_s=1200.0, kind="code", text="K1"),
            Mark(at_s=1500.0, kind="action", text="replicas"),
        ),
    )


def film(name: str = "threshold") -> Film:
    happened = episode()
    return Film(
        policy=name,
        title=happened.title,
        why="K1 K2, 25 min violated",
        picture=strip(happened),
    )


@pytest.fixture(scope="session")
def results() -> Results:
    return made()


@pytest.fixture(scope="session")
def happened() -> Strip:
    return episode()


@pytest.fixture(scope="session")
def films() -> list[Film]:
    return [film(), film("hold")]
