"""Training lowers the loss on unseen data, the same way every time, and stops by itself."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from vae_by_hand import SMALL, STRAIGHT, TICKS, curve, straight, trained

from homeostat.detect import vae_inputs
from homeostat.detect.vae_model import Fitted, fit, judge, split
from homeostat.detect.vae_network import mapped
from homeostat.detect.vae_train import TrainingError, train

EVERY = np.ones(TICKS, dtype=bool)


def same(one: Any, other: Any) -> bool:
    """Are two trees equal bit for bit?"""
    if isinstance(one, tuple):
        return all(same(left, right) for left, right in zip(one, other, strict=True))
    return bool(np.array_equal(one, other))


def error_of(fitted: Fitted, config: Any, values: Any) -> float:
    """Return the mean reconstruction error of windows, in ranges, before any calibration."""
    model = fitted.model
    wide = vae_inputs.scaled(np, config, model.inputs, values).values
    judged = judge(np, model, vae_inputs.windows(wide, config.window))
    return float(np.sqrt(np.square(judged.errors * model.normal.spread).mean()))


@pytest.mark.slow
def test_training_raises_the_held_out_bound_above_that_of_principal_components() -> None:
    fitted = trained()
    assert fitted.elbo[0] == straight().elbo[0]
    assert fitted.elbo[fitted.best] == max(fitted.elbo)
    assert fitted.elbo[fitted.best] > fitted.elbo[0] + 2.0
    # Round by round, too: three of four rounds up to the best one go up.
    steps = np.diff(fitted.elbo[: fitted.best + 1])
    assert (steps > 0.0).mean() > 0.75


@pytest.mark.slow
def test_a_trained_model_makes_unseen_data_again_better_than_principal_components() -> None:
    unseen = curve(2, 1000)
    assert error_of(trained(), SMALL, unseen) < 0.7 * error_of(straight(), STRAIGHT, unseen)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bits_and_another_one_others() -> None:
    short = replace(SMALL, rounds=2)
    once, again = (fit(short, curve(1), EVERY) for _ in range(2))
    assert same(once, again)
    other = fit(replace(short, seed=1), curve(1), EVERY)
    assert not same(once.model.weights, other.model.weights)


@pytest.mark.slow
def test_what_is_not_believed_teaches_nothing() -> None:
    """Bit for bit: the masked values could be anything."""
    short = replace(SMALL, rounds=2)
    believed = EVERY.copy()
    believed[500:800] = False
    wild, gone = curve(1), curve(1)
    wild[500:800] *= -40.0
    gone[500:800] = np.nan
    clean = fit(short, curve(1), believed)
    assert same(clean, fit(short, wild, believed))
    assert same(clean, fit(short, gone, believed))
    assert not same(clean, fit(short, wild, EVERY))


@pytest.mark.slow
def test_the_loss_as_written_unlearns_the_data() -> None:
    """HASH adds the log-likelihood to what is minimised: a better fit is a larger loss."""
    written = fit(replace(SMALL, rounds=4, as_written=True), curve(1), EVERY)
    assert written.elbo[-1] < written.elbo[0] - 100.0
    assert np.all(np.diff(written.elbo) < 0.0)
    unseen = curve(2, 1000)
    assert error_of(written, SMALL, unseen) > 3.0 * error_of(straight(), STRAIGHT, unseen)


@pytest.mark.slow
def test_a_model_of_columns_that_never_move_has_no_active_latent_dimension() -> None:
    """Posterior collapse: q(z|x) is the same for all x, whatever else training did."""
    still = fit(replace(SMALL, rounds=2), np.full((TICKS, 6), 7.0), EVERY)
    assert still.active == 0
    assert trained().active >= 2


@pytest.mark.slow
def test_progress_is_told_after_every_round_and_training_stops_by_itself() -> None:
    told: list[tuple[int, int, float]] = []
    config = replace(SMALL, rounds=200, patience=3)
    fitted = fit(config, curve(1), EVERY, lambda *news: told.append(news))
    assert [number for number, _, _ in told] == list(range(1, len(told) + 1))
    assert {most for _, most, _ in told} == {200}
    assert tuple(value for _, _, value in told) == fitted.elbo[1:]
    assert len(told) == fitted.best + 3 < 200


def test_what_is_not_finite_is_refused_and_not_trained_on() -> None:
    parts = np.full((10, 8), np.inf)
    with pytest.raises(TrainingError, match=r"ELBO is -?(inf|nan)"), np.errstate(all="ignore"):
        train(STRAIGHT, np.ones((10, 8)), parts, np.ones((1, 8)))


def test_no_tick_is_both_taught_and_held_out() -> None:
    usable = np.random.default_rng(1).random(TICKS) < 0.98
    taught, held_out = split(STRAIGHT, usable)
    ticks = [{int(one) + late for one in part for late in range(2)} for part in (taught, held_out)]
    assert not ticks[0] & ticks[1]
    assert all(usable[tick] for part in ticks for tick in part)
    assert len(held_out) / len(taught) == pytest.approx(0.25, abs=0.02)
    # All hours are in both: every tenth of the time gives to both.
    for part in (taught, held_out):
        assert len({int(one) * 10 // TICKS for one in part}) == 10


@pytest.mark.parametrize("believed", [0.0, 0.02, 0.3])
def test_too_little_is_an_error_that_says_how_much_there_is(believed: float) -> None:
    mask = np.random.default_rng(2).random(400) < believed
    with pytest.raises(ValueError, match=r"\d+ windows to learn from and \d+ to hold out"):
        fit(STRAIGHT, curve(1, 400), mask)


@pytest.mark.parametrize(
    ("values", "believed"),
    [
        (np.zeros(9), np.ones(9)),
        (np.zeros((9, 2)), np.ones(8)),
        (np.zeros((9, 2)), np.ones((9, 2))),
    ],
)
def test_shapes_that_do_not_fit_are_named(values: Any, believed: Any) -> None:
    with pytest.raises(ValueError, match=r"must be \[time, column\] and believed \[time\]"):
        fit(STRAIGHT, values, believed)


@pytest.mark.parametrize("columns", [0, 2049])
def test_windows_too_wide_or_empty_are_refused_before_any_work(columns: int) -> None:
    with pytest.raises(ValueError, match=f"2 ticks x {columns} columns is a window of"):
        fit(STRAIGHT, np.zeros((200, columns)), np.ones(200, dtype=bool))


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("window", 0),
        ("rounds", -1),
        ("latent", 9),
        ("hidden", (0, 4)),
        ("explained", 0.0),
        ("held_out", 0.6),
        ("learning_rate", float("nan")),
        ("range_quantile", 0.25),
        ("margin", 11.0),
        ("run_length", 10.0),
    ],
)
def test_settings_that_cannot_be_are_named(setting: str, value: Any) -> None:
    with pytest.raises(ValueError, match=setting):
        replace(STRAIGHT, **{setting: value})


def test_wild_values_and_constant_columns_give_finite_models() -> None:
    values = curve(1)
    values[:, 0] = 5.0
    values[::50, 1] *= 1e300
    values[::70, 2] = np.inf
    fitted = fit(STRAIGHT, values, EVERY)
    normal = fitted.model.normal
    mapped(lambda array: np.testing.assert_array_equal(np.isfinite(array), True), fitted.model)
    assert np.all(np.diff(normal.errors) >= 0.0)
    assert np.all(np.diff(normal.divergences) >= 0.0)
