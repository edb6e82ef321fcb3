"""A level that changes for good is told of once, and becomes usual unless all was not well.

Real charts, rules and scores through `sense.step`, incidents and notices through `loop.step`.
"""

import copy
from collections.abc import Callable

import pytest
from sense_play import ANSWER, CPU, Deployment

from homeostat.base import names
from homeostat.base.evidence import Evidence, Reading

WARM = 400
SETTLED = 420
"""A change point waits for 240 ticks of a new level, and whoever was off must be quiet for 30."""
CPUS = tuple((f"replica:a-{slot}", CPU) for slot in range(3))


@pytest.fixture(scope="module")
def warm() -> Deployment:
    play = Deployment()
    play.play(WARM)
    return play


@pytest.fixture
def play(warm: Deployment) -> Deployment:
    return copy.deepcopy(warm)


def onsets(every: list[Evidence]) -> list[int]:
    """Return when each onset began, in ticks."""
    since = [one.score.since for one in every if one.score is not None]
    return sorted({at // Deployment.SCRAPE_NS for at in since if at is not None})


def renewed(every: list[Evidence]) -> list[tuple[str, str]]:
    return [name for one in every if one.score is not None for name in one.score.renewed]


def cpu(evidence: Evidence) -> Reading:
    return next(one for one in evidence.readings if (one.subject, one.signal) == CPUS[0])


def is_inside(reading: Reading) -> bool:
    assert reading.low is not None
    assert reading.high is not None
    assert reading.value is not None
    return reading.low <= reading.value <= reading.high


@pytest.mark.slow
def test_a_change_is_one_incident_that_ends_and_a_second_fault_is_another_and_told(
    play: Deployment,
) -> None:
    play.move(CPU, 0.3)
    first = play.play(SETTLED)
    assert len(onsets(first)) == 1
    assert first[-1].score is not None
    assert first[-1].score.since is None
    assert sorted(renewed(first)) == list(CPUS)
    # The chart knows the new level, and said something of it on every tick.
    assert cpu(first[0]).verdict == "anomalous"
    assert not is_inside(cpu(first[SETTLED // 2]))
    assert sum(is_inside(cpu(one)) for one in first[-100:]) >= 98
    assert all(cpu(one).low is not None for one in first)
    assert play.state.panel.levels.quiet.min() > 0
    play.move(names.QUEUE_LENGTH, 20.0)
    second = play.play(30)
    assert len(onsets(second)) == 1
    told = [notice.title for notice in play.told]
    assert len([title for title in told if "suspected" in title]) == 2


@pytest.mark.slow
def test_what_became_usual_is_told_of_again_where_it_leaves_its_new_level(play: Deployment) -> None:
    play.move(CPU, 0.3)
    play.play(SETTLED)
    play.move(CPU, 3.0)
    play.play(30)
    assert len([one for one in play.told if "suspected" in one.title]) == 2


def missed(play: Deployment) -> None:
    play.off["gateway", ANSWER] = 200.0


def unknown(play: Deployment) -> None:
    play.silent.add(("gateway", ANSWER))


def busy(play: Deployment) -> None:
    play.busy = True


def well(play: Deployment) -> None:
    play.off = {name: by for name, by in play.off.items() if name[1] == CPU}
    play.silent, play.busy = set(), False


@pytest.mark.slow
@pytest.mark.parametrize(("wrong", "at"), [(missed, 120), (unknown, 120), (busy, 0)])
def test_a_level_that_was_there_while_all_was_not_well_never_becomes_usual(
    play: Deployment, wrong: Callable[[Deployment], None], at: int
) -> None:
    play.move(CPU, 0.3)
    every = play.play(at)
    wrong(play)
    bad = play.play(20)
    assert all(one.slo_met is not True or play.busy for one in bad[10:])
    well(play)
    every += bad + play.play(SETTLED - len(every) - 20)
    assert not renewed(every)
    assert not any(is_inside(cpu(one)) for one in every[200:])
    assert play.state.panel.levels.quiet[play.slots(CPU)].max() == 0


@pytest.mark.slow
def test_while_objectives_are_missed_a_level_stays_abnormal(play: Deployment) -> None:
    play.move(CPU, 0.3)
    missed(play)
    every = play.play(SETTLED)
    assert not renewed(every)
    assert all(cpu(one).verdict == "anomalous" for one in every[5:])
    assert every[-1].suspicions


@pytest.mark.slow
def test_a_ramp_is_no_new_level_while_it_rises(play: Deployment) -> None:
    every = []
    for tick in range(600):
        play.move(CPU, 0.001 * tick)  # a deviation in twenty ticks
        every.append(play.one())
    assert onsets(every)
    assert not renewed(every)
    assert play.state.panel.levels.quiet[play.slots(CPU)].max() == 0


@pytest.mark.slow
def test_a_leak_in_steps_is_usual_once_and_alarms_from_then_on(play: Deployment) -> None:
    play.move(CPU, 0.3)
    assert sorted(renewed(play.play(SETTLED))) == list(CPUS)
    play.move(CPU, 1.2)
    assert not renewed(play.play(SETTLED))
    assert play.state.panel.levels.quiet[play.slots(CPU)].max() == 0


@pytest.mark.slow
def test_a_series_that_hangs_at_another_level_does_not_become_usual(play: Deployment) -> None:
    play.move(CPU, 0.3)
    play.hangs = {CPUS[0]}
    assert set(renewed(play.play(SETTLED))) == set(CPUS[1:])


@pytest.mark.slow
def test_a_rising_neighbour_is_not_taken_along(play: Deployment) -> None:
    every = []
    for tick in range(SETTLED):
        play.off |= {CPUS[0]: 0.3, CPUS[1]: 0.3, CPUS[2]: 0.002 * tick}
        every.append(play.one())
    assert set(renewed(every)) == set(CPUS[:2])


@pytest.mark.slow
def test_a_checkpoint_amid_a_change_goes_on_bit_for_bit(play: Deployment) -> None:
    play.move(CPU, 0.3)
    play.play(200)
    again = play.restored()
    assert play.play(SETTLED - 200) == again.play(SETTLED - 200)
    assert play.kept() == again.kept()
    assert play.state.panel.levels.low[play.slots(CPU)].min() > 0.0  # it did begin anew


@pytest.mark.slow
def test_a_person_ends_what_nothing_else_would_end(play: Deployment) -> None:
    play.move(CPU, 0.3)
    missed(play)
    play.play(60)
    well(play)
    play.play(20)
    assert not is_inside(cpu(play.one()))
    play.call_normal()
    out = play.play(60)
    assert set(renewed(out)) >= set(CPUS)
    assert sum(is_inside(cpu(one)) for one in out) >= 58
    assert out[-1].score is not None
    assert out[-1].score.since is None
    assert not out[-1].suspicions


def test_who_is_not_named_is_left_alone(play: Deployment) -> None:
    play.move(CPU, 0.3)
    play.play(30)
    other = play.restored()
    other.call_normal("somebody-else")
    assert play.play(3) == other.play(3)
