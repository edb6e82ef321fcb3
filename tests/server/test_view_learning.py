"""What people see of learning: the arms of a decision, what came of it, and the twin's record."""

from dataclasses import replace

from homeostat.base.decisions import Apply, DecisionRecord
from homeostat.base.events import Record, Started
from homeostat.base.learning import Arm, Covering, Lesson, Payoff, Pick, Seating, Span
from homeostat.cli import tables
from homeostat.server import view_plain
from homeostat.server.api import metrics_learning
from homeostat.server.api.answers import DecisionOut
from homeostat.server.view import View
from homeostat.testing import build
from homeostat.testing import guard_scene as g

NAN = float("nan")
NONE = Span(low=0.0, mid=0.0, high=0.0)
UNKNOWN = Span(low=NAN, mid=NAN, high=NAN)
SAID = Seating(
    decision_id="d-0001", deployment="m", at=build.at(1), mode="on", key="m|d-0001", roll=0.25,
    wanted="twin", played="twin",
    pick=Pick(id="d-0001", at=build.at(1), features=(0.5,), arm=1, fraction=1.0, propensity=0.9,
              propensities=(0.0, 0.9, 0.1)),
    arms=(
        Arm(name="runbook", action="batch_up pool:a", fraction=1.0, chance=0.1, gain=NONE,
            extra=(NONE, NONE)),
        Arm(name="hold", action="hold", fraction=1.0, chance=0.0,
            gain=Span(low=-0.4, mid=-0.2, high=0.1), extra=(Span(low=0.0, mid=0.2, high=0.4), NONE),
            refused=("it might add 0.40 to missed, and 0.10 is allowed",)),
        Arm(name="twin", action="scale_up pool:a", fraction=1.0, chance=0.9,
            gain=Span(low=0.3, mid=0.5, high=0.8), extra=(NONE, NONE)),
        Arm(name="twin", action="restart_all pool:a", fraction=1.0, chance=0.0, gain=UNKNOWN,
            extra=(UNKNOWN, UNKNOWN), refused=("G1 shape: never",)),
    ),
    because=("twin at 100%: the most to gain",),
)  # fmt: skip
CAME = Lesson(
    decision_id="d-0001", deployment="m", at=build.at(300), arm="twin",
    payoff=Payoff(pick_id="d-0001", reward=-0.1, base_reward=NAN, costs=(0.0, 0.0),
                  base_costs=(NAN, 0.0)),
    held=False, covering=Covering(hits=(False,) * 11, drop=True, because="0 of 11"),
    because="nothing is learnt: what came of it was not seen",
)  # fmt: skip


def view(*facts: object) -> View:
    out = View()
    out.event(Started(at=build.at(0), epoch=1, managed=build.managed()), deployment="m")
    record = DecisionRecord(
        id="d-0001", deployment="m", incident_id="i-0001", at=build.at(1),
        decision=Apply(action=g.scale(4), because=("busy",)), considered=(), allowed=(),
        refused=(), policy_digest="0" * 64, mode="auto",
    )  # fmt: skip
    for fact in (*facts[:1], record, *facts[1:]):
        out.command(Record(fact=fact), deployment="m")  # type: ignore[arg-type]
    return out


def shown(out: View) -> dict[str, object]:
    state = out.deployment("m")
    assert state is not None
    record = state.decisions.get("d-0001")
    assert record is not None
    plain = view_plain.decision(state, record, build.at(2))
    dumped = DecisionOut.model_validate(plain).model_dump(mode="json")
    assert dumped["learning"] == plain["learning"]
    return plain


def test_a_decision_shows_every_arm_who_refused_it_and_why_one_won() -> None:
    plain = shown(view(SAID))
    fields = tables.decision(plain)
    assert fields["learning"] == "on: wanted twin, played twin"
    assert fields["it won because"] == ["twin at 100%: the most to gain"]
    assert "trained policy" not in fields
    arms = fields["arms"]
    assert arms[0] == "runbook: batch_up pool:a; the others are set against it; chance 10.0%"
    assert arms[1].endswith("refused: it might add 0.40 to missed, and 0.10 is allowed")
    assert "gain +0.50 (+0.30 to +0.80)" in arms[2]
    assert arms[2].endswith("chance 90.0%")
    assert arms[3] == "twin: restart_all pool:a at 100%; refused: G1 shape: never"
    assert "it came to" not in fields


def test_what_a_trained_policy_said_is_shown_beside_the_arms() -> None:
    words = "ppo 0123abcd likes batch_up pool:a 61%, hold 39%"
    plain = shown(view(replace(SAID, trained=words)))
    assert tables.decision(plain)["trained policy"] == words


def test_what_came_of_it_is_shown_with_the_twins_record() -> None:
    out = view(SAID, CAME)
    fields = tables.decision(shown(out))
    assert fields["it came to"] == [CAME.because, "the twin's interval: missed"]
    assert fields["twin's intervals"] == (
        "0 of the last 11 effects were held; autonomy is to drop to approve"
    )
    assert fields["against runbook"] == ["wait, after 0 outcomes"]
    samples = {
        sample.name: sample.value
        for family in metrics_learning.families(out.deployments())
        for sample in family.samples
    }
    assert samples == {"homeostat_twin_intervals_held": 0.0, "homeostat_twin_overconfident": 1.0}


def test_where_nobody_was_heard_nothing_is_shown_and_nothing_counted() -> None:
    out = view()
    plain = shown(out)
    assert plain["learning"] is None
    assert "learning" not in tables.decision(plain)
    assert not [
        one for family in metrics_learning.families(out.deployments()) for one in family.samples
    ]
