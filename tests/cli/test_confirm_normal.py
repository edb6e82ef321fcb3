"""`homeostat confirm --normal`: what is off is the new normal, says an approver with a reason."""

from dataclasses import replace
from typing import Any

import pytest

from homeostat.base.evidence import Family, Incident
from homeostat.base.state import LoopState
from homeostat.base.units import TimeNs
from homeostat.base.words import CalledNormal
from homeostat.cli.exits import Exit
from homeostat.loop.step import initial
from homeostat.testing import build
from homeostat.testing.story import managed

WORDS = (
    "confirm",
    "credit",
    "i-0001",
    "--normal",
    "--why",
    "a new release",
    "--by",
    "ann",
)


def seen(now: TimeNs, slo_met: Any) -> LoopState:
    incident = Incident(
        id="i-0001", deployment="credit", family=Family.UNCLEAR, subject="model", opened_at=now,
        confirmed_at=now, tries=0, escalated=False, because=(),
    )  # fmt: skip
    evidence = replace(build.evidence(now, 5), slo_met=slo_met)
    return replace(initial(managed("credit")), incident=incident, evidence=evidence)


def test_the_word_goes_to_the_loop(shell: Any, controller: Any) -> None:
    controller.seen = seen(controller.now, slo_met=True)
    result = shell(*WORDS)
    assert result.exit_code == Exit.OK, result.stderr
    (event,) = controller.submitted
    assert isinstance(event, CalledNormal)
    assert (event.by, event.incident_id, event.why) == ("ann", "i-0001", WORDS[5])


@pytest.mark.parametrize(("slo_met", "why"), [(False, "missed now"), (None, "not known")])
def test_it_is_refused_while_objectives_are_missed_or_unknown(
    shell: Any, controller: Any, slo_met: Any, why: str
) -> None:
    controller.seen = seen(controller.now, slo_met=slo_met)
    result = shell(*WORDS)
    assert result.exit_code != Exit.OK
    assert why in result.stderr
    assert not controller.submitted
