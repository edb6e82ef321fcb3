"""The joint gate on the real twin: neither idleness nor alarm passes, each for its own reason."""

from functools import cache
from importlib import resources

import pytest
from batch_plays import play_all

from homeostat.lab.draw import draw
from homeostat.lab.gate import checks, passed
from homeostat.lab.metrics import arms
from homeostat.lab.metrics_score import Scores, joined
from homeostat.lab.scenario_schema import load
from homeostat.report.lab_results import Check

pytestmark = [pytest.mark.long, pytest.mark.timeout(3600)]

SEEDS, SLOTS = 4, 16
POLICIES = ("hold", "escalate", "threshold")
# What can be repaired at once (S09), what only a person can mend (S06), what labels prove while
# the service is green (S29), and nothing at all (S43).
CASES = {"load": "S09", "infrastructure": "S06", "model": "S29", "control": "S43"}


@cache
def scores() -> dict[str, Scores]:
    folder = resources.files("homeostat.lab") / "catalogue"
    parts: dict[str, list[Scores]] = {name: [] for name in POLICIES}
    for family, wanted in CASES.items():
        file = f"{family}.yaml"
        case = next(one for one in load((folder / file).read_bytes(), file) if one.id == wanted)
        episodes = [draw(case, seed, slots=SLOTS) for seed in range(SEEDS)]
        for name, found in play_all(episodes, POLICIES, SEEDS).items():
            parts[name].append(found)
    return {name: joined(found) for name, found in parts.items()}


def conditions(name: str) -> dict[str, Check]:
    """What the gate says of a policy, by the beginning of each condition."""
    return {one.name: one for one in checks(arms(name, scores()))}


def failed(name: str) -> set[str]:
    """The sides on which a policy fails."""
    found = conditions(name).values()
    return {one.name.partition(":")[0] for one in found if one.passed is False}


def test_always_hold_stands_by_while_labels_prove_it_wrong_and_repairs_nothing() -> None:
    assert not passed(checks(arms("hold", scores())))
    assert {"safety", "repair"} <= failed("hold")
    assert "intervention" not in failed("hold")  # the only thing it is good at
    hold = scores()["hold"]
    ruined = {hold.scenario[i] for i in range(len(hold.seed)) if hold.judgement.catastrophic[i]}
    assert ruined == {"S29"}
    assert hold.judgement.by_holding.any()
    told = next(one for name, one in conditions("hold").items() if "told in time" in name)
    assert told.passed is False


def test_always_escalate_takes_as_long_as_people_do_and_too_much_of_them() -> None:
    assert not passed(checks(arms("escalate", scores())))
    assert {"repair", "intervention"} <= failed("escalate")
    assert scores()["escalate"].people.minutes.sum() > scores()["threshold"].people.minutes.sum()


def test_neither_fails_only_for_want_of_a_reference() -> None:
    for name in ("hold", "escalate"):
        open_ones = [one for one in conditions(name).values() if one.passed is None]
        assert all("oracle" in f"{one.name} {one.because}" for one in open_ones)
        assert len(failed(name)) >= 2
