"""Is what the forecasts say worth more than what anybody could say without them?

Limits are the 99.5 % quantile of a series' first half, and its second half is judged.
"""

import numpy as np
import pytest
from forecast_families import DAY, families
from forecast_play import Rivals, covered, passed, play_with_season, rivals, skills
from forecast_recordings import FILES, SHARED, groups


def test_the_rivals_say_what_they_are_said_to_say() -> None:
    """Limit 1, two ticks ahead, a season of four."""
    values = np.array([0, 2, 0, 0, 0, 2, 0, 0, 0, 0], dtype=float)[:, None]
    others = rivals(values, np.array([1.0]), 2, 4)
    np.testing.assert_array_equal(
        passed(values, np.array([1.0]), 2)[:, 0], [1, 0, 0, 1, 1, 0, 0, 0]
    )
    np.testing.assert_array_equal(others.still[:, 0], [0, 1, 0, 0, 0, 1, 0, 0])
    np.testing.assert_array_equal(others.yesterday[:, 0], [0, 1, 0, 0, 1, 0, 0, 1])
    # Before its first outcome a rate is a half; within the limit one of one breached by then.
    assert others.still_rate[0, 0] == others.still_rate[1, 0] == 0.5
    assert others.still_rate[2, 0] == pytest.approx(1.5 / 2.0)


def test_skill_is_nought_against_oneself_and_one_when_always_right() -> None:
    came = np.array([[0.0], [1.0], [1.0], [np.nan]])
    same = Rivals(*(np.array([[0.0], [0.0], [1.0], [0.0]]) for _ in Rivals._fields))
    assert set(skills(same.still, came, same, judged=True).values()) == {0.0}
    assert set(skills(np.nan_to_num(came), came, same, judged=True).values()) == {1.0}


@pytest.mark.long
def test_a_breach_is_foretold_better_than_by_persistence_and_by_the_last_season() -> None:
    horizons, ticks, series = (3, 10, 40), 1600, 10
    names, kinds = zip(*families(ticks, series, seed=21), strict=True)
    values = np.concatenate(kinds, axis=1)
    limit = np.quantile(values[: ticks // 2], 0.995, axis=0)
    played = play_with_season(values, limit, horizons, (DAY,))
    judged = (np.arange(ticks) >= ticks // 2)[:, None]
    worth: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    for head, horizon in enumerate(horizons):
        came = passed(values, limit, horizon)
        others = rivals(values, limit, horizon, DAY)
        for number, name in enumerate(names):
            rows = slice(number * series, (number + 1) * series)
            mine = Rivals(*(one[:, rows] for one in others))
            said = played.chance[: len(came), head, rows]
            worth[name].append(skills(said, came[:, rows], mine, judged[: len(came)]))
    for name, found in worth.items():
        for skill in found:
            # Bursts come from nowhere and fade: there persistence is nearly all that can be said.
            assert skill["still"] > (-0.15 if name == "bursts" else 0.0), (name, skill)
            assert skill["yesterday"] > (-0.15 if name == "bursts" else 0.0), (name, skill)
    every = [skill[rival] for found in worth.values() for skill in found for rival in skill]
    assert np.mean(every) > 0.1


# Eleven days of minutes: in the first four, breaches come in the half that sets the limit only, and
# "never" is hard to beat. Two weeks of NAB's five minutes.
ROWS = {"msft_cloud60": 16_000, "nab": 4_100}


@pytest.mark.long
@pytest.mark.parametrize("which", FILES)
def test_recordings_of_real_services_too(which: str) -> None:
    if not list(SHARED.glob(FILES[which])):
        pytest.skip(f"{which} is not beside the checkout")
    told = 0
    for day, horizons, values, half, limit in groups(which, ROWS[which]):
        if values.shape[1] < 5:  # a few series say little about a method
            continue
        played = play_with_season(values, limit, horizons, (day,))
        judged = np.arange(len(values))[:, None] >= half
        inside = covered(
            played._replace(quantiles=np.where(judged[:, None, None], played.quantiles, np.nan)),
            values, horizons, skip=0,
        )  # fmt: skip
        assert all(0.85 <= share <= 0.95 for share in inside), inside
        for head, horizon in enumerate(horizons):
            came = passed(values, limit, horizon)
            others = rivals(values, limit, horizon, day)
            skill = skills(played.chance[: len(came), head], came, others, judged[: len(came)])
            assert skill["still"] > 0.0, (horizon, skill)
            assert skill["yesterday"] > 0.0, (horizon, skill)
        told += 1
    assert told
