"""What is right to do in each scenario, as data: one row per `best` sentence of the catalogue.

Where a sentence names several things "or" is a choice and "then", "+" and ";" an order. Things that
only a person can do (mend a network, fix a feature pipeline) are `escalate`, with the diagnosis.
"""

from typing import Final

from homeostat.lab.safe_set_table import Row, When, best

_SOME, _ALL, _HAS_B = When.SOME_HIT, When.ALL_HIT, When.HAS_B

BEST: Final[tuple[Row, ...]] = (
    best("S01", "restart_replica (reschedule) or drain", "restart hit | drain hit", _SOME),
    best("S01", "scale_up then escalate", "scale a +1 > escalate", _ALL),
    best("S02", "restart_replica on another device / quarantine", "restart hit | drain hit"),
    best("S02", "escalate + scale_up elsewhere", "escalate > scale a +1"),
    best("S03", "hold", "hold"),
    best(
        "S03",
        "restart_replica elsewhere after scale_up by one",
        "scale a +1 > restart hit",
        When.MISSED,
        within_s=1_800.0,
        in_order=True,
        reason="where p99 is above the promise: below it the catalogue holds",
    ),
    best(
        "S04",
        "rolling restart_replica one at a time with surge",
        "scale a +1 > restart oldest",
        within_s=10_800.0,
        in_order=True,
    ),
    best(
        "S04",
        "batch_down then restart_replica",
        "batch /2 > restart oldest",
        within_s=10_800.0,
        in_order=True,
    ),
    best("S05", "scale_up to restore N, hold batch", "scale a +1"),
    best(
        "S05",
        "scale_up + shed_load or shift_to_B if B healthy and has capacity",
        "scale a +1 > shed 0.9 | shift b 25",
    ),
    best("S06", "hold + escalate (network owner)", "hold > escalate"),
    best(
        "S06",
        "shift traffic within capacity limit",
        "",
        reason="the twin's network has no zones to shift between",
    ),
    best(
        "S07",
        "scale_up early by forecast; batch_up while p99 slack remains",
        "scale a +1 > batch *2",
    ),
    best("S07", "shed_load lowest priority + escalate", "shed 0.9 > escalate"),
    best("S08", "scale_up ahead", "scale a +1"),
    best("S08", "scale_down with headroom floor", "scale a -1", within_s=14_400.0),
    best(
        "S09",
        "shed_load (retry budget) and drain queue; restart_replica in waves only with shedding on",
        "shed 0.5",
    ),
    best("S09", "scale_up by more than (1+R)", "scale a *2"),
    best(
        "S10",
        "admit slowly (shed_load), stagger readiness, scale_up before admitting",
        "shed 0.5 > scale a +1",
    ),
    best(
        "S11",
        "scale_up by token demand; batch_down (max_num_seqs / batched tokens) to protect"
        " inter-token latency",
        "scale a +1 > batch /2",
    ),
    best(
        "S12",
        "rolling restart_replica (oldest first) with surge",
        "scale a +1 > restart oldest",
        within_s=14_400.0,
        in_order=True,
    ),
    best("S12", "rollback", "rollback a", within_s=14_400.0),
    best("S13", "drain+restart_replica, one at a time", "drain hit | restart hit"),
    best("S14", "batch_down (max_num_seqs)", "batch /2"),
    best("S14", "scale_up", "scale a +1"),
    best(
        "S15",
        "batch_up stepwise",
        "batch *2",
        When.SQUEEZED,
        reason="where batches are smaller than meant and requests wait, as the catalogue has it",
    ),
    best("S15", "batch_down / lower delay", "batch /2"),
    best(
        "S15",
        "rollback",
        "batch usual",
        reason="what is rolled back is a setting, not a version",
    ),
    best(
        "S16",
        "rollback (shift_to_B = previous version, after checking B ready capacity)",
        "rollback a | shift b 25",
    ),
    best("S17", "hold (do not churn); keep >=1 warm", "hold"),
    best("S17", "escalate config, shift_to_B if warm", "escalate > shift b 25", _HAS_B),
    best(
        "S18",
        "hold + escalate; serve degraded fallback / shift_to_B that lacks the dependency",
        "hold > escalate",
        reason="in the twin both versions use the dependency",
    ),
    best(
        "S19",
        "escalate / raise limit; batch_down to cut residence time",
        "escalate | resize *2 > batch /2",
    ),
    best("S20", "scale_up replicas (adds front ends)", "scale a +1"),
    best(
        "S21",
        "retrain gated by canary; shift_to_B if B is better on the shifted window",
        "retrain gated",
    ),
    best("S21", "hold + escalate", "hold > escalate"),
    best("S22", "hold", "hold"),
    best(
        "S23",
        "retrain gated + escalate; reduce blast radius (shift_to_B only if B measured better)",
        "retrain gated > escalate",
    ),
    best("S24", "hold + escalate (threshold owner)", "hold > escalate"),
    best("S24", "retrain/recalibrate gated", "retrain gated"),
    best(
        "S25",
        "rollback of the DATA artefact / freeze propagation; escalate",
        "escalate",
        reason="data artefacts belong to a person, who is told",
    ),
    best(
        "S25",
        "shift_to_B",
        "shift b 25",
        When.SPARED_B,
        reason="where the other pool reads a pinned schema, as the catalogue has it",
    ),
    best(
        "S26",
        "shift_to_B not using the feature, else hold + escalate",
        "shift b 25 | escalate",
    ),
    best("S27", "escalate with diagnosis; shift_to_B only if unaffected", "escalate"),
    best(
        "S28",
        "hold + escalate; shift_to_B with fewer stale features if better",
        "hold > escalate",
    ),
    best("S29", "rollback", "rollback a", within_s=7_200.0),
    best("S29", "hold rollout (no promotion)", "hold"),
    best(
        "S30",
        "rollback / route the slice to the good variant; escalate",
        "rollback a",
        within_s=7_200.0,
        reason="traffic is not routed by slice",
    ),
    best(
        "S31",
        "recalibrate (retrain gated) or rollback if release-linked",
        "retrain gated | rollback a",
    ),
    best("S31", "escalate", "escalate"),
    best("S32", "rollback", "rollback a"),
    best("S32", "restart_replica elsewhere", "restart hit", _SOME),
    best("S33", "hold (freeze destructive actions) + escalate", "hold > escalate"),
    best("S34", "hold; use unaffected signals; escalate", "hold > escalate"),
    best("S35", "hold + escalate", "hold > escalate"),
    best("S36", "hold + escalate", "hold > escalate"),
    best("S37", "hold (count pending), lengthen stabilisation window", "hold"),
    best(
        "S38",
        "stop acting on that knob (hold) + escalate ownership conflict",
        "hold > escalate",
    ),
    best(
        "S39",
        "stop, restore last weights, scale_up current, escalate",
        "scale a +1 > escalate",
        reason="no weight has moved before the rollback that fails",
    ),
    best(
        "S40",
        "partial shift <= 0.8*f, scale B first, scale_up A",
        "scale b +1 > scale a +1",
        reason="the fraction is judged by what scaling leaves possible",
    ),
    best(
        "S41",
        "batch_up within SLO, shed_load, shift_to_B on other hardware, escalate",
        "batch *2 | shed 0.9 | shift b 25",
    ),
    best(
        "S42",
        "scale_down only to peak-safe floor (N+1, forecast upper CI)",
        "scale a -1",
        within_s=7_200.0,
    ),
    best("S43", "hold", "hold"),
)
