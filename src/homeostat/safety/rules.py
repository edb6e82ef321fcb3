"""The built-in guards G0 to G14 as trees over the facts of `fields`, in the order of the table.

Source of every row: the guard table of docs/reference/guards.md. `evidence_rules` holds G0.
"""

from typing import Final

from homeostat.base.actions import ActionKind, UndoKind
from homeostat.base.policy import KillLevel, Mode
from homeostat.safety.evidence_rules import EVIDENCE_RULES
from homeostat.safety.rule import (
    BACKWARD,
    DOWN,
    DRAIN,
    EXEMPT,
    RESIZE_DOWN,
    RESTART,
    SHIFT,
    TABLE,
    UNDO,
    Rule,
    compare,
    equals,
    kind_in,
)
from homeostat.safety.tree import Add, And, Compare, Const, Member, Not, Or, Ref, Scale

RULES: Final[tuple[Rule, ...]] = (
    *EVIDENCE_RULES,
    Rule(
        id="G1",
        name="scope",
        source=TABLE + "G1: opt-in only",
        require=And((Ref("named"), Ref("ours"))),
        message="about the managed deployment: {named}, through its actuator: {ours}",
    ),
    Rule(
        id="G1",
        name="shape",
        source=TABLE + "G1: the levers of the kind and the subject, nothing else",
        require=And((Ref("shaped"), Ref("directed"), Ref("present"))),
        message="levers fit {kind} of {subject}: {shaped}, direction: {directed}, "
        "subject there: {present}",
    ),
    Rule(
        id="G2",
        name="bounds",
        source=TABLE + "G2: outside the bounds only moves towards them are safe",
        require=And((Ref("limited"), compare("excess_milli", "<=", 0))),
        message="{limit_text}",
        exempt=UNDO,  # the pre-image was live before; its floors are judged below
    ),
    Rule(
        id="G2",
        name="step",
        source=TABLE + "G2: +100 %/-25 %, weight to the ramp's next rung",
        require=compare("step_excess_milli", "<=", 0),
        message="{step_text} is {step_excess_milli} beyond the largest step",
        exempt=EXEMPT,
    ),
    Rule(
        id="G2",
        name="floor",
        source=TABLE + "G2: replicas in rotation; a replica proven failing counts for nothing",
        require=Or((
            compare("taken", "<=", 0),
            And((compare("left", ">=", "min_replicas"), compare("left_in_pool", ">=", 1))),
        )),
        message="{left} healthy replicas would stay in rotation, the floor is {min_replicas} "
        "({left_in_pool} in its pool)",
    ),
    Rule(
        id="G2",
        name="never empty",
        source=TABLE + "G14: the last replica is never unloaded",
        kinds=frozenset({DRAIN, DOWN}),
        require=compare("left_in_pool", ">=", 1),
        message="{left_in_pool} healthy replicas would stay in the pool",
    ),
    Rule(
        id="G3",
        name="cooldown",
        source=TABLE + "G3: doubled for each ineffective repeat",
        require=Or((Not(Ref("acted")), compare("since_ms", ">=", "cooldown_ms"))),
        message="{since_ms} of {cooldown_ms} since {last_text}",
        exempt=EXEMPT,
    ),
    Rule(
        id="G3",
        name="scale-in",
        source=TABLE + "G3: stabilisation before capacity is taken away",
        kinds=frozenset({DOWN, RESIZE_DOWN}),
        require=Or((Not(Ref("acted")), compare("since_ms", ">=", "scale_in_ms"))),
        message="{since_ms} of {scale_in_ms} since {last_text}",
        exempt=UNDO,
    ),
    Rule(
        id="G3",
        name="peak",
        source=TABLE + "G3: never below half of the most that the window needed",
        kinds=frozenset({DOWN}),
        require=Compare(">=", Scale(2, Ref("left_in_pool")), Ref("peak")),
        message="{left_in_pool} replicas would stay of a recent {peak}",
        exempt=UNDO,
    ),
    Rule(
        id="G3",
        name="tries",
        source=TABLE + "G3: three ineffective tries, then a person",
        require=compare("tries", "<", "max_tries"),
        message="{tries} of {max_tries} tries did not help; a person is needed",
        exempt=UNDO,
    ),
    Rule(
        id="G4",
        name="rate",
        source=TABLE + "G4: per target",
        require=compare("hour", "<", "hour_limit"),
        message="{hour} of {hour_limit} actions in the last hour",
        exempt=EXEMPT,
    ),
    Rule(
        id="G4",
        name="fleet rate",
        source=TABLE + "G4: per fleet",
        require=compare("fleet_hour", "<", "fleet_hour_limit"),
        message="{fleet_hour} of {fleet_hour_limit} actions in the fleet's last hour",
        exempt=EXEMPT,
    ),
    Rule(
        id="G5",
        name="single flight",
        source=TABLE + "G5: one in flight per target",
        require=And((Not(Ref("flying")), Or((Ref("undo"), Not(Ref("changing")))))),
        message="another action in flight: {flying}, target still changing: {changing}",
    ),
    Rule(
        id="G5",
        name="targets",
        source=TABLE + "G5: share of targets changing at once; halved without compare-and-set",
        require=Compare("<=", Add(Ref("targets_changing"), Const(1)), Ref("targets_limit")),
        message="{targets_changing} other deployments are changing, the limit is {targets_limit}",
        exempt=UNDO,
    ),
    Rule(
        id="G5",
        name="replicas",
        source=TABLE + "G5: share of the fleet's replicas changing at once",
        require=Or((
            compare("disturbed", "<=", 0),
            Compare("<=", Add(Ref("others_changing"), Ref("disturbed")), Ref("replicas_limit")),
        )),
        message="{disturbed} replicas on top of {others_changing}, the limit is {replicas_limit}",
        exempt=UNDO,
    ),
    Rule(
        id="G5",
        name="restart all",
        source=TABLE + "G5: its blast radius is everything",
        kinds=frozenset({ActionKind.RESTART_ALL}),
        require=Const(value=False),
        message="restarting every replica at once is never permitted",
    ),
    Rule(
        id="G6",
        name="correlated failure",
        source=TABLE + "G6: at least 3 of at least 5 and more than 20 % anomalous in 5 min",
        require=Or((
            compare("targets", "<", "correlated_fleet"),
            compare("anomalous", "<", "correlated_targets"),
            Compare("<=", Scale(1000, Ref("anomalous")), Ref("correlated_limit_milli")),
        )),
        message="{anomalous} of {targets} deployments went anomalous together: suspect what they "
        "share",
        exempt=UNDO,
    ),
    Rule(
        id="G6",
        name="senses",
        source=TABLE + "G6: Homeostat's own scraping is unhealthy",
        require=Or((Not(Ref("evidence_rules")), Ref("sensors_ok"))),
        message="the controller's own senses are unwell",
        exempt=UNDO,
    ),
    Rule(
        id="G7",
        name="capacity",
        source=TABLE + "G7: predicted utilisation with the survivors",
        kinds=frozenset({DOWN, RESIZE_DOWN, SHIFT, DRAIN}),
        require=Or((
            And((kind_in(DRAIN), compare("taken", "<=", 0))),
            compare("util_after_milli", "<=", "util_max_milli"),
        )),
        message="predicted utilisation {util_after_milli}, allowed {util_max_milli}",
        exempt=UNDO,
    ),
    Rule(
        id="G8",
        name="budget",
        source=TABLE + "G8: only what saves money, unless the objectives are missed",
        require=Or((
            Not(Ref("budgeted")),
            compare("spend_milli", "<=", "budget_milli"),
            compare("spend_change_milli", "<=", 0),
            Not(Ref("slo_met")),
        )),
        message="{spend_milli} of {budget_milli} USD/h",
        exempt=UNDO,
    ),
    Rule(
        id="G8",
        name="budget in trouble",
        source=TABLE + "G8: what the objectives need may go beyond the budget if a person says so",
        require=Or((
            Not(Ref("budgeted")),
            compare("spend_milli", "<=", "budget_milli"),
            compare("spend_change_milli", "<=", 0),
        )),
        message="{spend_milli} of {budget_milli} USD/h, to meet the objectives",
        exempt=UNDO,
        on_false="ask",
    ),
    Rule(
        id="G9",
        name="freeze",
        source=TABLE + "G9: rollback exempt",
        require=Not(Ref("frozen")),
        message="a freeze is in force",
        exempt=BACKWARD,
    ),
    Rule(
        id="G10",
        name="ownership",
        source=TABLE + "G10: never fight another writer",
        require=Not(Ref("foreign")),
        message="somebody else wrote here: {foreign}",
    ),
    Rule(
        id="G11",
        name="kill switch",
        source=TABLE + "G11: level 1 undo only, level 2 nothing",
        require=Or((
            equals("kill", KillLevel.OFF),
            And((Ref("undo"), equals("kill", KillLevel.NO_NEW))),
        )),
        message="the kill switch says {kill}",
    ),
    Rule(
        id="G12",
        name="shadow",
        source=TABLE + "G12: a shadow says what it would do",
        require=Member(Ref("mode"), (Mode.APPROVE.value, Mode.AUTO.value)),
        message="mode {mode}: says what it would do, changes nothing",
        exempt=UNDO,
    ),
    Rule(
        id="G12",
        name="autonomy",
        source=TABLE + "G12: a named person's grant per kind, or an answer",
        require=And((equals("mode", Mode.AUTO), Ref("granted"))),
        message="mode {mode}, {kind} granted by a named person: {granted}",
        exempt=UNDO,
        on_false="ask",
    ),
    Rule(
        id="G13",
        name="freshness",
        source=TABLE + "G13: re-validated at execution",
        require=And((
            compare("proposal_age_ms", ">=", 0),
            compare("proposal_age_ms", "<=", "ttl_ms"),
            compare("world_age_ms", ">=", 0),
            compare("world_age_ms", "<=", "fresh_ms"),
        )),
        message="proposed {proposal_age_ms} ago (limit {ttl_ms}), deployment read "
        "{world_age_ms} ago (limit {fresh_ms})",
        exempt=UNDO,
    ),
    Rule(
        id="G13",
        name="observing",
        source=TABLE + "G13: after a start or a clock jump",
        require=Not(Ref("observing")),
        message="observing only, after a start or a clock jump",
        exempt=UNDO,
    ),
    Rule(
        id="G14",
        name="irreversible",
        source=TABLE + "G14: what cannot be taken back never runs by itself",
        require=Compare("!=", Ref("undo_kind"), Const(UndoKind.NONE.value)),
        message="{kind} cannot be taken back",
        exempt=UNDO,
        on_false="ask",
    ),
    Rule(
        id="G14",
        name="replacement first",
        source=TABLE + "G14: a ready replacement or N-1 capacity",
        kinds=frozenset({RESTART, DRAIN}),
        require=Or((
            compare("taken", "<=", 0),
            compare("util_after_milli", "<=", "util_max_milli"),
        )),
        message="{spares} spares, utilisation without it {util_after_milli}, allowed "
        "{util_max_milli}",
        exempt=UNDO,
    ),
)
