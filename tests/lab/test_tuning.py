"""Autoscalers are tuned with equal budgets on seeds of their own, and never end below stock."""

import itertools
from dataclasses import replace
from functools import cache
from importlib import resources

import pytest

from homeostat.lab import tuning
from homeostat.lab.baselines.hpa import METRICS, HpaConfig
from homeostat.lab.baselines.keda import KedaConfig
from homeostat.lab.draw import slots_for, tick_s_for
from homeostat.lab.scenario import Scenario
from homeostat.lab.scenario_schema import load
from homeostat.twin.shapes import TICK_S


@cache
def scenarios() -> tuple[Scenario, ...]:
    text = (resources.files("homeostat.lab") / "catalogue" / "load.yaml").read_bytes()
    return tuple(one for one in load(text, "load.yaml") if one.id in {"S07", "S09", "S10"})


@pytest.mark.parametrize("kind", ["hpa", "keda"])
def test_the_stock_setting_is_tried_first_and_every_budget_is_kept(kind: str) -> None:
    tried = tuning.trials(kind, budget=30)
    assert len(tried) == len(set(tried)) == 30
    assert tried[0] in {HpaConfig(), KedaConfig()}
    assert tuning.trials(kind, budget=10) == tried[:10]  # a larger search holds the smaller one
    assert tuning.trials(kind, budget=10, seed=1)[1:] != tried[1:10]


def test_settings_are_drawn_within_what_an_operator_would_try() -> None:
    for one in tuning.trials("hpa", budget=200):
        assert isinstance(one, HpaConfig)
        assert one.metric in METRICS
        assert 0.2 <= one.target <= 0.9
        assert 1 <= one.rules.least <= 4
    targets = [one.target for one in tuning.trials("keda", budget=200)]
    assert 0.5 <= min(targets) < 1.0
    assert 30.0 < max(targets) <= 50.0


def test_an_autoscaler_that_cannot_be_tuned_is_an_error() -> None:
    with pytest.raises(ValueError, match="cannot tune 'threshold'; there are hpa, keda"):
        tuning.trials("threshold")


def test_every_episode_is_tried_once_in_pieces_of_one_size_and_length() -> None:
    configs = tuning.trials("hpa", budget=2)
    pieces = tuning.parts(scenarios(), configs, 5, 4)
    pairs = [(one.id, seed) for piece in pieces for one, seed in piece.pairs]
    seeds = range(tuning.FIRST_SEED, tuning.FIRST_SEED + 5)
    assert sorted(pairs) == sorted(itertools.product(["S07", "S09", "S10"], seeds))
    for piece in pieces:
        assert piece.configs == configs
        assert len(piece.pairs) <= 4
        assert len({(slots_for(one), one.length_s, tick_s_for(one)) for one, _ in piece.pairs}) == 1


def test_settings_are_ranked_by_the_mean_over_all_episodes() -> None:
    configs = tuning.trials("keda", budget=3)
    slow = tuple(one for one in scenarios() if tick_s_for(one) == TICK_S)
    large, small = tuning.parts((*slow, replace(slow[-1], id="again")), configs, 1, 2)
    assert (len(large.pairs), len(small.pairs)) == (2, 1)
    ranks = tuning.ranked([(large, (-8.0, -2.0, -8.0)), (small, (-1.0, -10.0, -1.0))])
    assert [one.config for one in ranks] == [configs[0], configs[2], configs[1]]
    assert [one.value for one in ranks] == [-3.0, -3.0, -4.0]
    assert {one.episodes for one in ranks} == {3}


def test_pieces_of_two_searches_are_not_ranked_together() -> None:
    first, second = (
        tuning.parts(scenarios(), tuning.trials("hpa", budget=2, seed=k), 1, 4)[0] for k in (0, 1)
    )
    with pytest.raises(ValueError, match="pieces of one search"):
        tuning.ranked([(first, (0.0, 0.0)), (second, (0.0, 0.0))])
    with pytest.raises(ValueError, match="got 0"):
        tuning.ranked([])


@pytest.mark.slow
def test_a_piece_is_played_in_the_twin_and_settings_differ() -> None:
    case = tuple(one for one in scenarios() if one.id == "S10")
    configs = (HpaConfig(), HpaConfig(target=0.2))
    (piece,) = tuning.parts(case, configs, 1, 4)
    stock, low = tuning.play_part(piece)
    assert stock != low
    assert max(stock, low) < 0.0


@pytest.mark.slow
def test_settings_that_share_batches_come_to_what_they_come_to_alone() -> None:
    case = tuple(replace(one, length_s=900) for one in scenarios() if one.id == "S10")
    configs = tuning.trials("hpa", budget=3)
    (piece,) = tuning.parts(case, configs, 3, 4)
    together = tuning.play_part(piece)  # 3 settings of 3 episodes in 3 batches of 4
    alone = [tuning.play_part(replace(piece, configs=(one,)))[0] for one in configs]
    assert list(together) == pytest.approx(alone, rel=1e-12)
    assert len(set(alone)) > 1
