"""What people say of incidents over HTTP, and what of it the loop is handed."""

from dataclasses import replace
from typing import Any

import pytest
from fastapi.testclient import TestClient

from homeostat.base.events import Confirmed, FeedbackReset
from homeostat.base.evidence import Family
from homeostat.base.feedback import FeedbackPolicy, FeedbackState, Mistaken, Moved, Nothing, Span
from homeostat.base.state import LoopState
from homeostat.base.units import SECOND, TimeNs
from homeostat.loop.step import initial
from homeostat.testing import story
from homeostat.testing.story import managed

CONFIRM = "/v1/deployments/credit/confirm"
FEEDBACK = "/v1/deployments/credit/feedback"


def learnt(at: TimeNs) -> LoopState:
    """Return the story's deployment, in which somebody has spoken."""
    span = Span(
        since=at, until=at, peaks="a", worst="a", score=0.0, incident_id="i-0002",
        family=Family.LOAD, confidence=0.7,
    )  # fmt: skip
    said = Nothing(incident_id="i-0001", family=Family.REPLICA, confidence=0.5, by="ann", at=at)
    feedback = FeedbackState(
        waiting=(replace(span, incident_id="i-0042"), span),
        nothings=(said,),
        mistaken=(Mistaken(suspected=Family.LOAD, said=Family.NETWORK, count=2),),
        moves=(Moved(at=at, words="replica is held back, says ann"),),
        held=(Family.REPLICA,),
    )
    plan = replace(managed("credit"), feedback=FeedbackPolicy())
    return replace(initial(plan), feedback=feedback)


@pytest.fixture
def client(bench: Any) -> Any:
    state = learnt(TimeNs(bench.now - 60 * SECOND))
    with TestClient(bench.app(states=lambda _: state)) as made:
        yield made


def test_a_word_goes_to_the_loop_with_who_said_it_and_from_where(bench: Any, client: Any) -> None:
    body = {"incident": "i-0001", "real": True, "family": "network", "by": "ann", "why": "seen"}
    assert client.post(CONFIRM, json=body, headers=bench.auth).status_code == 202
    (event,) = bench.submitted
    assert isinstance(event, Confirmed)
    assert (event.by, event.real, event.incident_id, event.about) == ("ann", True, "i-0001", None)
    assert (event.family, event.why, event.deployment) == (Family.NETWORK, "seen", "credit")
    assert (event.principal, event.origin.split()[0]) == ("owner", "testclient")


def test_an_incident_that_waits_is_known_though_the_view_has_forgotten_it(
    bench: Any, client: Any
) -> None:
    body = {"incident": "i-0042", "real": False}
    assert client.post(CONFIRM, json=body, headers=bench.auth).status_code == 202
    assert bench.submitted[0].incident_id == "i-0042"


def test_what_was_missed_is_said_of_a_time(bench: Any, client: Any) -> None:
    then = (bench.now - 60 * SECOND) / SECOND
    assert client.post(CONFIRM, json={"at": then, "real": True}, headers=bench.auth).is_success
    (event,) = bench.submitted
    assert abs(event.about - (bench.now - 60 * SECOND)) < SECOND
    assert event.incident_id == ""


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"real": True}, 422),  # about what?
        ({"incident": "i-0001", "at": 5.0, "real": True}, 422),
        ({"incident": "i-0001"}, 422),
        ({"incident": "i-0001", "real": "yes"}, 422),
        ({"incident": "i-0001", "real": False, "family": "load"}, 422),
        ({"incident": "i-0001", "real": True, "family": "gremlins"}, 422),
        ({"incident": "d-0001", "real": True}, 422),
        ({"at": 5.0, "real": False}, 422),
        ({"at": 9e10, "real": True}, 409),  # still to come
        ({"incident": "i-0099", "real": True}, 404),
    ],
)
def test_a_word_that_makes_no_sense_reaches_no_loop(
    bench: Any, client: Any, body: dict[str, object], status: int
) -> None:
    assert client.post(CONFIRM, json=body, headers=bench.auth).status_code == status
    assert bench.submitted == []


def test_a_reset_says_why_and_what(bench: Any, client: Any) -> None:
    url = f"{FEEDBACK}/reset"
    assert client.post(url, json={}, headers=bench.auth).status_code == 422
    body = {"why": "a new model", "everything": True}
    assert client.post(url, json=body, headers=bench.auth).status_code == 202
    (event,) = bench.submitted
    assert isinstance(event, FeedbackReset)
    assert (event.everything, event.why, event.deployment) == (True, "a new model", "credit")


def test_what_was_learnt_is_shown_with_whose_words_moved_it(client: Any) -> None:
    row = client.get(FEEDBACK).json()
    assert (row["mode"], row["stopped"], row["held"]) == ("on", False, ["replica"])
    assert row["moves"][0]["words"] == "replica is held back, says ann"
    assert row["nothings"][0]["by"] == "ann"
    assert row["mistaken"] == [{"suspected": "load", "said": "network", "count": 2}]
    assert [one["incident_id"] for one in row["waiting"]] == ["i-0042", "i-0002"]


def test_a_decision_shows_the_lines_that_had_moved_by_then_and_no_later_ones(client: Any) -> None:
    early, late = (client.get(f"/v1/decisions/{name}").json() for name in ("d-0001", "d-0002"))
    assert late["at"] - early["at"] > 100
    assert [one["words"] for one in late["moved"]] == ["replica is held back, says ann"]
    assert early["moved"] == []


def test_a_deployment_that_the_loop_does_not_hold_has_learnt_nothing(bench: Any) -> None:
    with TestClient(bench.app()) as client:
        row = client.get(FEEDBACK).json()
    assert (row["mode"], row["moves"], row["waiting"]) == ("off", [], [])
    assert story.ASKED_AT  # the story's own deployment, without a loop
