"""What people see of a rehearsal: with the decision that rests on it, and with no other."""

from homeostat.base.actions import Action
from homeostat.base.decisions import Apply, DecisionRecord
from homeostat.base.events import Record, Rehearsed, Started
from homeostat.base.policy import KillLevel, TwinPolicy
from homeostat.base.rehearsal import Rehearsal
from homeostat.base.units import SECOND
from homeostat.cli import tables
from homeostat.govern.decide import label
from homeostat.server import view_plain, view_rehearsal
from homeostat.server.api.answers import DecisionOut
from homeostat.server.view import View
from homeostat.testing import build
from homeostat.testing import guard_scene as g
from homeostat.testing.guard_rehearsals import rehearsal

UP = g.scale(5)
TWIN = TwinPolicy(deadline_ns=2 * SECOND, good_ns=10 * SECOND)


def decision(
    number: int, at_s: float, action: Action = UP, allowed: tuple[str, ...] = (label(UP),)
) -> Record:
    return Record(
        fact=DecisionRecord(
            id=f"d-{number:04d}", deployment="m", incident_id="i-0001", at=build.at(at_s),
            decision=Apply(action=action, because=("busy",)), considered=(),
            allowed=allowed,
            refused=(), policy_digest="0" * 64, mode="auto",
        )
    )  # fmt: skip


def seen(*, twin: TwinPolicy | None, why: str = "", at_s: float = 1.0) -> dict[str, object]:
    view = View()
    managed = build.managed(twin=twin)
    view.event(Started(at=build.at(0), epoch=1, managed=managed), deployment="m")
    answer = rehearsal(UP, breach=0.1, why=why, age_ns=g.NOW - build.at(0))
    view.event(Rehearsed(at=build.at(0.5), rehearsal=answer, kill=KillLevel.OFF), deployment="m")
    record = decision(1, at_s)
    view.command(record, deployment="m")
    state = view.deployment("m")
    assert state is not None
    assert isinstance(record.fact, DecisionRecord)
    return view_plain.decision(state, record.fact, build.at(at_s))


def test_a_decision_shows_what_was_foreseen_and_that_it_was_believed() -> None:
    plain = seen(twin=TWIN)
    shown = plain["rehearsal"]
    assert isinstance(shown, dict)
    assert DecisionOut.model_validate(plain).model_dump(mode="json")["rehearsal"] == shown
    assert (shown["trusted"], shown["distrust"]) == (True, [])
    assert [one["action"] for one in shown["prospects"]] == ["hold model", "scale_up pool:a"]
    assert shown["prospects"][1]["against_hold"]["breach"] == [0.05, 0.1, 0.15]
    fields = tables.decision(plain)
    assert fields["trusted"] == ["yes"]
    assert fields["foreseen"][1].startswith("2. scale_up pool:a: p95")


def test_what_is_refused_or_foreseen_by_a_twin_that_is_not_trusted_has_no_rank() -> None:
    trusted, not_trusted = rehearsal(UP), rehearsal(UP, why="it was never checked")

    def ranks(answer: Rehearsal, *allowed: str) -> list[int | None]:
        return [one["rank"] for one in view_rehearsal.rehearsal(answer, allowed)["prospects"]]

    assert ranks(trusted, label(UP)) == [1, 2]  # equal: HOLD first
    assert ranks(trusted) == [1, None]
    assert ranks(not_trusted, label(UP)) == [None, None]


def test_a_decision_shows_why_the_twin_was_not_believed() -> None:
    fields = tables.decision(seen(twin=TWIN, why="it was never checked"))
    assert fields["trusted"] == ["it was never checked"]


def test_an_old_rehearsal_is_not_shown_with_a_later_decision_nor_without_a_twin() -> None:
    assert seen(twin=TWIN, at_s=60.0)["rehearsal"] is None
    without = seen(twin=None)
    assert without["rehearsal"] is None
    assert "trusted" not in tables.decision(without)
