"""Two networks of two tanh layers: what to do, and what to expect. JAX trains, NumPy serves.

Source: Andrychowicz et al., "What Matters in On-Policy Reinforcement Learning?" (2021): separate
networks, tanh, orthogonal weights, and a last layer of the policy that starts a hundred times
smaller, so that it begins with no opinion.
"""

import math
from itertools import pairwise
from types import ModuleType
from typing import Any, Final, NamedTuple

import numpy as np

_OPINION: Final = 0.01  # gain of the policy's last layer, as in the source
_HIDDEN: Final = math.sqrt(2.0)


class Weights(NamedTuple):
    """All weights: matrices `[in, out]` and biases `[out]` in turn, of three layers.

    Attributes:
        policy: From what is seen to logits.
        value: From what is seen to expectations, one for each channel.
    """

    policy: tuple[Any, ...]
    value: tuple[Any, ...]


def start(
    rng: np.random.Generator, seen: int, hidden: tuple[int, int], actions: int, channels: int
) -> Weights:
    """Return weights that know nothing, float32.

    Args:
        rng: Draws them.
        seen: Numbers in an observation.
        hidden: Widths.
        actions: How many there are.
        channels: How many expectations.
    """

    def layers(last: int, gain: float) -> tuple[np.ndarray, ...]:
        widths = (seen, *hidden, last)
        gains = (_HIDDEN, _HIDDEN, gain)
        parts: list[np.ndarray] = []
        for (rows, columns), by in zip(pairwise(widths), gains, strict=True):
            parts += [_orthogonal(rng, rows, columns, by), np.zeros(columns, np.float32)]
        return tuple(parts)

    return Weights(policy=layers(actions, _OPINION), value=layers(channels, 1.0))


def _orthogonal(rng: np.random.Generator, rows: int, columns: int, gain: float) -> np.ndarray:
    """Draw rows or columns of unit length that are at right angles to each other (Saxe 2014)."""
    tall = rng.standard_normal((max(rows, columns), min(rows, columns)))
    found, triangle = np.linalg.qr(tall)
    found = found * np.sign(np.diag(triangle))
    return np.asarray(gain * (found if rows >= columns else found.T), np.float32)


def logits(xp: ModuleType, weights: Weights, seen: Any) -> Any:
    """Return the policy's logits `[..., action]`."""
    return _through(xp, weights.policy, seen)


def expected(xp: ModuleType, weights: Weights, seen: Any) -> Any:
    """Return what is expected of each channel `[..., channel]`."""
    return _through(xp, weights.value, seen)


def _through(xp: ModuleType, layers: tuple[Any, ...], x: Any) -> Any:
    first, shift, second, move, last, end = layers
    x = xp.tanh(xp.matmul(x, first) + shift)
    x = xp.tanh(xp.matmul(x, second) + move)
    return xp.matmul(x, last) + end


def greedy(weights: Weights, seen: Any, mask: Any) -> Any:
    """Return the likeliest allowed action of each row `[...]`, by NumPy: how a policy is served."""
    found = np.where(mask, logits(np, weights, np.asarray(seen, np.float32)), -np.inf)
    return np.argmax(found, axis=-1)
