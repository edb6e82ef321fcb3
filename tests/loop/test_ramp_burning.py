"""A compared ramp gives its traffic back when an error budget begins to burn; nobody is blamed."""

from dataclasses import replace

import pytest

from homeostat.base import names
from homeostat.base.actions import ActionKind
from homeostat.base.budgets import Accounts
from homeostat.base.intent import ActionState
from homeostat.base.state import LoopState
from homeostat.loop import step as loop_step
from homeostat.loop.comparing import news
from homeostat.loop.protocol_values import Abort
from homeostat.server.wiring import loop_parts
from homeostat.testing import build
from homeostat.testing import guard_scene as g
from homeostat.testing.guard_cases import record

RAMP = replace(
    g.act(ActionKind.SHIFT_TRAFFIC, names.pool("b"), weight__b=100.0),
    ramp=(5.0, 25.0, 100.0), beside="a",
)  # fmt: skip


def climbing(accounts: Accounts | None) -> LoopState:
    state = loop_step.initial(build.managed())
    return replace(state, record=record(RAMP, ActionState.VERIFYING), accounts=accounts)


def test_a_budget_that_burns_takes_the_canarys_traffic_back_without_blame() -> None:
    _, told = news(loop_parts(), climbing(Accounts(burning=True)), build.evidence(), build.START)
    (abort,) = told
    assert isinstance(abort, Abort)
    assert abort.blameless
    assert "error budget" in abort.reason


@pytest.mark.parametrize("accounts", [None, Accounts(), Accounts(burning=None)])
def test_what_is_not_known_to_burn_takes_nothing_back(accounts: Accounts | None) -> None:
    _, told = news(loop_parts(), climbing(accounts), build.evidence(), build.START)
    assert not any(isinstance(one, Abort) for one in told)
