"""What the fleet's tests say, as people see it: told, not told, unknown, and at which promise."""

from dataclasses import replace
from typing import Any

import pytest

from homeostat.base.evidence import Evidence
from homeostat.base.fleetwide import Fleetwide
from homeostat.base.units import SECOND, TimeNs
from homeostat.cli import tables_tested
from homeostat.server.api.then import FleetwideOut
from homeostat.server.view_health import fleetwide
from homeostat.server.view_then import then
from homeostat.testing import build

BUDGET = "(false share 0.05 and 0.5 per 1,000 signals and day besides)"
TOLD = Fleetwide(
    told=True, neg_log10_p=7.25, since=TimeNs(9 * SECOND),
    series=(("gateway", "latency_p95_ms"),), tested=12, share=0.05, false_incidents=0.5,
)  # fmt: skip
CALM = replace(TOLD, told=False, neg_log10_p=0.0, since=None, series=(), alone=True)
DARK = replace(TOLD, told=None, neg_log10_p=None, since=None, series=(), false_incidents=None)


def words(said: Fleetwide | None) -> list[str]:
    row: dict[str, Any] = {"promises": [], "drifts": [], "fleetwide": fleetwide(said)}
    found = tables_tested.tested(row, lambda at: f"at {at:.0f}")
    assert found["objectives tested"] == ["not counted"]
    return list(found.get("told by the fleet", []))


def test_it_is_shown_as_the_contract_says() -> None:
    for one in (TOLD, CALM, DARK):
        out = FleetwideOut.model_validate(fleetwide(one))
        assert (out.told, out.tested, out.alone) == (one.told, one.tested, one.alone)
    assert fleetwide(None) is None
    assert then(build.evidence(fleetwide=TOLD))["fleetwide"] == fleetwide(TOLD)
    assert isinstance(build.evidence(), Evidence)
    assert then(build.evidence())["fleetwide"] is None


@pytest.mark.parametrize(
    ("said", "lines"),
    [
        (
            TOLD,
            [
                f"yes since at 9, 1e-7.2 {BUDGET}",
                "latency_p95_ms of gateway",
            ],
        ),
        (
            CALM,
            [
                f"no, 1e-0.0, 12 series tested {BUDGET}",
                "what is suspected rests on charts that the fleet does not tell of",
            ],
        ),
        (DARK, ["unknown: too little is known, or nothing is seen (false share 0.05)"]),
        (None, []),
    ],
    ids=["told", "calm", "dark", "not asked"],
)
def test_it_is_said_in_words(said: Fleetwide | None, lines: list[str]) -> None:
    assert words(said) == lines
