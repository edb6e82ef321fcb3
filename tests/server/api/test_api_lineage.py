"""Where versions came from, as the API and the command show it; what nobody ordered is unknown."""

from dataclasses import replace
from typing import Any

from fastapi.testclient import TestClient

from homeostat.base.canary import CanaryVerdict
from homeostat.base.state import LoopState
from homeostat.base.training import Lineage, LineageState, TrainingOrder, TrainingPhase
from homeostat.base.units import HOUR, TimeNs
from homeostat.cli import tables_lineage
from homeostat.loop.step import initial
from homeostat.testing.story import managed

PATH = "/v1/deployments/credit/lineage"


def remembered(now: TimeNs) -> LoopState:
    order = TrainingOrder(
        key="credit-d-0007-1800000000",
        intent_id="d-0007.0.0",
        deployment="credit",
        action_id="d-0007",
        incident_id="i-0003",
        at=now,
        reason=("inputs moved", "<script>alert(1)</script>"),
        approvers=("ada", "grace"),
        data_from=TimeNs(now - HOUR),
        data_to=now,
        parent="",
        epoch=1,
        deadline=now,
        due=TimeNs(now + HOUR),
    )
    refused = Lineage(
        order=order,
        state=LineageState.REFUSED,
        since=now,
        reason="the canary does harm",
        phase=TrainingPhase.MADE,
        seen_at=now,
        version="17",
        canary_id="d-0009",
        verdict=CanaryVerdict.HARM,
        because=("3.1 times as many errors",),
    )
    asked = Lineage(
        order=replace(order, key="credit-d-0010-1", action_id="d-0010"),
        state=LineageState.ASKED,
        since=now,
    )
    return replace(initial(managed("credit")), lineages=(refused, asked))


def test_the_newest_order_comes_first_and_unknown_is_null(bench: Any) -> None:
    state = remembered(bench.now)
    with TestClient(bench.app(states=lambda _: state)) as client:
        said = client.get(PATH, headers=bench.auth).json()
    asked, refused = said["lineage"]
    assert (asked["action_id"], asked["state"], asked["version"]) == ("d-0010", "asked", None)
    assert refused["approvers"] == ["ada", "grace"]
    assert (refused["parent"], refused["version"], refused["verdict"]) == (None, "17", "harm")
    assert refused["reason"][1] == "<script>alert(1)</script>"
    # The story's versions came of no order.
    assert said["serving"]
    assert {one["action_id"] for one in said["serving"]} == {None}
    rows = tables_lineage.lineage(said["lineage"])
    assert [row["parent"] for row in rows] == ["unknown", "unknown"]
    assert "origin unknown" in tables_lineage.serving(said["serving"])


def test_an_order_is_named_by_the_version_that_serves(bench: Any) -> None:
    state = remembered(bench.now)
    with TestClient(bench.app(states=lambda _: state)) as client:
        world = client.get(PATH, headers=bench.auth).json()["serving"]
        first = world[0]
        known = replace(state.lineages[0], version=first["version"])
        state = replace(state, lineages=(known, state.lineages[1]))
        said = client.get(PATH, headers=bench.auth).json()["serving"]
    assert {one["action_id"] for one in said if one["version"] == first["version"]} == {"d-0007"}
    assert "came of d-0007 (refused)" in tables_lineage.serving(said)


def test_a_deployment_without_orders_has_an_empty_list(bench: Any) -> None:
    with TestClient(bench.app()) as client:
        assert client.get(PATH, headers=bench.auth).json()["lineage"] == []
        assert client.get(PATH.replace("credit", "nobody"), headers=bench.auth).status_code == 404
    assert tables_lineage.serving([]) == "nothing is known of what serves"
