"""The guard G7 as trees over the facts of `fields`: what remains must carry the load.

Source of every row: the guard table of docs/reference/guards.md. They are part of `rules.RULES`.
"""

from typing import Final

from homeostat.base.actions import ActionKind
from homeostat.safety.rule import (
    DOWN,
    DRAIN,
    RESIZE_DOWN,
    SERVED,
    SHIFT,
    TABLE,
    UNDO,
    UP,
    Rule,
    compare,
    kind_in,
)
from homeostat.safety.tree import And, Not, Or, Ref

CAPACITY_RULES: Final[tuple[Rule, ...]] = (
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
        id="G7",
        name="late undo",
        source=TABLE + "G7: what ended before is a part of what serves: as scaling in",
        kinds=frozenset({UP, ActionKind.RESIZE_UP}),
        require=Or((
            Not(Ref("late")),
            And((kind_in(UP), compare("taken", "<=", 0))),
            compare("util_after_milli", "<=", "util_max_milli"),
        )),
        message="predicted utilisation {util_after_milli}, allowed {util_max_milli}, and what is "
        "taken back ended before",
    ),
    Rule(
        id="G7",
        name="one to spare",
        source=TABLE + "G7: with surviving replicas N-1, at the most load of the time watched",
        kinds=frozenset({DOWN}),
        require=compare("util_spare_milli", "<=", "util_max_milli"),
        message="predicted utilisation {util_spare_milli} at the most load seen and with one more "
        "lost, allowed {util_max_milli}",
        exempt=UNDO,
    ),
    Rule(
        id="G7",
        name="watched",
        source=TABLE + "G7: as an autoscaler's stabilisation window: the most of it, seen whole",
        kinds=frozenset({DOWN}),
        require=compare("watched_ms", ">=", "watch_ms"),
        message="the pool's load was watched for {watched_ms} of {watch_ms}",
        exempt=UNDO,
    ),
    Rule(
        id="G7",
        name="room for the batch",
        source=TABLE + "G7: everybody in a batch waits for all of it",
        kinds=frozenset({ActionKind.BATCH_UP}),
        require=compare("batch_ms", "<=", "promised_ms"),
        message="two batches of the slowest replica could take {batch_ms}, promised are "
        "{promised_ms}",
        exempt=SERVED,
    ),
    Rule(
        id="G7",
        name="memory for the batch",
        source=TABLE + "G7: what does not fit into memory is put back and worked on again",
        kinds=frozenset({ActionKind.BATCH_UP}),
        require=Or((Not(Ref("evidence_rules")), compare("overfull", "==", 0))),
        message="{overfull} replicas' memory would not hold the sequences of the larger batch",
        exempt=UNDO,
        on_false="ask",
        on_unknown="ask",
    ),
    Rule(
        id="G7",
        name="smaller batch",
        source=TABLE + "G7: at worst it takes as long as the larger one did, and serves fewer",
        kinds=frozenset({ActionKind.BATCH_DOWN}),
        require=Or((
            Ref("serves_more"),
            compare("util_after_milli", "<=", "util_max_milli"),
        )),
        message="predicted utilisation {util_after_milli} at worst, allowed {util_max_milli}; less "
        "would be put back, so that more is served: {serves_more}",
        exempt=UNDO,
        on_false="ask",
        on_unknown="ask",
    ),
)
