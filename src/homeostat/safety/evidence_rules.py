"""G0, the evidence lattice: what each kind of action must have seen, about which subject.

A failed probe is an observation, silence is not. With anything required missing only HOLD,
ESCALATE, one more replica and undo remain. `evidence_rules: false` passes these rules; it exists
only to show in a paired run that holding is not muteness.
"""

from typing import Final

from homeostat.base.actions import ActionKind
from homeostat.safety.rule import (
    ACTIVE,
    DOWN,
    DRAIN,
    EXEMPT,
    PLUS_ONE,
    PROVEN_FAILING,
    RESIZE_DOWN,
    RESTART,
    ROLLBACK,
    SERVED,
    SHED,
    SHIFT,
    SHRINKS,
    SLOWER,
    TABLE,
    UNDO,
    Rule,
    compare,
)
from homeostat.safety.tree import And, Compare, Not, Or, Ref, Scale

# In thousandths. Every second batch at its largest: below that the limit holds hardly anybody up.
_HALF: Final = 500

EVIDENCE_RULES: Final[tuple[Rule, ...]] = (
    Rule(
        id="G0",
        name="sight",
        source=TABLE + "G0: no decision on stale data; half the replicas or the gateway silent",
        require=Or((
            Not(Ref("evidence_rules")),
            And((
                compare("evidence_age_ms", ">=", 0),
                compare("evidence_age_ms", "<=", "fresh_ms"),
                Ref("gateway_fresh"),
                Or((
                    compare("silent", "==", 0),
                    Compare("<", Scale(2, Ref("silent")), Ref("replicas")),
                )),
            )),
        )),
        message="evidence is {evidence_age_ms} old (limit {fresh_ms}), gateway counters fresh: "
        "{gateway_fresh}, {silent} of {replicas} replicas silent",
        exempt=PLUS_ONE,
    ),
    Rule(
        id="G0",
        name="foreseen",
        source=TABLE + "G0: a forecast is no observation; it may add a replica, and nothing else",
        require=Or((Not(Ref("evidence_rules")), Not(Ref("foreseen")))),
        message="a load is only forecast, nothing is missed: one more replica, and nothing else",
        exempt=EXEMPT,
    ),
    Rule(
        id="G0",
        name="replica evidence",
        source=TABLE + "G0: three failed probes of r or its process gone, the others seen",
        kinds=frozenset({RESTART, DRAIN}),
        require=Or((
            Not(Ref("evidence_rules")),
            And((
                Ref("others_seen"),
                Or((
                    PROVEN_FAILING,
                    And((Ref("ready"), Or((Ref("suspected"), SLOWER)))),
                )),
            )),
        )),
        message="{subject} has {probe_failures} of {failed_probes} failed probes, process gone: "
        "{process_gone}, suspected with anomalous readings: {suspected}, slower than each of its "
        "peers for {beside_ms} of {persist_ms}, device time anomalous: {odd_device}; others seen: "
        "{others_seen}",
        exempt=UNDO,
    ),
    Rule(
        id="G0",
        name="baselines",
        source=TABLE + "G0: fewer samples than a judgement needs",
        kinds=ACTIVE - {RESTART, DRAIN},
        require=Or((Not(Ref("evidence_rules")), Ref("ready"))),
        message="baselines are still being learnt",
        exempt=PLUS_ONE,
    ),
    Rule(
        id="G0",
        name="no shrinking blind",
        source=TABLE + "G0: never scale-in while anything required is unknown",
        kinds=SHRINKS,
        require=Or((Not(Ref("evidence_rules")), compare("silent", "==", 0))),
        message="{silent} of {replicas} replicas silent",
        exempt=UNDO,
    ),
    Rule(
        id="G0",
        name="no shrinking in trouble",
        source=TABLE + "G0 and G7: capacity is given back only while the objectives are met",
        kinds=frozenset({DOWN, RESIZE_DOWN}),
        require=Or((
            Not(Ref("evidence_rules")),
            And((Ref("slo_met"), compare("suspicions", "==", 0))),
        )),
        message="objectives met: {slo_met}, suspicions: {suspicions}",
        exempt=UNDO,
    ),
    Rule(
        id="G0",
        name="turning away",
        source=TABLE + "G0: nobody is turned away while what was promised is kept",
        kinds=frozenset({SHED}),
        require=Or((
            Not(Ref("evidence_rules")),
            Ref("lets_in"),
            Not(Ref("slo_met")),
        )),
        message="objectives met: {slo_met}; nobody more would be turned away: {lets_in}",
        exempt=UNDO,
        on_false="ask",
        on_unknown="ask",
    ),
    Rule(
        id="G0",
        name="no shrinking while memory fills",
        source=TABLE + "G0: replicas of one age reach their limits together",
        kinds=frozenset({DOWN}),
        require=Or((
            Not(Ref("evidence_rules")),
            And((Ref("memory_seen"), compare("filling", "==", 0))),
        )),
        message="{filling} replicas are on their way to their memory limit, all seen: "
        "{memory_seen}",
        exempt=UNDO,
    ),
    Rule(
        id="G0",
        name="full batches",
        source=TABLE + "G0: what is not full needs not be larger, and is missed as a limit later",
        kinds=frozenset({ActionKind.BATCH_UP}),
        require=Or((Not(Ref("evidence_rules")), compare("batches_full_milli", ">=", _HALF))),
        message="{batches_full_milli} of the batches are full, needed is 0.5",
        exempt=SERVED,
    ),
    Rule(
        id="G0",
        name="larger batch",
        source=TABLE + "G0: what is measured while something else ails does not last",
        kinds=frozenset({ActionKind.BATCH_UP}),
        require=Or((Not(Ref("evidence_rules")), compare("ailing", "==", 0))),
        message="{ailing} suspicions of something that a larger batch does not answer",
        exempt=UNDO,
        on_false="ask",
        on_unknown="ask",
    ),
    Rule(
        id="G0",
        name="where traffic goes",
        source=TABLE + "G0: never traffic to a version that is not seen to be well",
        kinds=frozenset({SHIFT}),
        require=Or((Not(Ref("evidence_rules")), Ref("growing_seen"))),
        message="the pool that would get more traffic is well, or stands by: {growing_seen}",
        exempt=UNDO,
    ),
    Rule(
        id="G0",
        name="standby",
        source=TABLE + "G0: probes say nothing of a pool's answers; a person may know more",
        kinds=frozenset({SHIFT}),
        require=Or((Not(Ref("evidence_rules")), Ref("growing_clean"))),
        message="the pool that would get more traffic was seen to serve well: {growing_clean}",
        exempt=UNDO,
        on_false="ask",
        on_unknown="ask",
    ),
    Rule(
        id="G0",
        name="rollback evidence",
        source=TABLE + "G0: the current version's readings known",
        kinds=frozenset({ROLLBACK}),
        require=Or((Not(Ref("evidence_rules")), Ref("current_known"))),
        message="readings of the current version known: {current_known}",
        exempt=UNDO,
    ),
    Rule(
        id="G0",
        name="older version clean",
        source=TABLE + "G0: a fault that the older version shares is not the release",
        kinds=frozenset({ROLLBACK}),
        require=Or((Not(Ref("evidence_rules")), Ref("older_clean"))),
        message="the older version is well: {older_clean}",
        exempt=UNDO,
        on_unknown="ask",
    ),
    Rule(
        id="G0",
        name="verified version",
        source=TABLE + "G0: a rollback goes to a version that was seen to serve well",
        kinds=frozenset({ROLLBACK}),
        require=Ref("to_verified"),
        message="the target version served within the objectives before: {to_verified}",
        exempt=UNDO,
        on_false="ask",
        on_unknown="ask",
    ),
)
