"""Whatever is done to it, the twin tells numbers: none missing, none infinite, nothing below zero.

Each example is a seed for as many episodes as there are lanes: random deployments, every primitive
at any magnitude that makes sense, every lever at values that make none.
"""

from typing import Any, Final

import numpy as np
from fleet_by_hand import LANES, SLOTS, Case, Fault, Played, changed, leaves, play
from hypothesis import Phase as Step
from hypothesis import given, settings
from hypothesis import strategies as st

from homeostat.twin.params import Params
from homeostat.twin.primitives import PRIMITIVES, Primitive
from homeostat.twin.shapes import FAULTS, SCRAPE_S, VARIANTS, Cure, Phase, Shape
from homeostat.twin.signals import CLASSES

SCRAPES: Final = 10
# Numbers that mean "no such limit" or "nothing on its way" where they are infinite.
MAY_BE_ENDLESS: Final = ("due_s", "swap_s", "admit_rps", "channel", "labels")
# Latencies of a variant or of everybody in a tick in which nobody came.
MAY_BE_MISSING: Final = ("variant_p99_s", "p50_s", "p95_s", "p99_s")
ANY_SIGN: Final = (
    "ou", "key", "age_s", "timer_s", "hazard", "due_s", "swap_s", "channel", "quality",
    "training", "labels",
)  # fmt: skip


def magnitude(chance: np.random.Generator, primitive: Primitive) -> float:
    """Return one within the primitive's range, its ends included; by the logarithm if it spans."""
    low, high = primitive.low, primitive.high
    match chance.integers(4):
        case 0:
            return low
        case 1:
            return high
        case _ if low > 0.0 and high > 100.0 * low:
            return float(np.exp(chance.uniform(np.log(low), np.log(high))))
        case _:
            return float(chance.uniform(low, high))


def some(chance: np.random.Generator, number: int) -> list[int]:
    return [int(n) for n in np.flatnonzero(chance.random(number) < 0.6)]


def fault(chance: np.random.Generator, primitive: Primitive) -> Fault:
    start_s = float(chance.uniform(0.0, 100.0))
    return Fault(
        name=primitive.name,
        magnitude=magnitude(chance, primitive),
        start_s=start_s,
        ramp_s=float(chance.choice([0.0, 10.0, 60.0])),
        stop_s=float(chance.choice([start_s + 30.0, np.inf])),
        period_s=float(chance.choice([10.0, 40.0])),
        shape=Shape(int(chance.integers(len(Shape)))),
        cure=Cure(int(chance.integers(len(Cure)))),
        slots=some(chance, SLOTS),
        variants=some(chance, VARIANTS),
        signals=[CLASSES[n] for n in some(chance, len(CLASSES))],
    )


def orders(chance: np.random.Generator) -> dict[str, Any]:
    """Return a few levers at values from sound to senseless."""
    silly = [np.nan, np.inf, -1.0, 0.0, 1e9]

    def number(low: float, high: float) -> float:
        return float(chance.choice([*silly, *chance.uniform(low, high, 8)]))

    said: dict[str, Any] = {
        "replicas": [number(0, 4) for _ in range(VARIANTS)],
        "weights": [number(0, 1) for _ in range(VARIANTS)],
        "batch_max": [number(1, 64) for _ in range(VARIANTS)],
        "concurrency": number(1, 100),
        "admit_rps": number(1, 400),
        "restart": chance.random(SLOTS) < 0.3,
        "drain": chance.random(SLOTS) < 0.3,
        "rollback": chance.random(VARIANTS) < 0.3,
        "retrain": chance.random() < 0.5,
        "retrain_ungated": chance.random() < 0.5,
        "person_fixes": chance.random() < 0.2,
        "by_us": True,
    }
    return {name: value for name, value in said.items() if chance.random() < 0.3}


def case(chance: np.random.Generator, deployment: Params, first: int) -> Case:
    """Return a random episode, with the primitives from number `first` on."""
    draw = chance.uniform
    names = [PRIMITIVES[(first + k) % len(PRIMITIVES)] for k in range(chance.integers(1, FAULTS))]
    made = changed(
        deployment,
        service__tau0_s=draw(0.001, 0.5),
        service__alpha_s=draw(0.0, 0.1),
        service__cv2=draw(0.0, 4.0),
        service__concurrency=draw(1.0, 200.0),
        demand__knots_rps=chance.choice([0.0, draw(0.0, 1000.0)]),
        demand__ca2=draw(0.0, 50.0),
        demand__ou_sd=draw(0.0, 1.0),
        client__timeout_s=draw(0.05, 30.0),
        client__retries=draw(0.0, 4.0),
        client__cancel=draw(0.0, 1.0),
        client__sticky=draw(0.0, 1.0),
        client__least_loaded=draw(0.0, 1.0),
        provision__delay_s=draw(0.0, 60.0),
        provision__load_s=draw(0.0, 60.0),
        provision__spares=float(chance.integers(3)),
        limits__frontend_rps=chance.choice([np.inf, draw(1.0, 200.0)]),
        limits__connections=chance.choice([np.inf, draw(1.0, 200.0)]),
        limits__dependency_rps=chance.choice([np.inf, draw(1.0, 200.0)]),
        replicas=chance.multinomial(chance.integers(SLOTS + 1), np.ones(VARIANTS) / VARIANTS),
        weights=chance.dirichlet(np.ones(VARIANTS)),
    )
    given_at = [int(at) for at in np.flatnonzero(chance.random(SCRAPES) < 0.5)]
    return Case(
        deployment=made,
        faults=[fault(chance, primitive) for primitive in names],
        orders={at: orders(chance) for at in given_at},
        key=int(chance.integers(1 << 31)),
    )


# Not shrunk: a smaller seed is no simpler, and the findings name the episode.
@settings(max_examples=4, phases=(Step.explicit, Step.generate))
@given(seed=st.integers(0, (1 << 32) - 1))
def test_nothing_is_missing_infinite_or_negative(deployment: Params, seed: int) -> None:
    chance = np.random.default_rng(seed)
    # Side by side, so that every example has every primitive in it.
    firsts = np.linspace(0, len(PRIMITIVES), LANES, endpoint=False).astype(int)
    cases = [case(chance, deployment, int(first)) for first in firsts]
    played = play(cases, SCRAPES)
    wrong = [*truth_is_told(played), *state_is_sound(played), *scrape_is_sound(played)]
    wrong += nobody_is_lost(played, cases)
    assert not wrong, f"{len(wrong)} findings, the first: {wrong[0]}: {_first_case(wrong, cases)}"


def truth_is_told(played: Played) -> list[tuple[int, str]]:
    """Return the lanes and fields whose truth cannot be."""
    truth = played.truth
    nobody = truth.attempts < 1e-6
    found = []
    for name, values in vars(truth).items():
        flat = np.asarray(values, float).reshape(LANES, values.shape[1], -1)
        missing = np.isnan(flat)
        if name in MAY_BE_MISSING:
            missing &= ~nobody[..., None] & (name != "variant_p99_s")
        bad = missing | np.isinf(flat) | (flat < 0.0)
        found += [(int(at), f"truth.{name}") for at in np.flatnonzero(bad.any(axis=(1, 2)))]
    rules = {
        "weights are no shares": abs(truth.weights.sum(axis=-1) - 1.0) > 1e-4,
        "more ready than held": (truth.ready > truth.held).any(axis=-1),
        "quantiles out of order": (truth.p50_s > truth.p95_s + 1e-6)
        | (truth.p95_s > truth.p99_s + 1e-6),
        "quality is no share": truth.quality > 1.0,
        "errors are no share": (truth.variant_errors > 1.0 + 1e-5).any(axis=-1),
    }
    for rule, broken in rules.items():
        found += [(int(at), rule) for at in np.flatnonzero(np.asarray(broken).any(axis=1))]
    return found


def nobody_is_lost(played: Played, cases: list[Case]) -> list[tuple[int, str]]:
    """Return the lanes in which attempts were not answered, failed, or still wait.

    Whose answer is invalid is in no sum of the truth, so with such a fault some may be missing.
    """
    truth = played.truth
    came, ended = (
        np.asarray(rate, float).cumsum(axis=1)[:, SCRAPE_S - 1 :: SCRAPE_S]
        for rate in (truth.attempts, truth.good + truth.errors)
    )
    left = came - ended - played.state.live.clients.waiting.sum(axis=-1)
    slack = 0.01 + 3e-5 * came
    invalid = np.array([any(f.name == "nan_prob" for f in each.faults) for each in cases])
    broken = (left < -slack) | ((left > slack) & ~invalid[:, None])
    return [(int(at), "attempts are lost") for at in np.flatnonzero(broken.any(axis=1))]


def state_is_sound(played: Played) -> list[tuple[int, str]]:
    """Return the lanes and fields whose state cannot be."""
    found = []
    for name, values in leaves(played.state).items():
        if "ordered" in name:  # what was said, however senseless; in force is what it comes to
            continue
        flat = np.asarray(values, float).reshape(LANES, -1)
        bad = np.isnan(flat) & ("channel" not in name) & ("labels" not in name)
        bad |= np.isinf(flat) & (not any(each in name for each in MAY_BE_ENDLESS))
        bad |= (flat < 0.0) & (not any(each in name for each in ANY_SIGN))
        found += [(int(at), f"state{name}") for at in np.flatnonzero(bad.any(axis=1))]
    slots = played.state.live.slots
    idle = (slots.phase == Phase.EMPTY) | (slots.phase == Phase.PENDING)
    idle |= (slots.phase == Phase.LOADING) | (slots.phase == Phase.DEAD)
    rules = {
        "disk": slots.disk > 1.0,
        "listed": slots.listed > 1.0,
        "share": slots.share > 1.0 + 1e-5,
        "busy": slots.busy > 1.0 + 1e-3,
        "who does not run has jobs": idle & (slots.jobs + slots.front > 0.0),
    }
    for rule, broken in rules.items():
        found += [(int(at), rule) for at in np.flatnonzero(broken.any(axis=(1, 2)))]
    return found


def scrape_is_sound(played: Played) -> list[tuple[int, str]]:
    """Return the lanes and fields of which a controller sees what is no number; NaN is allowed."""
    found = []
    for name, values in vars(played.scrape).items():
        flat = np.asarray(values, float).reshape(LANES, -1)
        bad = np.isinf(flat) & (name != "admit_rps")
        found += [(int(at), f"scrape.{name}") for at in np.flatnonzero(bad.any(axis=1))]
    return found


def _first_case(wrong: list[tuple[int, str]], cases: list[Case]) -> str:
    mine = cases[wrong[0][0]]
    return f"{sorted({name for _, name in wrong})} {mine.faults} {mine.orders}"
