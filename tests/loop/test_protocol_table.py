"""The transition table as data: complete, closed, and the same as its picture in the docs."""

from pathlib import Path

import pytest

from homeostat.base.errors import ProtocolError
from homeostat.base.intent import ActionState
from homeostat.loop import protocol
from homeostat.loop.transitions import TABLE, check, mermaid

DOC = Path(__file__).parents[2] / "docs" / "explanation" / "action-protocol.md"


def test_every_state_has_a_row_and_every_open_one_a_handler() -> None:
    assert set(TABLE) == set(ActionState)
    assert set(protocol._HANDLERS) == {state for state in ActionState if not state.is_terminal}


def test_terminal_states_have_no_way_out_and_all_others_have_a_time_out() -> None:
    for state, row in TABLE.items():
        assert bool(row.exits) is not state.is_terminal
        assert bool(row.timeout) is not state.is_terminal
        assert row.on_timeout <= row.exits | {state}
        assert bool(row.on_timeout) is not state.is_terminal


def test_every_open_state_can_reach_an_end_by_time_outs() -> None:
    ends = {state for state in TABLE if state.is_terminal}
    while True:
        more = {state for state, row in TABLE.items() if row.on_timeout & ends} | ends
        if more == ends:
            break
        ends = more
    assert ends == set(TABLE)


def test_a_move_that_the_table_lacks_is_refused_by_name() -> None:
    with pytest.raises(ProtocolError, match=r"d-1: no transition denied -> intent"):
        check("d-1", ActionState.DENIED, ActionState.INTENT)
    check("d-1", ActionState.INTENT, ActionState.INTENT)


def test_the_picture_in_the_docs_is_the_table() -> None:
    text = DOC.read_text(encoding="utf-8")
    assert f"```mermaid\n{mermaid()}```" in text, (
        f"{DOC.name} is out of date: put homeostat.loop.transitions.mermaid() between its fences"
    )
