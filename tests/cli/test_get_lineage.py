"""`homeostat get lineage`: which retrain a version came of, and what became of it."""

import json
from typing import Any

from homeostat.base.canary import CanaryVerdict
from homeostat.base.events import Record
from homeostat.base.training import Lineage, LineageState, TrainingOrder
from homeostat.base.units import HOUR, SECOND, TimeNs
from homeostat.cli.exits import Exit

AT = TimeNs(1_700_000_100 * SECOND)
ORDER = TrainingOrder(
    key="credit-d-0007-1700000100",
    intent_id="d-0007.0.0",
    deployment="credit",
    action_id="d-0007",
    incident_id="i-0003",
    at=AT,
    reason=("inputs moved",),
    approvers=("ada", "grace"),
    data_from=TimeNs(AT - HOUR),
    data_to=AT,
    parent="v1",
    epoch=1,
    deadline=AT,
    due=TimeNs(AT + HOUR),
)
REFUSED = Lineage(
    order=ORDER,
    state=LineageState.REFUSED,
    since=AT,
    reason="the canary does harm\x1b[2J",
    version="v2",
    canary_id="d-0009",
    verdict=CanaryVerdict.HARM,
)


def test_an_order_is_shown_from_who_asked_to_what_became_of_it(shell: Any, controller: Any) -> None:
    controller.view.observe("credit", Record(fact=REFUSED))
    for words in (("credit",), ("--deployment", "credit"), ()):
        shown = shell("get", "lineage", *words)
        assert shown.exit_code == Exit.OK, shown.stderr
        for word in ("d-0007", "refused", "v1", "v2", "harm", "ada, grace"):
            assert word in shown.stdout
        assert "\x1b[2J" not in shown.stdout
        assert "origin unknown" in shown.stderr
    rows = json.loads(shell("get", "lineage", "credit", "--output", "json").stdout)
    assert [(row["key"], row["state"]) for row in rows] == [(ORDER.key, "refused")]


def test_without_an_order_there_is_an_empty_list(shell: Any) -> None:
    assert json.loads(shell("get", "lineage", "credit", "-o", "json").stdout) == []
    assert shell("get", "lineage", "nobody").exit_code == Exit.NO_DATA
