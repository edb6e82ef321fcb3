"""The fields that guard rules may read: name, type, unit and meaning.

One flat record of facts has a value, or None for unknown, for every field named here. Integers
are counts, milliseconds (`ms`) or thousandths (`milli`), of the currency where it is money.
"""

from dataclasses import dataclass
from typing import Final

from homeostat.safety.tree import Type


@dataclass(frozen=True, slots=True)
class Field:
    """One field of the facts.

    Attributes:
        type: What the tree may do with it.
        unit: `count`, `ms`, `milli`, or empty; how messages print it.
        meaning: One line for the documentation.
    """

    type: Type
    unit: str
    meaning: str


def _flag(meaning: str) -> Field:
    return Field("bool", "", meaning)


def _text(meaning: str) -> Field:
    return Field("str", "", meaning)


def _count(meaning: str) -> Field:
    return Field("int", "count", meaning)


def _ms(meaning: str) -> Field:
    return Field("int", "ms", meaning)


def _milli(meaning: str) -> Field:
    return Field("int", "milli", meaning)


FIELDS: Final[dict[str, Field]] = {
    # What is asked.
    "kind": _text("the action's kind"),
    "subject": _text("the part it is done to"),
    "undo": _flag("an action of ours is being taken back"),
    "late": _flag("of those, one that ended before, and not because it did harm"),
    "undo_kind": _text("how it can be taken back: the worse of its claim and its kind's nature"),
    "approved": _flag("a person said yes to this very action and the answer has not expired"),
    "agreed": _count("different people who said yes to this very action"),
    # G1 scope.
    "named": _flag("world and evidence are about the deployment that the policy names"),
    "ours": _flag("the actuator is one that the configuration gives this deployment"),
    "shaped": _flag("the levers are those of the kind and the subject, finite and rampable"),
    "directed": _flag("the levers move in the direction of the kind"),
    "present": _flag("the subject exists in the deployment as read back"),
    # G0 evidence.
    "evidence_rules": _flag("the evidence rules are on"),
    "evidence_age_ms": _ms("age of the latest tick"),
    "fresh_ms": _ms("age above which anything is stale"),
    "ready": _flag("baselines are learnt"),
    "slo_met": _flag("the objectives on the latest tick"),
    "suspicions": _count("what is suspected on the latest tick"),
    "ailing": _count("what is suspected other than more load or full batches"),
    "overfull": _count("replicas whose device memory would not hold the larger batch"),
    "foreseen": _flag("no objective is missed, and nothing suspected but what a forecast says"),
    "memory_seen": _flag(
        "every replica of the pool that serves says how full it is, its devices if it did"
    ),
    "filling": _count(
        "of those, replicas on their way to the end of their memory or of a device's"
    ),
    "gateway_fresh": _flag("the gateway's counters are fresh and believable"),
    "replicas": _count("replicas in rotation"),
    "silent": _count("of those, replicas with no fresh reading at all"),
    "process_gone": _flag("the subject's process is not there"),
    "probe_failures": _count("consecutive failed probe rounds of the subject"),
    "failed_probes": _count("rounds that prove a replica failing"),
    "suspected": _flag("fresh anomalous readings of the replica, and it is suspected"),
    "drained": _flag("the subject is already out of rotation"),
    "others_seen": _flag("every other replica in rotation has a fresh probe result"),
    "others_remain": _flag("every other slot of the pool is ready and passes its probes"),
    "beside_ms": _ms("how long the replica is known to be slower than each of its peers"),
    "persist_ms": _ms("how long that must have lasted"),
    "odd_device": _flag("the replica's own device time is anomalous"),
    "current_known": _flag("the current version's errors and latency are known"),
    "older_clean": _flag("the pool that falls back is healthy and not suspected"),
    "growing_clean": _flag("every pool that gets more traffic is healthy and not suspected"),
    "growing_seen": _flag("the same, or it stands by: no traffic yet, its probes good"),
    "to_verified": _flag("the target version served within the objectives before"),
    "to_last_verified": _flag("it is the last such version before the current one"),
    "to_served": _flag(
        "every lever goes back to what it was before, lately; that served, the present has not"
    ),
    "rate_milli": _milli("requests per second and replica in rotation"),
    "rate_served_milli": _milli("the most of them that what is gone back to has served"),
    # G2 bounds and steps.
    "limited": _flag("the policy bounds every lever that is changed"),
    "excess_milli": _milli("distance outside the bounds, unless it moves towards them"),
    "step_excess_milli": _milli("distance beyond the largest step"),
    "limit_text": _text("lever, value and bounds, for people"),
    "step_text": _text("lever, step and largest step, for people"),
    "one_first": _flag(
        "some replicas have a setting first, or are proven with it, where they can; no other own "
        "value is ended"
    ),
    "added": _count("replicas added"),
    "taken": _count(
        "replicas taken out that are not proven failing and that no spare replaces first"
    ),
    "left": _count("replicas seen healthy that stay in rotation"),
    "left_in_pool": _count("of those, in the pool that loses one"),
    "min_replicas": _count("fewest replicas in rotation"),
    # G3 cooldown.
    "acted": _flag("an earlier action on the target is known"),
    "since_ms": _ms("time since the last action on the target"),
    "last_text": _text("kind and subject of the last action"),
    "cooldown_ms": _ms("cooldown, doubled for each ineffective repeat"),
    "scale_in_ms": _ms("stabilisation before capacity is taken away"),
    "tries": _count("actions on the incident that did not help"),
    "max_tries": _count("ineffective actions after which a person is told"),
    "peak": _count("most replicas in rotation within the scale-in window and the last half hour"),
    "room_kept_milli": _milli(
        "share of the most requests at once that the stable pool had room for within half an hour"
    ),
    "turns": _count("turns of a lever of capacity within 15 minutes, this action's included"),
    # G4 rate.
    "hour": _count("actions on the target in the last hour"),
    "hour_limit": _count("of at most"),
    "rollbacks": _count("of those, rollbacks of the subject"),
    "grown": _count("of those, actions that made replicas, their size or batches more"),
    "shrunk": _count("of those, actions that made them less or drained a replica"),
    "fleet_hour": _count("actions in the fleet in the last hour"),
    "fleet_hour_limit": _count("of at most"),
    # G5 concurrency and blast radius.
    "flying": _flag("another action of this deployment is in flight"),
    "changing": _flag("the target is still carrying out a change"),
    "targets_changing": _count("other deployments with an action in flight"),
    "targets_limit": _count("deployments that may change at once"),
    "disturbed": _count("replicas the action takes out at once"),
    "others_changing": _count("replicas that other deployments' actions touch"),
    "sharing": _count("other deployments with an action in flight that share something with it"),
    "replicas_limit": _count("replicas that may change at once"),
    # G6 correlated failure.
    "targets": _count("deployments in the fleet"),
    "anomalous": _count("of those, anomalous within the window"),
    "correlated_targets": _count("anomalous deployments that stop all"),
    "correlated_fleet": _count("in a fleet of at least"),
    "correlated_limit_milli": _milli("and more than this many, in thousandths of one"),
    "sensors_ok": _flag("the controller's own senses are well"),
    # G7 capacity, G8 cost.
    "util_after_milli": _milli("predicted utilisation after the action"),
    "util_spare_milli": _milli("at the most load watched, with one more replica lost"),
    "util_max_milli": _milli("utilisation allowed"),
    "watched_ms": _ms("how long the pool's load was watched without a gap"),
    "watch_ms": _ms("how long it must have been"),
    "batch_ms": _ms("two batches of the slowest replica, as large as they would become"),
    "promised_ms": _ms("the promised p95"),
    "batches_full_milli": _milli("share of full batches that half of the stable pool reaches"),
    "lets_in": _flag("the limit at the gateway does not become tighter"),
    "serves_more": _flag("a smaller batch would serve more at worst: less would be put back"),
    "burning": _flag("an error budget burns so fast that a person is called"),
    "priced": _flag("every pool concerned has a price"),
    "budgeted": _flag("a budget of an hour is declared"),
    "spend_milli": _milli("money per hour after the action"),
    "spend_change_milli": _milli("money per hour that the action adds"),
    "budget_milli": _milli("money per hour allowed"),
    "currency": _text("the currency of prices and budgets"),
    "billed": _flag("a budget of a day or a month is declared"),
    "bill_over_milli": _milli(
        "by how much the worst of them is missed, if the action's rate stayed"
    ),
    "bill_text": _text("that bill, its budget and its period, for people"),
    # G9 to G14.
    "frozen": _flag("a freeze is in force"),
    "unproved": _flag("the policy is not proved, or not yet"),
    "unproved_text": _text("why it is not"),
    "foreign": _flag("somebody else wrote since our last write, or a newer controller did"),
    "kill": _text("the kill switch"),
    "mode": _text("the autonomy mode"),
    "granted": _flag("a named person granted this kind to run without asking"),
    "world_age_ms": _ms("age of the deployment as read back"),
    "observing": _flag("observing only, after a start or a clock jump"),
    "proposal_age_ms": _ms("age of the proposal"),
    "ttl_ms": _ms("how long a proposal or an approval stays good"),
    "spares": _count("warm spares that are ready"),
    # G15 rehearsal.
    "twin": _flag("the deployment has a twin that actions are rehearsed in"),
    "trusted": _flag("a fresh rehearsal of this very action by a twin that may be believed"),
    "twin_text": _text("why it may not be believed, for people"),
    "worse": _flag("such a rehearsal foresees more missed objectives than holding, for certain"),
    "to_new": _flag("traffic goes to a pool other than the fallback"),
}

TYPES: Final[dict[str, Type]] = {name: field.type for name, field in FIELDS.items()}


def show(name: str, value: bool | int | str | None) -> str:  # noqa: FBT001 - a fact's value
    """Return a field's value as people read it.

    >>> show("since_ms", 12_000), show("util_max_milli", 800), show("spares", None)
    ('12 s', '0.8', 'unknown')
    """
    if value is None:
        return "unknown"
    unit = FIELDS[name].unit
    if unit == "ms":
        return f"{int(value) / 1000:.3g} s" if abs(int(value)) < _LONG_MS else f"{value} ms"
    if unit == "milli":
        return f"{int(value) / 1000:.4g}" if abs(int(value)) < _LONG_MS else f"{value}/1000"
    return str(value)


_LONG_MS: Final = 10**15  # beyond this a float would lie or overflow; print the integer
