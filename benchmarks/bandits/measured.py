"""The parts of the adaptive layer's page of figures: each returns a table in Markdown."""

import dataclasses
import math
import time
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import numpy.typing as npt

from bandits import gates, tasks
from bandits.clocks import one_decision, one_outcome, one_weighing
from bandits.play import Played, best, ridge, shipped, slope
from bandits.tasks import Task
from homeostat.base.units import TimeNs
from homeostat.policy import bandit, hedge
from homeostat.policy.bandit import Config
from homeostat.policy.bandit_choose import context
from homeostat.policy.bandit_fleet import decide, prepared
from homeostat.stats.exact import upper_bound
from homeostat.stats.student import upper_quantiles

Floats = npt.NDArray[np.float64]

# Sigma is known and the model true, as the statement assumes; lam small against the noise's 0.01.
CANARY = Config(
    arms=6, features=8, costs=1, sigma_reward=tasks.NOISE, sigma_cost=tasks.NOISE, ridge=0.1
)


def _row(*cells: object) -> str:
    return "| " + " | ".join(map(str, cells)) + " |\n"


def _table(*head: str) -> str:
    return _row(*head) + _row(*("---" for _ in head))


def spread(values: Sequence[float], digits: int = 0) -> str:
    """Return a mean with its 95 % interval over runs (Student's t)."""
    mean, n = float(np.mean(values)), len(values)
    if n < 2:
        return f"{mean:.{digits}f}"
    (quantile,) = upper_quantiles(np.array([0.025]), np.array([n - 1.0]))
    half = quantile * float(np.std(values, ddof=1)) / math.sqrt(n)
    return f"{mean:.{digits}f} ± {half:.{digits}f}"


def canary(runs: int, seed: int) -> str:
    """Regret and limits on the two constrained tasks."""
    rounds = 8000
    eager = dataclasses.replace(CANARY, optimism=0.2)
    modes: dict[str, Callable[[Task], Played]] = {
        "safe-canary (shipped)": partial(shipped, CANARY, limited=True),
        "safe-canary, optimism 0.2": partial(shipped, eager, limited=True),
        "safe, all or nothing": partial(shipped, CANARY, limited=True, whole=True),
        "point estimate of the cost": partial(shipped, CANARY, limited=True, believing=True),
        "no limit": partial(shipped, CANARY, limited=False),
    }
    out = _table(
        "task", "policy", "regret at 8,000", "slope 2,000-8,000", "runs over the limit",
        "rounds over the limit", "of the best",
    )  # fmt: skip
    for make in (tasks.canary, tasks.crowded):
        drawn = [make(seed + run, rounds) for run in range(runs)]
        for name, play in modes.items():
            out += _canary_row(make.__name__, name, drawn, [play(task) for task in drawn])
    return out


def _canary_row(task: str, name: str, drawn: list[Task], played: list[Played]) -> str:
    rounds, runs = len(drawn[0].x), len(drawn)
    regret = np.mean([one.regret for one in played], axis=0)
    over = sum(one.over > 0 for one in played)
    most = sum(float(best(one, limited=True).sum()) for one in drawn)
    grew = f"{slope(regret, rounds // 4, rounds):.2f}" if regret[rounds // 4] > 0.0 else "-"
    return _row(
        task, name, spread([one.regret[-1] for one in played]), grew,
        f"{over} of {runs} (< {upper_bound(over, runs):.0%})",
        f"{np.mean([one.over for one in played]) / rounds:.1%}",
        f"{1.0 - sum(one.regret[-1] for one in played) / most:.0%}",
    )  # fmt: skip


def plain(runs: int, seed: int) -> str:
    """Regret without costs, on a linear, two drifting and a bent task, beside textbook peers."""
    rounds = 5000
    out = _table("task", "policy", "regret at 5,000", "arms forgotten per run")
    for make in (tasks.linear, tasks.drifting, tasks.turning, tasks.bent):
        drawn = [make(seed + run, rounds) for run in range(max(runs // 2, 2))]
        d = drawn[0].x.shape[1]
        steady = Config(
            arms=6, features=d, costs=0, sigma_reward=tasks.NOISE, ridge=0.1, optimism=0.2
        )
        fading = dataclasses.replace(steady, blocks=10, block_ns=200, discount=0.7)
        ours = {
            "shipped, optimism 1": dataclasses.replace(steady, optimism=1.0),
            "shipped, optimism 0.2": steady,
            "shipped, 0.2, no alarm": dataclasses.replace(steady, alarm=math.inf),
            "shipped, 0.2, fading blocks": fading,
        }
        modes: dict[str, Callable[[Task], Played]] = {
            name: partial(shipped, config, limited=False) for name, config in ours.items()
        }
        modes |= {
            "LinUCB, alpha 0.1": partial(ridge, width=0.1, greedy=0.0),
            "LinUCB, alpha 0.5": partial(ridge, width=0.5, greedy=0.0),
            "e-greedy 0.05": partial(ridge, width=0.0, greedy=0.05),
        }
        for name, play in modes.items():
            played = [play(task) for task in drawn]
            out += _row(
                make.__name__, name, spread([one.regret[-1] for one in played], 1),
                f"{np.mean([one.alarms for one in played]):.1f}",
            )  # fmt: skip
    return out


def full(runs: int, seed: int) -> str:
    """Hedge, when all policies are scored: growth against sqrt(T log k)."""
    rounds = 10_000
    out = _table(
        "policies", "worst regret at 10,000", "bound", "slope 2,500-10,000", "sqrt(T ln k)"
    )
    for policies in (6, 64):
        ends, grown = [], []
        for run in range(runs):
            coins = np.random.default_rng(seed + run).random((rounds, policies))
            losses = (coins < 0.5).astype(np.float64)
            total: Floats = np.cumsum(losses, axis=0) - losses
            regret = _hedged(total, losses)
            ends.append(float(regret[-1]))
            grown.append(regret)
        mean = np.asarray(np.mean(grown, axis=0), dtype=np.float64)
        out += _row(
            policies, f"{max(ends):.1f} (mean {np.mean(ends):.1f})",
            f"{hedge.bound(rounds, policies):.1f}", f"{slope(mean, rounds // 4, rounds):.2f}",
            f"{math.sqrt(rounds * math.log(policies)):.1f}",
        )  # fmt: skip
    return out


def _hedged(total: Floats, losses: Floats) -> Floats:
    """Return expected regret `[T]`; the shipped weights, one call a round."""
    paid = np.zeros(len(losses))
    for t, (before, now) in enumerate(zip(total, losses, strict=True)):
        paid[t] = hedge.weights(hedge.State(before, t, 0)) @ now
    return np.asarray(np.cumsum(paid) - (total + losses).min(axis=1))


def promotion(runs: int, seed: int) -> str:
    """How often a gate that is asked after every round promotes, and when."""
    return gates.table(max(40 * runs, 400), seed)


def latency(_runs: int, seed: int) -> str:
    """Processor time of one decision, one outcome, and ten thousand decisions."""
    out = _table(
        "features", "arms", "arm and fraction p50 us", "with mask, proposal and pick p50 us",
        "learn and redraw p50 us", "10,000 decisions p50 ms",
    )  # fmt: skip
    for d, k in ((8, 6), (16, 6), (32, 6), (32, 20)):
        out += _row(d, k, *(f"{value:.1f}" for value in _times(d, k, seed)))
    return out


def _times(d: int, k: int, seed: int) -> tuple[float, float, float, float]:
    config = Config(arms=k, features=d, costs=2)
    rng = np.random.default_rng(seed)
    seen = bandit.view(config, bandit.init(config), TimeNs(0))
    x = context(rng.uniform(-1.0, 1.0, (10_000, d)) / math.sqrt(d)).astype(np.float32)
    room = np.full((10_000, 2), 0.3, dtype=np.float32)
    may, ready = rng.random((10_000, k)) < 0.8, prepared(config, seen)
    many = []
    for _ in range(21):
        begin = time.process_time_ns()
        decide(config, ready, x, room, may)
        many.append((time.process_time_ns() - begin) / 1e6)
    return (
        one_weighing(config, seen),
        one_decision(config, seen),
        one_outcome(config, seen),
        float(np.median(many)),
    )
