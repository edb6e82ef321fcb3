"""The looks, their rates and their reach say the same in NumPy and in JAX."""

from typing import Any

import numpy as np
import pytest

from homeostat.detect import screen_reach
from homeostat.detect.screen import Config as Looks
from homeostat.detect.screen import Screen
from homeostat.detect.screen_rates import Config as Blocks
from homeostat.detect.screen_rates import Rates

ROWS = 8


def _play(xp: Any, values: Any) -> tuple[Any, Any, Any]:
    """Return looks, rarity and evidence beyond the reach of the last ticks."""
    screen, rates = Screen(Looks(warmup=16)), Rates(Blocks(blocks=16, least=4))
    seen, known = screen.init(xp, ROWS), rates.init(xp, ROWS)
    reach = screen_reach.init(xp, ROWS)
    out = []
    for one in values:
        may = xp.ones(ROWS, dtype=bool)
        seen, looks = screen.step(xp, seen, xp.asarray(one), may)
        known, rarity = rates.step(xp, known, looks[1], may)
        reach, times = screen_reach.step(xp, reach, looks[1], may)
        beyond = screen_reach.evidence(xp, times)
        out.append([np.asarray(part, dtype=float) for part in (looks, rarity, beyond, reach.reach)])
    looked, rare, far, reached = (np.array(part) for part in zip(*out, strict=True))
    return looked, rare, np.concatenate([far, reached], axis=1)


@pytest.mark.long
def test_numpy_and_jax_agree() -> None:
    jnp = pytest.importorskip("jax.numpy")
    values = np.random.default_rng(0).normal(size=(80, ROWS)).astype(np.float32)
    values[60] += 9.0
    values[40:44, 0] = np.nan
    for one, other in zip(_play(np, values), _play(jnp, values), strict=True):
        # JAX computes in single precision.
        np.testing.assert_allclose(one, other, rtol=2e-3, atol=2e-3)
