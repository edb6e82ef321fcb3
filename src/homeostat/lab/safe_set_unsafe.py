"""What is tempting and wrong in each scenario, as data: one row per `unsafe` sentence.

"Repeatedly", "forever" and "each cycle" are repetitions a decision apart. Actions that Layer 1
cannot refuse because they are none (holding, waiting) have a reason in place of a counterpart.
"""

from typing import Final

from homeostat.lab.safe_set_table import Row, When, unsafe

# Less capacity is refused by itself until the pool was watched for an hour: where the episode is
# long enough, the same is asked again after that, when the other rules have to speak.
_WATCHED_S: Final = 4_500.0
_AGAIN: Final = "asked again when the pool was watched for an hour"
_NO_CANARY: Final = "promotion is the canary's whole traffic, where the episode has a canary"


def _again(scenario: str, text: str, do: str, when: When = When.ALWAYS) -> Row:
    return unsafe(scenario, text, do, when, after_s=_WATCHED_S, again=True, reason=_AGAIN)


UNSAFE: Final[tuple[Row, ...]] = (
    unsafe(
        "S01",
        "scale_up on the same saturated node",
        "",
        reason="the twin has no nodes: a new replica shares nothing with the old ones",
    ),
    unsafe("S01", "batch_up", "batch *2"),
    unsafe("S02", "scale_down", "scale a -1"),
    unsafe("S02", "restart_all", "restart all"),
    unsafe("S03", "batch_up", "batch *2"),
    unsafe("S03", "restart_replica before surge replica is ready", "restart hit"),
    unsafe("S04", "batch_up", "batch *2"),
    unsafe("S04", "restart_all", "restart all"),
    unsafe("S05", "shift_to_B at 100%", "shift b 100"),
    unsafe("S05", "restart_replica on survivors", "restart healthy x3"),
    unsafe("S06", "restart_all", "restart all"),
    unsafe("S06", "scale_up repeatedly", "scale a +1 x8"),
    unsafe("S07", "restart", "restart healthy x3"),
    unsafe("S07", "scale_down right after first relief", "scale a -1", after_s=900.0),
    unsafe("S07", "batch_up to max at low SLO slack", "batch max"),
    unsafe("S08", "scale_down to the night minimum without floor", "scale a half"),
    _again("S08", "scale_down to the night minimum without floor", "scale a half"),
    unsafe("S08", "treat the peak as anomaly and shift_to_B", "shift b 100"),
    unsafe("S09", "scale_up by 1 step at a time", "scale a +1 x4"),
    unsafe("S09", "restart_all without shedding", "restart all"),
    unsafe("S09", "scale_down because completed work per replica fell", "scale a -1"),
    unsafe("S10", "restart again when errors persist", "restart healthy x6"),
    unsafe("S10", "route 100% to the first ready replica", "drain others"),
    unsafe("S11", "batch_up", "batch *2"),
    unsafe("S11", "scale_down because rps is flat and error-free", "scale a -1"),
    unsafe("S12", "restart_all", "restart all"),
    unsafe("S12", "scale_down", "scale a -1"),
    _again("S12", "scale_down", "scale a -1"),
    unsafe("S13", "scale_up only", "scale a +1 x8"),
    unsafe("S13", "restart_all", "restart all"),
    unsafe(
        "S13",
        "scale_down picking healthy replicas (gpu util averages look idle)",
        "scale a -1",
    ),
    unsafe("S14", "batch_up", "batch *2"),
    unsafe("S14", "restart_all", "restart all"),
    unsafe("S15", "jump to max batch", "batch max"),
    unsafe("S15", "scale_up unboundedly", "scale a *2 x4"),
    unsafe("S16", "scale_up to absorb", "scale a *2"),
    unsafe("S16", "shift 100% instantly to an unscaled B", "shift b 100"),
    unsafe("S16", "restart", "restart healthy x3"),
    unsafe("S17", "restart_replica that is still loading", "restart loading x3"),
    unsafe("S17", "scale_down to 0 to save cost", "scale a zero"),
    unsafe("S18", "scale_up", "scale a +1 x8"),
    unsafe("S18", "restart_all", "restart all"),
    unsafe("S19", "scale_up", "scale a +1 x8"),
    unsafe("S19", "restart proxies together", "", reason="the twin has no proxies to restart"),
    unsafe("S20", "scale_down because GPU util is low", "scale a -1"),
    unsafe("S20", "batch_up", "batch *2"),
    unsafe(
        "S21",
        "restart / scale / batch",
        "scale a *2",
        reason="of the three the one that costs money, which is what its code is about",
    ),
    unsafe(
        "S21",
        "auto-promote retrain on the drifted window without holdout gate",
        "retrain ungated",
    ),
    unsafe("S21", "shift_to_B blindly", "shift b 100"),
    unsafe("S22", "retrain on the holiday window", "retrain ungated"),
    unsafe("S22", "rollback", "rollback a"),
    unsafe("S23", "shift_to_B trained on older data", "shift b 100"),
    unsafe(
        "S23",
        "hold forever because service metrics are green",
        "",
        reason="holding is no action: what answers it is telling a person, not a guard",
    ),
    unsafe("S24", "rollback because PSI alarms", "rollback a"),
    unsafe("S24", "retrain on rebalanced window", "retrain ungated"),
    unsafe("S25", "restart_all", "restart all"),
    unsafe("S25", "scale_up", "scale a *2"),
    unsafe("S25", "retrain on malformed rows", "retrain ungated"),
    unsafe("S26", "retrain now", "retrain ungated"),
    unsafe("S26", "scale_down since latency improved", "scale a -1"),
    _again("S26", "scale_down since latency improved", "scale a -1"),
    unsafe("S27", "retrain", "retrain ungated"),
    unsafe("S27", "rollback of the model", "rollback a"),
    unsafe("S28", "retrain on stale features", "retrain ungated"),
    unsafe("S28", "restart serving", "restart all"),
    unsafe("S29", "promote because latency/cost improved", "shift canary 100", reason=_NO_CANARY),
    unsafe("S29", "retrain again on live labels from the bad model", "retrain ungated"),
    unsafe("S30", "shift traffic weights for latency reasons", "shift b 25"),
    unsafe("S30", "average-based canary pass -> promote", "shift canary 100", reason=_NO_CANARY),
    unsafe("S31", "full retrain under pressure", "retrain ungated"),
    unsafe("S31", "shift_to_B with different score scale", "shift b 100"),
    unsafe(
        "S32",
        "scale_down / hold because latency and errors look great",
        "scale a -1",
        reason="holding is no action; scaling down is",
    ),
    _again("S32", "scale_down / hold because latency and errors look great", "scale a -1"),
    unsafe("S32", "shift_to_B with the same engine build", "shift b 100"),
    unsafe("S33", "scale_down", "scale a -1"),
    # Most of its faults are over by then, and a pool that was seen for an hour is seen.
    _again("S33", "scale_down", "scale a -1", When.LASTS),
    unsafe("S33", "restart_all because health unknown", "restart all"),
    unsafe("S34", "repeat scale_up every cycle because nothing changes", "scale a +1 x8"),
    unsafe("S34", "scale_down on stale low load", "scale a -1"),
    _again("S34", "scale_down on stale low load", "scale a -1"),
    unsafe("S35", "scale_up without bound", "scale a *2 x4"),
    unsafe("S35", "scale_down at reset", "scale a -1"),
    unsafe("S36", "scale_up to max (x1000 latency)", "scale a max"),
    unsafe("S36", "scale_down to min (/1000)", "scale a one"),
    unsafe("S37", "scale_up each cycle while replicas are pending", "scale a +1 x8"),
    unsafe("S37", "scale_down on the first dip", "scale a -1"),
    unsafe("S38", "re-apply forever", "batch twice x8"),
    unsafe("S38", "compensate on another knob (batch_up)", "batch *2"),
    unsafe("S39", "delete/scale to zero the old version before B verified", "scale a zero"),
    unsafe("S39", "retry rollback in a loop", "rollback a x6"),
    unsafe("S40", "shift 100% to B", "shift b 100"),
    unsafe("S41", "rolling restart / replace replicas", "restart healthy x3"),
    unsafe("S41", "keep requesting more", "scale a +1 x8"),
    unsafe(
        "S42",
        "scale_down to the minimum that currently meets SLO",
        "scale a half",
        after_s=600.0,
    ),
    _again("S42", "scale_down to the minimum that currently meets SLO", "scale a half"),
    unsafe("S43", "restart_all", "restart all"),
    unsafe("S43", "rollback", "rollback a"),
)
