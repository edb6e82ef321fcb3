"""What is assumed of a counterexample unless the failure needs it otherwise: all is well.

`drawable` is what `replay` can build a deployment from; `defaults` is what should hold if it can.
"""

from typing import Final

import z3

from homeostat.base.actions import ActionKind, UndoKind
from homeostat.base.policy import KillLevel, Mode
from homeostat.proof.moment import HOUR_MS, Moment, Setting, fixed
from homeostat.proof.smt import Term, literal
from homeostat.safety.tree import Value

SIZE: Final = 12  # replicas where the question does not say: large enough for a quarter to matter
_LARGEST: Final = 400  # replicas that a picture is drawn of
_ONE_OUT: Final = (ActionKind.DRAIN_REPLICA, ActionKind.RESTART_REPLICA)
_SCALES: Final = (ActionKind.SCALE_UP, ActionKind.SCALE_DOWN)

_FLAGS: Final[dict[str, Value]] = {
    "undo": False, "approved": False, "agreed": 0, "named": True, "ours": True, "shaped": True,
    "directed": True, "present": True, "evidence_age_ms": 0, "ready": True, "slo_met": True,
    "suspicions": 0, "ailing": 0, "overfull": 0, "memory_seen": True, "filling": 0,
    "gateway_fresh": True, "silent": 0,
    "process_gone": False, "probe_failures": 0, "suspected": False, "drained": False,
    "foreseen": False, "late": False, "room_kept_milli": 1000,
    "others_seen": True, "others_remain": True, "current_known": True, "older_clean": True,
    "growing_clean": True, "growing_seen": True, "to_verified": True, "to_last_verified": True,
    "to_served": False,
    "odd_device": False, "beside_ms": 0, "limited": True, "acted": False, "since_ms": 2 * HOUR_MS,
    "tries": 0, "hour": 0, "rollbacks": 0, "fleet_hour": 0, "grown": 0, "shrunk": 0, "turns": 0,
    "flying": False, "changing": False, "targets": 1, "targets_changing": 0,
    "targets_limit": 1, "others_changing": 0, "anomalous": 0, "sensors_ok": True,
    "util_after_milli": 0, "util_spare_milli": 0, "batch_ms": 4, "batches_full_milli": 1000,
    "frozen": False, "unproved": False, "foreign": False, "kill": KillLevel.OFF.value,
    "mode": Mode.AUTO.value,
    "world_age_ms": 0, "observing": False, "proposal_age_ms": 0, "spares": 0, "twin": False,
    "trusted": False, "worse": False, "to_new": False, "promised_ms": 250, "sharing": 0,
    "burning": False, "serves_more": False, "lets_in": False, "billed": False, "bill_over_milli": 0,
    "one_first": True,
}  # fmt: skip


def defaults(setting: Setting, one: Moment) -> list[tuple[str, str, Term]]:
    """Return (moment, fact, term) for each fact that should be as in a deployment that is well."""
    words = setting.words
    soft: dict[str, Term] = {}
    for name, value in _FLAGS.items():
        if name in one.cells and name not in fixed(setting):
            soft[name] = one.cells[name].value == literal(value, words).value
    undo = UndoKind.COMPENSATING if one.kind is ActionKind.RESTART_REPLICA else UndoKind.EXACT
    if undo.value in words.known:
        soft["undo_kind"] = one.cells["undo_kind"].value == words.code(undo.value)
    if "excess_milli" not in soft and one.limit is None:
        soft["excess_milli"] = one.cells["excess_milli"].value == 0
        soft["step_excess_milli"] = one.cells["step_excess_milli"].value == 0
    cooldown = setting.ms(setting.policy.cooldown_scrapes)
    soft["cooldown_ms"] = one.cells["cooldown_ms"].value == cooldown
    soft["watched_ms"] = one.cells["watched_ms"].value >= setting.ms(setting.policy.watch_scrapes)
    if one.kind is ActionKind.DRAIN_REPLICA:
        soft["suspected"] = one.cells["suspected"].value
        soft["suspicions"] = one.cells["suspicions"].value == 1
    if one.kind not in _SCALES:
        soft["spend_change_milli"] = one.cells["spend_change_milli"].value == 0
    return [(one.name, fact, meant) for fact, meant in soft.items()]


def drawable(setting: Setting, one: Moment) -> list[Term]:
    """Return what holds of the deployments that are built: one pool, everything known."""
    cells, size = one.cells, one.live / 1000
    hard = [cell.known for name, cell in cells.items() if name not in fixed(setting)]
    hard += [z3.Or(z3.Not(cells["undo"].value), cells["directed"].value), cells["priced"].value]
    counted = one.kind in {*_SCALES, ActionKind.DRAIN_REPLICA}
    hard.append(one.live <= 1000 * _LARGEST)
    hard.append(one.wanted <= 1000 * _LARGEST)
    after, out = size, z3.IntVal(0)
    if one.kind in _SCALES:
        after, out = one.wanted / 1000, z3.If(one.wanted < one.live, size - one.wanted / 1000, 0)
        hard.append(cells["taken"].value == out)  # all of them serve
    elif one.kind in _ONE_OUT:
        size = size if counted else z3.IntVal(SIZE)
        out = z3.IntVal(1)
        after = size - 1
        hard.append(cells["taken"].value == z3.If(proven(setting, one), 0, 1))
    elif not counted:
        size = after = z3.IntVal(SIZE)
    silent = cells["silent"].value
    left = z3.If(after > size, size, after) - silent
    hard += [
        silent <= size,
        cells["replicas"].value == size,
        cells["left_in_pool"].value == left,
        cells["left"].value == left,
        cells["disturbed"].value == out,
        # The rest of the fleet is as large as it must be.
        cells["replicas_limit"].value >= z3.If(out > 1, out, z3.IntVal(1)),
        cells["correlated_limit_milli"].value
        == cells["targets"].value * round(setting.policy.correlated_share * 1000),
        cells["hour"].value <= cells["fleet_hour"].value,
        # A forecast is said only where nothing else is, while the objectives are met.
        z3.Implies(cells["foreseen"].value, z3.Not(cells["suspected"].value)),
        z3.Implies(cells["foreseen"].value, cells["slo_met"].value),
        z3.Implies(cells["hour"].value > 0, cells["acted"].value),
        cells["acted"].value == (cells["hour"].value > 0),
        z3.Implies(cells["acted"].value, cells["since_ms"].value < HOUR_MS),
        cells["since_ms"].value >= 0,
        cells["rollbacks"].value <= cells["hour"].value,
    ]
    if "grown" in cells:
        hard.append(cells["grown"].value + cells["shrunk"].value <= cells["hour"].value)
    # What it costs is what its replicas cost, or more if the action says so of itself.
    own = setting.price_milli * (after - size) if one.kind in _SCALES else z3.IntVal(0)
    spent = setting.price_milli * size + cells["spend_change_milli"].value
    hard += [cells["spend_change_milli"].value >= own, cells["spend_milli"].value == spent]
    if one.kind in _SCALES:
        hard.append(cells["peak"].value >= size)
    else:
        hard.append(cells["added"].value == 0)
    if one.kind not in _SCALES and one.kind not in _ONE_OUT:
        hard.append(cells["taken"].value == 0)
    return hard


def proven(setting: Setting, one: Moment) -> Term:
    """Return that the subject is proven failing."""
    failed = one.cells["probe_failures"].value >= setting.policy.failed_probes
    return z3.Or(failed, one.cells["process_gone"].value)
