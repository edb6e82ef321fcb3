"""The users' budget of attempts: a bucket that fills with requests and is emptied by retries."""

import jax.numpy as jnp
import numpy as np
import pytest
from fleet_by_hand import Case, Fault, changed, play
from hypothesis import given
from hypothesis import strategies as st

from homeostat.demo.load_client import RETRY_BURST, RETRY_SHARE, RetryBudget
from homeostat.twin import clients
from homeostat.twin.params import Params


def habits(share: float, burst: float) -> clients.Habits:
    none = jnp.float32(0.0)
    return clients.Habits(
        timeout_s=none, cancel=none, again=none, after_timeout=none, after_error=none,
        share=jnp.float32(share), burst=jnp.float32(burst),
    )  # fmt: skip


@given(failing=st.lists(st.integers(0, 100), min_size=1, max_size=60))
def test_the_budget_is_that_of_the_load_generator(failing: list[int]) -> None:
    """A hundred requests a second, of which so many fail and would be sent again."""
    real, spare, ours, theirs = RetryBudget(), jnp.float32(0.0), 0.0, 0
    mine = habits(RETRY_SHARE, RETRY_BURST)
    for failed in failing:
        for _ in range(100):
            real.request()
        theirs += sum(real.take() for _ in range(failed))
        wanted = jnp.float32(failed)
        part, spare = clients.granted(mine, spare, jnp.float32(100.0), wanted, 1.0)
        ours += float(part) * failed
    # The generator gives whole attempts only: less than one is left over.
    assert abs(ours - theirs) < 1.0 + 1e-3 * theirs


def test_without_a_budget_everything_is_granted_and_nothing_is_counted() -> None:
    for wanted in (0.0, 1e-30, 7.3, 1e9):
        part, spare = clients.granted(
            habits(np.inf, 0.0), jnp.float32(0.0), jnp.float32(0.0), jnp.float32(wanted), 0.25
        )
        assert (float(part), float(spare)) == (1.0, 0.0)


def test_what_was_saved_up_is_spent_first_and_then_what_comes_in(plain: Params) -> None:
    # Everything fails at once, and is sent again three seconds later if the budget allows.
    each = {"client__retries": 1.0, "client__backoff_s": 3.0, "demand__knots_rps": 100.0}
    fault = Fault(name="variant_err_prob", magnitude=1.0, start_s=60.0)
    budgets = [(0.2, 50.0), (0.2, 500.0), (0.0, 50.0), (np.inf, 0.0)]
    cases = [
        Case(
            deployment=changed(plain, **each, client__retry_share=share, client__retry_burst=burst),
            faults=[fault],
        )
        for share, burst in budgets
    ]
    attempts = play(cases, 12).truth.attempts
    np.testing.assert_allclose(attempts[:, :63], 100.0, rtol=1e-5)
    usual, large, once, free = attempts[:, 63:]
    assert usual[0] == pytest.approx(100.0 + 50.0, rel=1e-5)  # full: this second's gain is lost
    np.testing.assert_allclose(usual[1:], 120.0, rtol=1e-5)
    assert large[:5] == pytest.approx(200.0, rel=1e-5)
    assert large[5:].min() == pytest.approx(120.0, rel=1e-5)
    assert large.sum() - 100.0 * len(large) == pytest.approx(500.0 + 20.0 * (len(large) - 1))
    assert once.sum() - 100.0 * len(once) == pytest.approx(50.0, rel=1e-3)
    np.testing.assert_allclose(free, 200.0, rtol=1e-5)
