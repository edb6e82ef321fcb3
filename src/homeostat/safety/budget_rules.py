"""Guards of money and of what was promised over weeks, as trees over the facts.

Source of every row: the guard table of docs/reference/guards.md. A budget that is breached leaves
what costs nothing or saves, and what the objectives need if a person says yes.
"""

from typing import Final

from homeostat.base.actions import ActionKind
from homeostat.safety.rule import DOWN, RESIZE_DOWN, SHIFT, TABLE, UNDO, Rule, compare, kind_in
from homeostat.safety.tree import And, Not, Or, Ref

# Costs nothing, or less than before.
_SAVES: Final = compare("spend_change_milli", "<=", 0)
_HOUR_KEPT: Final = (
    Not(Ref("budgeted")),
    Not(Ref("priced")),  # asked for below
    compare("spend_milli", "<=", "budget_milli"),
    _SAVES,
)
_BILL_KEPT: Final = (
    Not(Ref("billed")),
    Not(Ref("priced")),
    compare("bill_over_milli", "<=", 0),
    _SAVES,
)

BUDGET_RULES: Final[tuple[Rule, ...]] = (
    Rule(
        id="G7",
        name="error budget",
        source=TABLE + "G7: nothing is taken away or tried while an error budget burns fast",
        kinds=frozenset({DOWN, RESIZE_DOWN, SHIFT, ActionKind.RETRAIN}),
        require=Or((Not(Ref("burning")), And((kind_in(SHIFT), Not(Ref("to_new")))))),
        message="an error budget burns so fast that a person is called: {burning}",
        exempt=UNDO,
    ),
    Rule(
        id="G8",
        name="price",
        source=TABLE + "G8: what has no price costs nobody knows what",
        require=Or((
            And((Not(Ref("budgeted")), Not(Ref("billed")))),
            Ref("priced"),
            _SAVES,
        )),
        message="there is a budget, and a pool without a price",
        exempt=UNDO,
        on_false="ask",
        on_unknown="ask",
    ),
    Rule(
        id="G8",
        name="budget",
        source=TABLE + "G8: only what saves money, unless the objectives are missed",
        require=Or((*_HOUR_KEPT, Not(Ref("slo_met")))),
        message="{spend_milli} of {budget_milli} {currency}/h",
        exempt=UNDO,
    ),
    Rule(
        id="G8",
        name="budget in trouble",
        source=TABLE + "G8: what the objectives need may go beyond the budget if a person says so",
        require=Or(_HOUR_KEPT),
        message="{spend_milli} of {budget_milli} {currency}/h, to meet the objectives",
        exempt=UNDO,
        on_false="ask",
    ),
    Rule(
        id="G8",
        name="bill",
        source=TABLE + "G8: spent so far and projected burn within the day's and month's budget",
        require=Or((*_BILL_KEPT, Not(Ref("slo_met")))),
        message="{bill_text}, if this stayed",
        exempt=UNDO,
    ),
    Rule(
        id="G8",
        name="bill in trouble",
        source=TABLE + "G8: beyond it if a person says so",
        require=Or(_BILL_KEPT),
        message="{bill_text}, if this stayed, to meet the objectives",
        exempt=UNDO,
        on_false="ask",
    ),
)
