"""The numbers do not move: a change of any is a decision, and shows here."""

from dataclasses import fields, replace

import pytest

from homeostat.lab.thresholds import FROZEN, Thresholds, scalable

# Frozen before any policy was measured. Change it only together with a decision record that says
# which number changed, why, and that every published figure was worked out anew.
DIGEST = "002235d44848ec879877fcee67fb4266d1c32d8d7a7a3487c7da95447e2cc108"


def test_the_frozen_numbers_are_those_that_were_written_down() -> None:
    assert FROZEN.digest() == DIGEST


def test_the_digest_sees_every_number() -> None:
    for one in fields(Thresholds):
        changed = replace(FROZEN, **{one.name: getattr(FROZEN, one.name) * 1.001})
        assert changed.digest() != DIGEST, one.name


def test_every_number_has_a_source() -> None:
    for one in fields(Thresholds):
        assert one.metadata["source"], one.name
        assert isinstance(getattr(FROZEN, one.name), float), one.name


def test_the_numbers_are_those_of_the_definition() -> None:
    """Once more in plain sight, so that a digest cannot be renewed without reading them."""
    assert (FROZEN.k1_short_good, FROZEN.k1_short_s) == (0.50, 60)
    assert (FROZEN.k1_long_good, FROZEN.k1_long_s) == (0.90, 600)
    assert (FROZEN.k1_after_s, FROZEN.k1_below_hold) == (900, 0.10)
    assert FROZEN.k2_for_s == 30
    assert (FROZEN.k3_budgets, FROZEN.k3_hour_s) == (2, 3600)
    assert (FROZEN.k4_traffic, FROZEN.k4_for_s, FROZEN.k4_errors) == (0.20, 30, 0.05)
    assert (FROZEN.k4_p99_slos, FROZEN.k4_better) == (2, 2)
    assert FROZEN.k5_lost == 0.01
    assert (FROZEN.k6_reversals, FROZEN.k6_window_s, FROZEN.k6_violated) == (6, 900, 0.20)
    assert (FROZEN.k7_drop, FROZEN.k7_slice_drop) == (0.10, 0.25)
    assert (FROZEN.k7_for_s, FROZEN.k7_hold_s) == (1800, 3600)
    assert FROZEN.k8_scrapes == 3
    risk = [getattr(FROZEN, f"risk_k{number}") for number in range(1, 8)]
    assert risk == [1, 0.5, 0.5, 1, 3, 0.5, 2]


def test_scaling_multiplies_every_threshold_of_the_codes_and_nothing_else() -> None:
    half, twice = FROZEN.scaled(0.5), FROZEN.scaled(2.0)
    for one in fields(Thresholds):
        value = getattr(FROZEN, one.name)
        if one.name not in scalable():
            assert getattr(half, one.name) == getattr(twice, one.name) == value, one.name
            continue
        assert getattr(half, one.name) == 0.5 * value, one.name
        top = 1.0 if one.metadata["share"] else float("inf")
        assert getattr(twice, one.name) == min(2.0 * value, top), one.name


def test_scaling_one_leaves_the_others() -> None:
    only = FROZEN.scaled(2.0, ["k2_for_s"])
    assert replace(only, k2_for_s=30.0) == FROZEN
    assert only.k2_for_s == 60.0


def test_scaling_refuses_what_is_no_threshold_of_a_code() -> None:
    with pytest.raises(ValueError, match="gate_mttr_ratio"):
        FROZEN.scaled(2.0, ["gate_mttr_ratio"])
    with pytest.raises(ValueError, match="positive factor"):
        FROZEN.scaled(0.0)
