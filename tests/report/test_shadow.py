"""What a shadow's record comes to: shares of time, incidents, and what stood against acting."""

from typing import Any

import pytest

from homeostat.base.actions import Action, ActionKind, UndoKind
from homeostat.base.decisions import Apply, Ask, Decision, DecisionRecord, Hold
from homeostat.base.evidence import Family, Incident
from homeostat.base.policy import Mode
from homeostat.base.units import SECOND, TimeNs
from homeostat.report import shadow
from homeostat.report.shadow import Tick, Watch, counts, plain, would
from homeostat.report.shadow_page import page
from homeostat.testing import build

T = build.START
SHADOW = "G12 shadow: mode shadow: says what it would do, changes nothing"


def watch(*ticks: tuple[float, bool | None, bool]) -> Watch:
    made = Watch(build.managed(name="chat", scrape_ns=10 * SECOND, mode=Mode.SHADOW))
    for at, met, ready in ticks:
        made.tick(Tick(at=TimeNs(T + round(at * SECOND)), met=met, ready=ready))
    return made


def incident(number: int = 1, *, confirmed: bool = True, because: str = "p95 4 s") -> Incident:
    return Incident(
        id=f"i-{number:04d}",
        deployment="chat",
        family=Family.LOAD,
        subject="pool:a",
        opened_at=T,
        confirmed_at=TimeNs(T + SECOND) if confirmed else None,
        tries=0,
        escalated=False,
        because=(because,),
    )


def decided(*refused: tuple[str, tuple[str, ...]], **more: Any) -> DecisionRecord:
    decision: Decision = more.get("decision", Hold(because=("nothing may be done",)))
    return DecisionRecord(
        id="d-0001",
        deployment="chat",
        incident_id=more.get("incident", "i-0001"),
        at=T,
        decision=decision,
        considered=tuple((name, 1.0) for name in more.get("considered", ())),
        allowed=more.get("allowed", ()),
        refused=refused,
        policy_digest="",
        mode="shadow",
    )


def test_time_is_shared_out_by_what_each_tick_says_of_the_time_before_it() -> None:
    seen = watch((0, None, False), (10, True, False), (20, True, True), (30, False, True))
    seen.tick(Tick(at=TimeNs(T + 40 * SECOND), met=None, ready=True))
    assert [round(4 * (seen.share(one) or 0.0)) for one in ("met", "missed", "unknown")] == [
        2,
        1,
        1,
    ]
    assert (seen.watched_ns, seen.learning_ns) == (40 * SECOND, 10 * SECOND)
    assert [said for _, _, said in seen.spans] == ["met", "missed", "unknown"]


def test_a_gap_is_time_in_which_nobody_looked_and_never_a_good_time() -> None:
    seen = watch((0, True, True), (10, True, True), (1000, True, True), (1010, True, True))
    assert (seen.watched_ns, seen.unwatched_ns) == (20 * SECOND, 990 * SECOND)
    assert seen.share("met") == 1.0
    assert len(seen.spans) == 2


def test_a_tick_from_the_past_takes_no_time_back() -> None:
    seen = watch((0, True, True), (10, True, True), (5, False, True), (20, True, True))
    assert (seen.watched_ns, seen.share("missed")) == (20 * SECOND, 0.0)


def test_what_was_never_judged_has_no_share() -> None:
    assert watch().share("met") is None
    assert watch((0, True, True)).share("met") is None
    assert plain(watch())["from"] is None
    assert shadow.watches([watch()]) == []


SCALE = "scale_up pool:a (replicas.a=4)"


@pytest.mark.parametrize(
    ("record", "verdict", "action"),
    [
        (decided((SCALE, (SHADOW,))), "would", SCALE),
        (decided((SCALE, (SHADOW, "G12 unproved: not proved"))), "would", SCALE),
        (decided(("drain", ("G2 floor: 1 left", SHADOW)), (SCALE, (SHADOW,))), "would", SCALE),
        (decided((SCALE, (SHADOW, "G7 capacity: unknown"))), "refused", SCALE),
        (decided((SCALE, ())), "refused", SCALE),
        (decided(considered=("escalate model",)), "told", ""),
        (decided(), "held", ""),
    ],
)
def test_a_decision_comes_to_what_stood_against_it(
    record: DecisionRecord, verdict: str, action: str
) -> None:
    said, what, because = would(record)
    assert (said, what) == (verdict, action)
    assert not any(one.startswith("G12") for one in because)


def test_what_was_done_and_asked_is_told_apart() -> None:
    action = Action(kind=ActionKind.SCALE_UP, subject="pool:a", undo=UndoKind.EXACT)
    done = decided(decision=Apply(action=action, because=("load",)), allowed=(SCALE,))
    asked = decided(
        decision=Ask(action=action, because=("load",), expires_at=TimeNs(T)), allowed=(SCALE,)
    )
    assert would(done) == ("did", SCALE, ("load",))
    assert would(asked) == ("asked", SCALE, ("load",))


def told(*decisions: DecisionRecord, because: str = "p95 4 s") -> Watch:
    seen = watch((0, None, False), (10, False, True), (20, True, True))
    seen.incident(incident(because=because), TimeNs(T + SECOND), is_open=True)
    seen.incident(incident(2, confirmed=False), TimeNs(T + SECOND), is_open=True)
    for one in decisions:
        seen.decision(one)
    seen.incident(incident(because=because), TimeNs(T + 15 * SECOND), is_open=False)
    return seen


def test_the_strongest_decision_of_an_incident_counts_once() -> None:
    seen = told(decided(), decided((SCALE, (SHADOW,))), decided(incident="i-0009"))
    assert {name: count for name, count in counts(seen).items() if count} == {"would": 1}
    (first, second) = plain(seen)["incidents"]
    assert [one["verdict"] for one in first["decisions"]] == ["held", "would"]
    assert first["closed_at"] - first["opened_at"] == 15.0
    assert (second["confirmed_at"], second["closed_at"]) == (None, None)


def test_what_is_decided_again_and_again_is_said_once() -> None:
    seen = told(decided(considered=("escalate model",)), decided(considered=("escalate model",)))
    assert shadow.came_to(seen.troubles["i-0001"]) == [("told", "", ())]


def test_the_page_tells_it_and_asks_no_other_host_for_anything() -> None:
    hostile = "<script>alert(1)</script>"
    html = page([told(decided((SCALE, (SHADOW,))), because=hostile)], "1.0", str)
    assert "Shadow report" in html
    assert "would have done" in html
    assert SCALE in html
    assert "1 suspicions that did not last" in html
    assert hostile not in html
    assert "<script" not in html
    assert "http" not in html.replace("http-equiv", "")
    assert html.count("<section") == html.count("</section>") == 1


def test_a_page_of_nothing_abnormal_says_so() -> None:
    html = page([watch((0, True, True), (10, True, True))], "1.0", str)
    assert "Nothing abnormal lasted." in html
    assert "objectives met 100.0%" in html
