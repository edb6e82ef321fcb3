"""Made-up tasks with known truth: contexts, gains and extra costs that are linear in them.

A context is (1, u) / sqrt 2 with u on the unit sphere, so that it is 1 long and has a constant.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from homeostat.policy.bandit_choose import context

Floats = npt.NDArray[np.float64]

LIMIT: Final = 0.5
INCUMBENT_COST: Final = 0.2
ROOM: Final = LIMIT - INCUMBENT_COST
NOISE: Final = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One draw of a task.

    Attributes:
        x: Contexts `[T, d]`, on the grid.
        gain: True gain of every arm in full `[T, arm]`.
        extra: True extra cost of every arm in full `[T, arm]`.
        noise: Of reward and cost `[T, 2]`, the same for every policy.
        rolls: Uniform `[T]`.
    """

    x: Floats
    gain: Floats
    extra: Floats
    noise: Floats
    rolls: Floats


def _contexts(rng: np.random.Generator, rounds: int, d: int) -> Floats:
    u = rng.standard_normal((rounds, d - 1))
    u /= np.linalg.norm(u, axis=1, keepdims=True)
    x = np.concatenate([np.ones((rounds, 1)), u], axis=1) / np.sqrt(2.0)
    return context(x)


def _arms(
    rng: np.random.Generator, arms: int, d: int, bias: tuple[float, float], turn: float
) -> Floats:
    """Return parameters `[arm, d]`: a constant part within `bias`, and one of length `turn`."""
    u = rng.standard_normal((arms, d - 1))
    u *= turn / np.linalg.norm(u, axis=1, keepdims=True)
    return np.concatenate([rng.uniform(*bias, (arms, 1)), u], axis=1)


def canary(seed: int, rounds: int, *, arms: int = 6, d: int = 8) -> Task:
    """Return six unknown arms that gain here and cost too much there.

    Contexts on the unit sphere, parameters of length 1: a fifth of the rounds of whoever does not
    look at costs is over the limit.
    """
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((rounds, d))
    x = context(x / np.linalg.norm(x, axis=1, keepdims=True))
    both = rng.standard_normal((2, arms, d))
    both /= np.linalg.norm(both, axis=2, keepdims=True)
    noise = NOISE * rng.standard_normal((rounds, 2))
    gain, extra = x @ both[0].T, x @ both[1].T
    return Task(x=x, gain=gain, extra=extra, noise=noise, rolls=rng.random(rounds))


def crowded(seed: int, rounds: int, *, arms: int = 6, d: int = 8) -> Task:
    """Return six arms most of which cost more than is left in full, whatever the context."""
    rng = np.random.default_rng(seed)
    x = _contexts(rng, rounds, d)
    gain = x @ _arms(rng, arms, d, (-0.3, 0.6), 0.4).T
    extra = x @ _arms(rng, arms, d, (-0.1, 0.9), 0.25).T
    noise = NOISE * rng.standard_normal((rounds, 2))
    return Task(x=x, gain=gain, extra=extra, noise=noise, rolls=rng.random(rounds))


def linear(seed: int, rounds: int, *, arms: int = 6, d: int = 32) -> Task:
    """Return arms without costs whose gain is exactly linear."""
    rng = np.random.default_rng(seed)
    x = _contexts(rng, rounds, d)
    gain = x @ _arms(rng, arms, d, (-0.3, 0.3), 0.8).T
    noise = NOISE * rng.standard_normal((rounds, 2))
    return Task(x=x, gain=gain, extra=0.0 * gain, noise=noise, rolls=rng.random(rounds))


def drifting(seed: int, rounds: int, *, arms: int = 6, d: int = 8, jumps: int = 3) -> Task:
    """Return arms whose parameters are drawn anew at `jumps` moments, spread evenly."""
    rng = np.random.default_rng(seed)
    x = _contexts(rng, rounds, d)
    parts = np.array_split(np.arange(rounds), jumps + 1)
    gain = np.concatenate([x[part] @ _arms(rng, arms, d, (-0.3, 0.3), 0.8).T for part in parts])
    noise = NOISE * rng.standard_normal((rounds, 2))
    return Task(x=x, gain=gain, extra=0.0 * gain, noise=noise, rolls=rng.random(rounds))


def turning(seed: int, rounds: int, *, arms: int = 6, d: int = 8) -> Task:
    """Return arms whose parameters turn slowly, by a right angle over all rounds."""
    rng = np.random.default_rng(seed)
    x = _contexts(rng, rounds, d)
    first, last = (_arms(rng, arms, d, (-0.3, 0.3), 0.8) for _ in range(2))
    angle = np.linspace(0.0, np.pi / 2.0, rounds)[:, None]
    gain = np.cos(angle) * (x @ first.T) + np.sin(angle) * (x @ last.T)
    noise = NOISE * rng.standard_normal((rounds, 2))
    return Task(x=x, gain=gain, extra=0.0 * gain, noise=noise, rolls=rng.random(rounds))


def bent(seed: int, rounds: int, *, arms: int = 6, d: int = 8) -> Task:
    """Return arms whose gain is not linear: a linear part, and as much that bends."""
    rng = np.random.default_rng(seed)
    x = _contexts(rng, rounds, d)
    flat = x @ _arms(rng, arms, d, (-0.2, 0.2), 0.4).T
    wave = 0.3 * np.cos(4.0 * x @ _arms(rng, arms, d, (-0.2, 0.2), 1.0).T)
    noise = NOISE * rng.standard_normal((rounds, 2))
    gain = flat + wave
    return Task(x=x, gain=gain, extra=0.0 * gain, noise=noise, rolls=rng.random(rounds))
