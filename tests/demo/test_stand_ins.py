"""The demo's stand-in people: two of them, named, to a retrain and nothing else."""

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest

from homeostat.base.actions import Action, ActionKind, UndoKind
from homeostat.base.decisions import Apply, Ask, Decision, DecisionRecord, Hold
from homeostat.base.types import TimeNs
from homeostat.demo.stand_ins import AFTER_S, NAMES, TRIES, StandIns
from homeostat.server.people import Role, find
from homeostat.server.people_file import read


@dataclass
class Controller:
    """What the stand-ins say to; answers with the statuses that the test wants."""

    statuses: list[int | Exception] = field(default_factory=list)
    said: list[tuple[str, str]] = field(default_factory=list)
    now: float = 100.0
    told: list[str] = field(default_factory=list)

    def post(self, url: str, **asked: Any) -> httpx2.Response:
        assert asked["trust_env"] is False, "a proxy would see the token"
        self.said.append((url, asked["headers"]["Authorization"].removeprefix("Bearer ")))
        answer = self.statuses.pop(0) if self.statuses else 202
        if isinstance(answer, Exception):
            raise answer
        return httpx2.Response(answer, text="why not")


@pytest.fixture
def controller() -> Controller:
    return Controller()


@pytest.fixture
def people(controller: Controller, tmp_path: Path) -> StandIns:
    return StandIns(
        url="http://controller",
        file=tmp_path / "people.json",
        say=lambda what, text: controller.told.append(f"{what} {text}"),
        post=controller.post,
        clock=lambda: controller.now,
    )


def asked(kind: ActionKind = ActionKind.RETRAIN, choice: str = "ask", number: int = 1) -> Any:
    """Return a decision: `ask`, `apply` or `hold`."""
    action = Action(kind=kind, subject="model", actuator="process", undo=UndoKind.NONE)
    decisions: dict[str, Decision] = {
        "ask": Ask(action=action, because=("why",), expires_at=TimeNs(10**18)),
        "apply": Apply(action=action, because=("why",)),
        "hold": Hold(because=("why",)),
    }
    return DecisionRecord(
        id=f"d-{number:04d}", deployment="credit", incident_id="i-0001", at=TimeNs(1),
        decision=decisions[choice], considered=(), allowed=(), refused=(), policy_digest="",
        mode="auto",
    )  # fmt: skip


def go(controller: Controller, people: StandIns, seconds: float) -> None:
    end = controller.now + seconds
    while controller.now < end:
        controller.now += 0.25
        people.act()


def names(controller: Controller, people: StandIns) -> list[str]:
    """Return who said what so far, by the tokens that are in the people file."""
    roster = read(people.file)
    said = []
    for url, token in controller.said:
        who = find(roster, token, TimeNs(time.time_ns()))
        assert who is not None
        assert who.role is Role.APPROVER, "no more than a yes needs"
        said.append(f"{who.name} {url.removeprefix('http://controller/v1/decisions/')}")
    return said


def test_two_different_people_say_yes_one_after_the_other(
    controller: Controller, people: StandIns
) -> None:
    people.heard(asked())
    people.heard(asked())
    go(controller, people, AFTER_S[0] - 0.5)
    assert controller.said == [], "nobody answers what nobody can have read"
    go(controller, people, 1.0)
    assert names(controller, people) == ["ada d-0001/approve"]
    go(controller, people, 20.0)
    assert names(controller, people) == ["ada d-0001/approve", "ben d-0001/approve"]
    assert len({token for _, token in controller.said}) == 2
    assert "two stand-in people say yes" in controller.told[0]
    assert not any(token in line for _, token in controller.said for line in controller.told)


@pytest.mark.parametrize(
    "record",
    [
        asked(ActionKind.RESTART_ALL),
        asked(ActionKind.SHIFT_TRAFFIC),
        asked(choice="apply"),
        asked(choice="hold"),
    ],
)
def test_nothing_else_is_any_of_their_business(
    record: DecisionRecord, controller: Controller, people: StandIns
) -> None:
    people.heard(record)
    go(controller, people, 20.0)
    assert (controller.said, controller.told) == ([], [])
    assert not people.file.exists(), "nobody has a token before there is a question"


def test_a_question_that_is_asked_anew_is_answered_anew(
    controller: Controller, people: StandIns
) -> None:
    controller.statuses = [202, 409]
    people.heard(asked(number=1))
    go(controller, people, 20.0)
    people.heard(asked(number=2))
    go(controller, people, 20.0)
    ids = [said.split()[1] for said in names(controller, people)]
    assert ids == ["d-0001/approve"] * 2 + ["d-0002/approve"] * 2, "a refusal is not argued with"
    assert any("is none: why not" in line for line in controller.told)


def test_a_yes_that_may_have_been_lost_is_said_again_and_not_for_ever(
    controller: Controller, people: StandIns
) -> None:
    controller.statuses = [504, httpx2.ConnectError("gone"), 202, *[503] * 50]
    people.heard(asked())
    go(controller, people, 60.0)
    said = [line.split()[0] for line in names(controller, people)]
    assert said == ["ada"] * 3 + ["ben"] * TRIES


def test_a_folder_that_was_used_before_has_two_people_and_no_old_token_opens(
    controller: Controller, people: StandIns
) -> None:
    people.heard(asked())
    go(controller, people, 20.0)
    old = {token for _, token in controller.said}
    again = StandIns(
        url="http://controller", file=people.file, say=people.say,
        post=controller.post, clock=people.clock,
    )  # fmt: skip
    again.heard(asked())
    go(controller, again, 20.0)
    now = TimeNs(time.time_ns())
    assert all(find(read(people.file), token, now) is None for token in old)
    assert {one.name for one in read(people.file) if one.is_good(now)} == set(NAMES)
