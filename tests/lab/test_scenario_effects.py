"""Every scenario under HOLD: well until its fault begins, and then what its text says.

The long tests play all 43 with several seeds and can print what they find (`-m long -rP`); the slow
ones a few, to be asked often.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hold_plays import SLOTS, Once, Play, Recorder, Retrains, plays
from tell_tales import BREACH, HELD, TELLS, USUAL_BREACH

from homeostat.lab.draw import draw
from homeostat.lab.judge import judge
from homeostat.lab.run import world_of
from homeostat.lab.types import Episode
from homeostat.testing.catalogue import catalogue, scenario
from homeostat.twin.shapes import SCRAPE_S

SEEDS = range(8)
WIDTH = 40
QUICK = ("S05", "S17", "S19", "S36", "S43")
QUICK_WIDTH = 4  # that of the lab's other tests: one program for all of them
EVERY = tuple(each.id for each in catalogue())

Found = Mapping[str, Sequence[Play]]


def grouped(ids: Sequence[str], seeds: Sequence[int], width: int) -> Found:
    found: dict[str, list[Play]] = {name: [] for name in ids}
    for play in plays([(scenario(name), seed) for name in ids for seed in seeds], width):
        found[play.episode.scenario].append(play)
    return found


@pytest.fixture(scope="module")
def few() -> Found:
    return grouped(QUICK, range(2), QUICK_WIDTH)


@pytest.fixture(scope="module")
def every() -> Found:
    return grouped(EVERY, SEEDS, WIDTH)


def broken_early(found: Found) -> list[str]:
    """Which deployments break a promise, or count as faulty, before anything happens."""
    return [
        play.name
        for each in found.values()
        for play in each
        if play.violated[: play.onset].any() or play.true["faulty"][: play.onset].any()
    ]


def breaches(each: Sequence[Play]) -> float:
    return float(np.mean([play.violated[play.onset :].any() for play in each]))


def unsaid(found: Found) -> list[str]:
    """What the texts say and the twin does not do."""
    wrong = []
    for name, each in found.items():
        for sentence, (tell, least) in TELLS[name].items():
            share = float(np.mean([tell(play) for play in each]))
            if share < least:
                wrong.append(f"{name}: {sentence} in {share:.2f} of the draws, not {least:g}")
        least, most = BREACH.get(name, USUAL_BREACH)
        if not least <= breaches(each) <= most:
            wrong.append(
                f"{name}: breaks a promise in {breaches(each):.2f}, not {least:g}-{most:g}"
            )
    return wrong


def test_every_scenario_has_its_sentences() -> None:
    assert tuple(TELLS) == EVERY
    assert set(BREACH) | set(HELD) <= set(EVERY)
    assert all(TELLS[name] for name in EVERY)


@pytest.mark.slow
@pytest.mark.timeout(1200)  # it compiles, which a busy machine makes minutes
def test_a_few_scenarios_are_well_before_their_fault(few: Found) -> None:
    assert broken_early(few) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", QUICK)
def test_a_few_scenarios_do_what_their_texts_say(few: Found, name: str) -> None:
    assert unsaid({name: few[name]}) == []


@pytest.mark.slow
def test_what_is_benign_breaks_no_promise(few: Found) -> None:
    for play in few["S43"]:
        assert play.episode.benign
        assert not play.violated.any(), play.name
        assert play.codes == frozenset(), play.name


@pytest.mark.slow
def test_what_another_controller_takes_back_and_which_rollback_fails() -> None:
    """S38 writes its own number of replicas back; S39 cannot be rolled back, S16 can."""
    cases = (("S38", 0), ("S38", 2), ("S39", 0), ("S16", 1))
    episodes = tuple(draw(scenario(name), seed, slots=SLOTS) for name, seed in cases)
    at = np.array([int(e.onset_s / SCRAPE_S) + 4 for e in episodes])
    at[3] += 60  # when the release is out everywhere
    more = np.array([True, True, False, False])
    policy = Once(at, more, ~more)
    trace = world_of(SLOTS, QUICK_WIDTH).play(policy, episodes).trace
    for row in (0, 1):
        said = np.array([np.asarray(s.replicas)[row, 0] for s in policy.scrapes])
        assert said.max() > said[0]
        wait = int(episodes[row].drawn["revert_s"] / SCRAPE_S) + 4
        assert (said[at[row] + wait :] == said[-1]).all()
        assert said[-1] < said.max()
    errors = np.asarray(trace.truth.errors) / np.maximum(np.asarray(trace.truth.attempts), 1e-9)
    later = slice(-600, None)
    assert errors[2, later].mean() > 0.02
    assert errors[3, at[3] * SCRAPE_S] > 0.005
    assert errors[3, later].mean() < 0.001


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_no_promise_is_broken_before_the_fault_begins(every: Found) -> None:
    assert broken_early(every) == []


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", EVERY)
def test_every_scenario_does_what_its_text_says(every: Found, name: str) -> None:
    print(row(name, every[name]))
    assert len(every[name]) >= len(SEEDS) // 2  # so many draws at least fit
    assert unsaid({name: every[name]}) == []


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_no_number_of_the_truth_is_none(every: Found) -> None:
    assert [play.name for each in every.values() for play in each if not play.finite] == []


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", HELD)
def test_standing_by_can_become_a_catastrophe_of_quality(every: Found, name: str) -> None:
    assert any("K7" in play.codes for play in every[name])


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_nothing_benign_is_ever_a_catastrophe(every: Found) -> None:
    for each in (play for name in ("S22", "S43") for play in every[name]):
        assert not each.violated.any(), each.name
        assert each.codes == frozenset(), each.name


# Whose text warns of retraining on what is there now, and how many draws are tried.
TEMPTED = {"S22": 12, "S21": 4, "S24": 4, "S25": 4, "S26": 4, "S27": 4, "S28": 4, "S29": 4}


def in_the_midst(episode: Episode) -> int:
    """A scrape when there is enough to learn from: an hour in, or before it ends."""
    begin, stop = float(np.min(episode.faults.start_s)), float(episode.faults.stop_s[0])
    if episode.scenario == "S22":  # at the season's top, its labels having arrived
        return int((begin + episode.drawn["period_s"] / 2 + 1000) / SCRAPE_S)
    last = begin + 0.8 * (stop - begin) if np.isfinite(stop) else np.inf
    return int(min(begin + 3600, last) / SCRAPE_S)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_retraining_without_a_gate_is_the_catastrophe_that_the_texts_warn_of() -> None:
    """Always the irreversible one, and for each scenario one of poor answers or a bad target."""
    episodes = tuple(
        draw(scenario(name), seed, slots=SLOTS) for name, n in TEMPTED.items() for seed in range(n)
    )
    policy = Retrains(np.array([in_the_midst(episode) for episode in episodes]))
    world = world_of(SLOTS, WIDTH)
    played, hold = world.play(policy, episodes), world.play(Recorder(), episodes)
    found = judge(played.trace, hold.trace, orders=played.orders)
    codes: dict[str, set[str]] = {name: set() for name in TEMPTED}
    for number, episode in enumerate(episodes):
        assert "K5" in found.codes(number), episode.scenario
        codes[episode.scenario] |= set(found.codes(number))
    poor = {name for name, seen in codes.items() if "K7" in seen}
    assert poor >= set(TEMPTED) - {"S26"}, codes
    assert "K4" in codes["S26"]  # empty inputs are soon over; what was learnt from them is not


def row(name: str, each: Sequence[Play]) -> str:
    """A scenario's line of the table: what moved, in which share of the draws, and what of it."""
    told = ", ".join(
        f"{sentence} {np.mean([tell(play) for play in each]):.2f}"
        for sentence, (tell, _) in TELLS[name].items()
    )
    codes = sorted({code for play in each for code in play.codes})
    return f"{name} {scenario(name).name}: {told}; breach {breaches(each):.2f}; {' '.join(codes)}"
