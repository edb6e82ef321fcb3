"""`homeostat lab feedback`: keeps what it recorded, takes it up, says what was worth what."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pool_by_hand import Inline
from typing_extensions import override

from homeostat.cli import lab_feedback
from homeostat.cli.exits import Exit
from homeostat.cli.lab_feedback import Plan, Run, Timed
from homeostat.lab.feedback_record import SCRAPES, Piece, Recording
from homeostat.learn.feedback_channels import CHANNELS
from homeostat.report.lab_feedback import from_json, markdown, shown


class Hours(Inline):
    """Every other hour has a fault that one chart shows and the shipped alarm does not."""

    @override
    def size(self, item: Piece) -> int:
        return len(item.pairs)

    @override
    def made(self, item: Piece) -> Timed:
        number = np.array([cycle.number for cycle, _ in item.pairs])
        strength = np.full((len(number), SCRAPES, len(CHANNELS)), 0.2, dtype=np.float32)
        event = np.zeros((len(number), SCRAPES), dtype=bool)
        event[::2, 60:120] = True
        strength[:, :, 0] = np.where(event, 5.0, 0.2)
        none = np.zeros_like(event)
        found = Recording(
            number=number,
            strength=strength,
            alarm=none,
            busy=none,
            outcome=np.zeros(event.shape, dtype=np.int64),
            event=event,
            hurt=event,
        )
        return Timed(recording=found, seconds=3.0)


def plan(out: Path, *, cycles: int = 100, recorded: bool = False) -> Plan:
    return Plan(cycles=cycles, unseen=20, per_hour=1.38, out=out, jobs=1, recorded=recorded)


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> Hours:
    made = Hours()
    monkeypatch.setattr(lab_feedback, "Pool", made)
    return made


@pytest.mark.slow
def test_what_is_there_is_taken_up_and_more_hours_only_add_some(
    pool: Hours, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool.fail_after = 50
    with pytest.raises(KeyboardInterrupt):
        Run(plan(tmp_path, cycles=50)).go()
    assert pool.count == 50
    pool.fail_after = 10**9
    Run(plan(tmp_path, cycles=50)).go()
    assert pool.count == 70
    found = Run(plan(tmp_path)).go()
    assert pool.count == 120
    assert (found.cycles, found.unseen, found.wall_s) == (100, 20, 9.0)
    assert found == from_json((tmp_path / "feedback.json").read_text(encoding="utf-8"))
    assert found.passes is True
    assert found.same_code is True
    text = markdown(found)
    assert "passed" in text
    assert len(shown(found, plain=False)) == 4
    # Another version of the program plays again, unless it is told to learn from what is there.
    monkeypatch.setattr(lab_feedback, "code_of", lambda _: "another")
    again = Run(plan(tmp_path, recorded=True)).go()
    assert pool.count == 120
    assert again.same_code is False
    assert "another version" in markdown(again)
    assert again.found == found.found
    Run(plan(tmp_path)).go()
    assert pool.count == 240


def test_too_few_hours_are_refused(bare: Any) -> None:
    assert bare("lab", "feedback", "--cycles", "1").exit_code == Exit.USAGE
