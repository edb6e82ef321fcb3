"""Training: Adam on the negative ELBO of windows believed normal, until held-out data say stop.

JAX and optax are imported where they are used: the room stays importable without them, and the live
controller's process never starts JAX. Same data, settings, build and processor: same weights.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

import numpy as np

from homeostat.detect.vae_config import Config
from homeostat.detect.vae_network import Weights, loss, mapped, start

# Held-out windows at which the ELBO is taken: its standard error is then about 1 % of its spread.
_HELD_OUT_MOST: Final = 8192
# Improvements of the held-out ELBO below this many nats a window are noise.
_BETTER: Final = 0.01
# Longest gradient that is followed whole; one wild batch shall not undo a round.
_CLIP: Final = 10.0

Progress = Callable[[int, int, float], None]
"""Takes rounds done, most rounds, and the held-out ELBO in nats a window."""


class Trained(NamedTuple):
    """What training leaves.

    Attributes:
        weights: Of the best round, float32.
        elbo: Held-out ELBO before training and after each round, nats a window.
        best: Index in `elbo` of the round whose weights these are.
    """

    weights: Weights
    elbo: tuple[float, ...]
    best: int


class TrainingError(ValueError):
    """The loss left the finite numbers: the data or the settings are at fault."""


def train(
    config: Config, taught: Any, held_out: Any, kept: Any, progress: Progress | None = None
) -> Trained:
    """Train a network.

    Args:
        config: Settings.
        taught: Components of windows to learn from, `[row, component]`, at least one row.
        held_out: Components of windows to stop by, at least one row.
        kept: 1 for components that count, `[1, component]`.
        progress: Told after every round.

    Raises:
        TrainingError: The loss is not finite from the first round on.
        ImportError: The `twin` extra is not installed.
    """
    rng = np.random.default_rng(config.seed)
    weights = mapped(_single, start(config, taught.var(axis=0)))
    test = _single(held_out[:: -(-len(held_out) // _HELD_OUT_MOST)])
    test_noise, mask = _single(rng.standard_normal((len(test), config.latent))), _single(kept)
    curve = [elbo(weights, test, test_noise, mask)]
    best, found = 0, weights
    for number, moved in enumerate(_rounds(config, weights, taught, mask, rng), 1):
        now = elbo(moved, test, test_noise, mask)
        if not np.isfinite(now):
            break
        curve.append(now)
        if progress is not None:
            progress(number, config.rounds, now)
        if now > curve[best] + _BETTER or config.as_written:
            best, found = number, moved
        elif number - best >= config.patience:
            break
    if not np.isfinite(curve[best]):
        raise TrainingError(f"vae: the held-out ELBO is {curve[best]} nats; are values huge?")
    return Trained(found, tuple(curve), best)


def elbo(weights: Weights, parts: Any, noise: Any, kept: Any) -> float:
    """Return the ELBO by NumPy, nats a row, for one draw of the latent values of each row."""
    divergence, surprise = loss(np, weights, parts, kept=kept, noise=noise)
    return -float(np.mean(divergence + surprise))


def _single(values: Any) -> Any:
    return np.asarray(values, dtype=np.float32)


def _rounds(
    config: Config, weights: Weights, taught: Any, kept: Any, rng: np.random.Generator
) -> Iterator[Weights]:
    """Yield the weights after each round."""
    if not config.rounds:
        return
    one_round, memory = _program(config, weights)
    for _ in range(config.rounds):
        drawn = rng.integers(0, len(taught), (config.steps, config.batch))
        noise = rng.standard_normal((*drawn.shape, config.latent), dtype=np.float32)
        weights, memory = one_round(weights, memory, _single(taught[drawn]), noise, kept)
        yield mapped(np.asarray, weights)


def _program(config: Config, weights: Weights) -> tuple[Any, Any]:
    """Return one round of steps, and the optimiser's first memory.

    Shapes depend on the settings alone, so that the program is compiled once and kept.
    """
    import jax  # noqa: PLC0415 - the room is importable without JAX
    import optax  # type: ignore[import-untyped]  # noqa: PLC0415 - as above

    jnp, sign = jax.numpy, -1.0 if config.as_written else 1.0
    adam = optax.chain(optax.clip_by_global_norm(_CLIP), optax.adam(config.learning_rate))

    def mean_loss(weights: Any, parts: Any, noise: Any, kept: Any) -> Any:
        return jnp.mean(sum(loss(jnp, weights, parts, kept=kept, noise=noise, sign=sign)))

    def one_round(weights: Any, memory: Any, parts: Any, noise: Any, kept: Any) -> Any:
        def one_step(carried: Any, drawn: Any) -> tuple[Any, None]:
            weights, memory = carried
            slope = jax.grad(mean_loss)(weights, *drawn, kept)
            change, memory = adam.update(slope, memory, weights)
            return (optax.apply_updates(weights, change), memory), None

        return jax.lax.scan(one_step, (weights, memory), (parts, noise))[0]

    return jax.jit(one_round), adam.init(weights)
