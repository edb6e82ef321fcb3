"""Online FDR: equal to the published formulas test by test, and kept in simulation."""

from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeostat.stats.arrays import from_bytes, to_bytes
from homeostat.stats.fdr import (
    SPENT,
    WEIGHTS,
    Balance,
    Config,
    ELond,
    OnlineFdr,
    Shrinking,
    gamma,
)

LORD = Config()
SAFFRON = Config(candidate=0.5)
DECAYING = Config(memory_ticks=50.0, floor=4.0)


def levels_of(rule: Any, scores: Any) -> list[float]:
    """Return the level of each of a sequence of tests, one a tick."""
    state, out = rule.init(np), []
    for score in scores:
        state, decided = rule.step(np, state, np.array([score]))
        out.append(10.0 ** -float(decided.neg_log10_level))
    return out


def lord_by_the_formula(p: list[float]) -> list[float]:
    """Return the levels of LORD++ with every discovery's time kept (Ramdas et al. 2017)."""
    found: list[int] = []
    g, out = gamma(len(p) + 1), []
    alpha, first = LORD.rate, LORD.rate * LORD.start
    for t, value in enumerate(p, start=1):
        level = first * g[t - 1]
        for number, tau in enumerate(found):
            level += (alpha - first if number == 0 else alpha) * g[t - tau - 1]
        out.append(level)
        if value <= level:
            found.append(t)
    return out


def saffron_by_the_formula(p: list[float]) -> list[float]:
    """Return the levels of SAFFRON with every discovery and candidate kept (Ramdas et al. 2018)."""
    found: list[int] = []
    g, out = gamma(len(p) + 1), []
    lam = SAFFRON.candidate
    alpha, first = (1 - lam) * SAFFRON.rate, (1 - lam) * SAFFRON.rate * SAFFRON.start
    for t, value in enumerate(p, start=1):
        waited = [sum(q > lam for q in p[tau : t - 1]) for tau in [0, *found]]
        level = first * g[waited[0]]
        for number, wait in enumerate(waited[1:]):
            level += (alpha - first if number == 0 else alpha) * g[wait]
        out.append(min(level, lam))
        if value <= out[-1]:
            found.append(t)
    return out


def decaying_by_the_formula(p: list[float]) -> list[float]:
    """Return the levels of the decaying rule with every discovery kept (Rebjock et al. 2021)."""
    found: list[int] = []
    g, out = gamma(len(p) + 1), []
    delta, eta = float(np.exp(-1 / 50.0)), DECAYING.floor
    for t, value in enumerate(p, start=1):
        level = DECAYING.rate * eta * (1.0 - delta)
        level += DECAYING.rate * sum(delta ** (t - tau) * g[t - tau - 1] for tau in found)
        out.append(level)
        if value <= level:
            found.append(t)
    return out


P_VALUES = st.lists(
    st.one_of(st.floats(0.0, 1.0, exclude_min=True), st.sampled_from([1e-9, 1e-4])), max_size=30
)


@pytest.mark.parametrize(
    ("config", "formula"),
    [
        (LORD, lord_by_the_formula),
        (SAFFRON, saffron_by_the_formula),
        (DECAYING, decaying_by_the_formula),
    ],
    ids=["lord", "saffron", "decaying"],
)
@settings(max_examples=40)
@given(p=P_VALUES)
def test_a_few_balances_give_the_levels_of_the_formula(
    config: Config, formula: Any, p: list[float]
) -> None:
    levels = levels_of(OnlineFdr(config), -np.log10(np.array(p)))
    assert levels == pytest.approx(formula(p), rel=1e-9)


def test_the_spending_sequence_falls_and_spends_no_more_than_there_is() -> None:
    g = gamma(20_000)
    assert (np.diff(g) < 0.0).all()
    assert g.sum() < 1.0 == pytest.approx(WEIGHTS.sum())
    assert SPENT[0] == 1.0
    # Within a factor of two of the recommended one where it matters, so as strong as that.
    j = np.arange(1.0, 20_001.0)
    recommended = 0.0772 * np.log(np.maximum(j, 2.0)) / (j * np.exp(np.sqrt(np.log(j))))
    ratio = (g / recommended)[[10, 100, 1000, 19_999]]
    assert ((ratio > 0.5) & (ratio < 4.0)).all(), ratio


@pytest.mark.parametrize("config", [LORD, SAFFRON, DECAYING])
@settings(max_examples=30)
@given(seed=st.integers(0, 2**32 - 1))
def test_what_is_spent_never_exceeds_what_discoveries_allow(config: Config, seed: int) -> None:
    """The estimate of the false share that the proofs bound, at every tick and any batch size."""
    rng = np.random.default_rng(seed)
    rule, forget = OnlineFdr(config), OnlineFdr(config).forget
    state, spent, found = rule.init(np), 0.0, 0.0
    for _ in range(30):
        scores = np.where(rng.random(n := rng.integers(0, 9)) < 0.1, 12.0, -np.log10(rng.random(n)))
        state, decided = rule.step(np, state, scores)
        paying = scores < -np.log10(config.candidate) if config.candidate else scores >= 0.0
        cost = 10.0 ** -float(decided.neg_log10_level) * paying.sum() / (1.0 - config.candidate)
        spent, found = forget * spent + cost, forget * found + decided.rejected.sum()
        allowed = max(found, 1.0) if config.memory_ticks is None else found + config.floor
        assert spent <= config.rate * allowed * (1.0 + 1e-9)


@pytest.mark.parametrize("config", [LORD, SAFFRON, DECAYING])
def test_a_tick_without_values_is_no_test_and_costs_no_wealth(config: Config) -> None:
    rule = OnlineFdr(config)
    state = rule.init(np)
    after, decided = rule.step(np, state, np.array([np.nan, np.nan]))
    assert not decided.rejected.any()
    assert np.array_equal(after.left, state.left * rule.forget)
    _, alone = rule.step(np, state, np.array([0.1]))
    _, beside = rule.step(np, state, np.array([0.1, np.nan, np.inf]))
    assert alone.neg_log10_level == beside.neg_log10_level


def test_fleets_do_not_see_each_other() -> None:
    rng = np.random.default_rng(4)
    rule = OnlineFdr(SAFFRON)
    both, one = rule.init(np, (2,)), rule.init(np)
    for _ in range(30):
        scores = -np.log10(rng.random((2, 5)) ** 4)
        both, decided = rule.step(np, both, scores)
        one, alone = rule.step(np, one, scores[1])
        assert np.array_equal(decided.rejected[1], alone.rejected)
        assert decided.neg_log10_level[1] == pytest.approx(alone.neg_log10_level)


@pytest.mark.parametrize("rule", [OnlineFdr(SAFFRON), OnlineFdr(DECAYING), ELond()])
def test_a_stored_state_goes_on_bit_for_bit(rule: Any) -> None:
    rng = np.random.default_rng(5)
    ticks = -np.log10(rng.random((40, 6)) ** 3)
    state = rule.init(np)
    for scores in ticks[:20]:
        state, _ = rule.step(np, state, scores)
    stored = from_bytes(to_bytes(state), [Balance, Shrinking])
    for scores in ticks[20:]:
        state, ours = rule.step(np, state, scores)
        stored, theirs = rule.step(np, stored, scores)
        assert np.array_equal(ours.neg_log10_level, theirs.neg_log10_level)
        assert np.array_equal(ours.rejected, theirs.rejected)


def simulated(
    rule: Any, share: float, *, ticks: int, series: int, repeats: int, seed: int, to_e: bool = False
) -> tuple[Any, Any]:
    """Return the false share of each repeat, and the share of anomalies that were found.

    Anomalies have p-values of 8 sigma; all repeats run side by side as fleets.
    """
    rng = np.random.default_rng(seed)
    state = rule.init(np, (repeats,))
    false, found, there = np.zeros(repeats), np.zeros(repeats), 0
    for _ in range(ticks):
        ill = rng.random((repeats, series)) < share
        score = np.where(
            ill, 15.2 + rng.standard_normal(ill.shape), -np.log10(rng.random(ill.shape))
        )
        # The calibrator k p^(k - 1) with k = 1/10.
        given_to = -1.0 + 0.9 * score if to_e else score
        state, decided = rule.step(np, state, given_to)
        false += (decided.rejected & ~ill).sum(axis=1)
        found += (decided.rejected & ill).sum(axis=1)
        there += ill.sum()
    return false / np.maximum(false + found, 1.0), found.sum() / max(there, 1)


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.0, 1e-4, 1e-3, 1e-2])
@pytest.mark.parametrize("config", [LORD, SAFFRON], ids=["lord", "saffron"])
def test_at_most_a_twentieth_of_alarms_is_false(config: Config, share: float) -> None:
    false, power = simulated(OnlineFdr(config), share, ticks=300, series=100, repeats=100, seed=6)
    assert false.mean() <= config.rate + 3.0 * false.std() / 10.0, false.mean()
    assert power >= 0.9 or share == 0.0
    # Not by asking too much: somebody pays for the power that is kept.
    assert false.mean() > 0.001 or share == 0.0


@pytest.mark.slow
def test_with_a_memory_rare_anomalies_are_found_after_a_long_calm() -> None:
    calm, ticks, series = 3000, 100, 100
    rng = np.random.default_rng(7)
    forever = OnlineFdr(Config())
    fading = OnlineFdr(Config(memory_ticks=1000.0, floor=1.0))
    asked = {}
    for name, rule in (("forever", forever), ("fading", fading)):
        state = rule.init(np, (20,))
        for _ in range(calm + ticks):
            state, decided = rule.step(np, state, -np.log10(rng.random((20, series))))
            asked[name] = decided.neg_log10_level.mean()
    assert asked["fading"] == pytest.approx(-np.log10(0.05 / 1000.0 / series), abs=0.01)
    assert asked["forever"] > asked["fading"] + 1.0


def test_e_lond_keeps_its_promise_under_the_worst_dependence_there_is() -> None:
    """At most one test of a tick is large, and then by exactly what it takes to be rejected."""
    rng = np.random.default_rng(8)
    repeats, series = 2000, 20
    rule = ELond(rate=0.2)
    state, any_false = rule.init(np, (repeats,)), np.zeros(repeats, dtype=bool)
    for _ in range(20):
        _, decided = rule.step(np, state, np.zeros((repeats, series)))
        level = 10.0 ** -decided.neg_log10_level[:, None]
        chosen = np.floor(rng.random((repeats, 1)) / level) == np.arange(series)
        log10_e = np.where(chosen, decided.neg_log10_level[:, None] + 1e-9, -np.inf)
        state, decided = rule.step(np, state, log10_e)
        any_false |= decided.rejected.any(axis=1)
    share = any_false.mean()  # every discovery is false, so this is the false discovery rate
    spent = 0.2 * gamma(20).sum()
    assert share <= 0.2 + 3.0 * np.sqrt(0.16 / repeats)
    # What was spent is what was lost: the bound is not idle.
    assert share == pytest.approx(spent, abs=4.0 * np.sqrt(spent / repeats))


@pytest.mark.slow
def test_e_lond_finds_what_is_far_out() -> None:
    false, power = simulated(ELond(), 1e-2, ticks=100, series=50, repeats=50, seed=9, to_e=True)
    assert false.mean() <= 0.05
    assert power > 0.9


@pytest.mark.slow
@pytest.mark.parametrize("config", [LORD, SAFFRON, DECAYING])
def test_jax_decides_the_same(config: Config) -> None:
    jnp: ModuleType = pytest.importorskip("jax.numpy")
    rng, rule = np.random.default_rng(10), OnlineFdr(config)
    ours, theirs = rule.init(np), rule.init(jnp)
    for _ in range(5):
        scores = -np.log10(rng.random(8) ** 5)
        ours, a = rule.step(np, ours, scores)
        theirs, b = rule.step(jnp, theirs, jnp.asarray(scores))
        assert np.array_equal(a.rejected, np.asarray(b.rejected))
        assert float(a.neg_log10_level) == pytest.approx(float(b.neg_log10_level), abs=1e-4)


@pytest.mark.parametrize(
    "wrong",
    [{"rate": 0.0}, {"start": 0.0}, {"candidate": 1.0}, {"memory_ticks": 0.5}, {"floor": 0.0}],
)
def test_a_setting_that_promises_nothing_is_refused_by_name(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=f"fdr: {next(iter(wrong))} must"):
        Config(**wrong)


def test_e_lond_refuses_a_rate_of_one() -> None:
    with pytest.raises(ValueError, match="rate"):
        ELond(1.0)


def test_what_a_test_is_allowed_besides_is_added_to_its_level_and_costs_nothing() -> None:
    rule = OnlineFdr(Config())
    scores = np.array([1.0, 5.9, np.nan])
    plain, without = rule.step(np, rule.init(np), scores)
    allowed, beside = rule.step(np, rule.init(np), scores, np.array([0.0, 1e-3, 1e-3]))
    level = 10.0**-without.neg_log10_level
    np.testing.assert_allclose(10.0**-beside.neg_log10_level, [level, level + 1e-3, level + 1e-3])
    np.testing.assert_array_equal(plain.left, allowed.left)
    _, whole = rule.step(np, rule.init(np), scores, np.full(3, 2.0))
    assert whole.rejected.tolist() == [True, True, False]  # no level is above one


def test_a_healthy_fleet_tells_as_often_as_it_is_allowed_besides_and_hardly_more() -> None:
    rule, rng = OnlineFdr(Config(rate=0.05)), np.random.default_rng(3)
    state, told, ticks, series, each = rule.init(np), 0, 2000, 100, 1e-4
    for _ in range(ticks):
        scores = -np.log10(rng.random(series))
        state, decided = rule.step(np, state, scores, np.full(series, each))
        told += int(decided.rejected.sum())
    expected = each * ticks * series
    assert expected - 4.0 * expected**0.5 < told < (expected + 4.0 * expected**0.5) * 1.1
