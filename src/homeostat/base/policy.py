"""What people decided beforehand: objectives, limits and guard settings, as plain values.

The configuration files (kinds `ManagedModel` and `GuardrailPolicy`) are read and checked by
`server.config`; what the pure core sees are these.
"""

from dataclasses import dataclass
from enum import StrEnum

from homeostat.base.actions import ActionKind
from homeostat.base.budgets import MoneyPolicy, SloSpec
from homeostat.base.feedback import FeedbackPolicy
from homeostat.base.training import TrainingPolicy


class Mode(StrEnum):
    """How much a deployment trusts the controller (research: autonomy ladder)."""

    SHADOW = "shadow"  # says what it would do
    APPROVE = "approve"  # every action asks
    AUTO = "auto"  # granted kinds run, others ask


class KillLevel(StrEnum):
    """The kill switch; unreadable counts as NO_NEW."""

    OFF = "off"
    NO_NEW = "no_new"  # level 1: no new actions, undo allowed
    NOTHING = "nothing"  # level 2: no write at all


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """What users of the deployment were promised.

    Attributes:
        latency_p95_ms: p95 at the gateway must stay at or below this.
        error_ratio: Failed / answered must stay at or below this.
        accuracy: Accuracy over joined labels must stay at or above this; None = not promised.
    """

    latency_p95_ms: float
    error_ratio: float
    accuracy: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LeverLimit:
    """Bounds of one lever, and the largest single step.

    Attributes:
        lever: The lever's name, or a prefix ending in `.` for all pools or slots.
        low: Smallest permitted value.
        high: Largest permitted value.
        step_up: Largest relative increase in one action (1.0 = doubling).
        step_down: Largest relative decrease in one action (0.25 = a quarter less).
    """

    lever: str
    low: float
    high: float
    step_up: float = 1.0
    step_down: float = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyRule:
    """One rule that a policy adds to the guards; it can only forbid.

    Attributes:
        name: What it guards, unique within the policy.
        require: What must be true, as it was written (docs/reference/guard-language.md).
        tree: The same as the guards run it; see `safety.wire`.
        kinds: Kinds of actions that it speaks for; empty for all.
        exempt: Names of the exemptions that lift it.
        otherwise: `deny` or `ask`, where it is not true.
    """

    name: str
    require: str
    tree: str
    kinds: tuple[ActionKind, ...] = ()
    exempt: tuple[str, ...] = ("undo",)
    otherwise: str = "deny"


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardPolicy:
    """Settings of the guards G0..G14; times in multiples of the scrape interval where named so.

    Source of every default: research on comparable controllers, guard table; see
    docs/reference/guards.md.

    Attributes:
        evidence_rules: G0 and persistence on. Off only to show in a paired run that holding is
            not muteness; then missing data reads as zero.
        fresh_scrapes: G0: evidence older than this many scrape intervals is stale.
        min_samples: G0: fewest requests a window needs to be judged.
        failed_probes: G0: consecutive failed probe rounds that prove a replica failing.
        persist_scrapes: Consecutive scrapes a suspicion must last before it may act.
        min_replicas: G2: fewest replicas in rotation that any action may leave.
        limits: G2: bounds and steps, by lever.
        cooldown_scrapes: G3: after any action on the target.
        scale_in_scrapes: G3: stabilisation before capacity is taken away.
        watch_scrapes: G7: how long a pool's load must have been watched before any of its capacity
            is taken away. An hour of 15 s scrapes: the longest window for scaling in that
            Kubernetes' autoscaler takes (autoscaling/v2, stabilizationWindowSeconds).
        max_tries: G3: ineffective actions on one incident before a person is told.
        actions_per_hour: G4: per target.
        fleet_actions_per_hour: G4: over the fleet.
        targets_share: G5: share of targets changing at once (at least one).
        replicas_share: G5: share of the fleet's replicas changing at once (at least one).
        correlated_targets: G6: this many anomalous targets ...
        correlated_fleet: G6: ... of a fleet of at least this many ...
        correlated_share: G6: ... and more than this share, within `correlated_scrapes`, stop all.
        correlated_scrapes: G6: the window.
        utilisation_max: G7: predicted utilisation allowed after capacity is taken away.
        budget_usd_per_hour: G8: spend after the action may not exceed it; None = no budget.
        frozen: G9: True while a freeze is in force.
        auto_kinds: G12: kinds that a person has granted to run without asking.
        granted_by: G12: who granted them, for the record.
        earn_kinds: G12: kinds that may come to run without asking by what they are seen to do.
        lost_on_harm: G12: a kind that did harm asks again, until a person grants it anew.
        approval_ttl_scrapes: G13: how long a question stays open.
        receipt_deadline_ns: How long a write may take before its result is UNKNOWN.
        readiness_deadline_ns: How long a change that was accepted may take to be carried out, a new
            replica to be ready, say; then it is taken back.
        verify_scrapes: How long an action's effect may take to show after it settled.
        blind_scrapes: How long an effect may go unseen before the action is taken back or kept.
        rules: The policy's own rules, on top of G0 to G15.
        unproved: G12: why the policy is not proved, empty where it is or where nobody asks for a
            proof. What is not proved is a shadow, whatever the mode.
    """

    evidence_rules: bool = True
    fresh_scrapes: float = 2.0
    min_samples: float = 20.0
    failed_probes: int = 3
    persist_scrapes: int = 4
    min_replicas: int = 2
    limits: tuple[LeverLimit, ...] = ()
    cooldown_scrapes: float = 20.0
    scale_in_scrapes: float = 40.0
    watch_scrapes: float = 240.0
    max_tries: int = 3
    actions_per_hour: int = 6
    fleet_actions_per_hour: int = 20
    targets_share: float = 0.10
    replicas_share: float = 0.25
    correlated_targets: int = 3
    correlated_fleet: int = 5
    correlated_share: float = 0.20
    correlated_scrapes: float = 20.0
    utilisation_max: float = 0.80
    budget_usd_per_hour: float | None = None
    frozen: bool = False
    auto_kinds: tuple[ActionKind, ...] = ()
    granted_by: str = ""
    earn_kinds: tuple[ActionKind, ...] = ()
    lost_on_harm: bool = True
    approval_ttl_scrapes: float = 60.0
    receipt_deadline_ns: int = 5_000_000_000
    readiness_deadline_ns: int = 60_000_000_000
    verify_scrapes: float = 8.0
    blind_scrapes: float = 20.0
    rules: tuple[PolicyRule, ...] = ()
    unproved: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TwinPolicy:
    """How a deployment's actions are rehearsed.

    Attributes:
        draws: Of parameters, load and chance; a rehearsal's price grows with them.
        horizon_ns: How far to look; a candidate that needs longer is given longer.
        deadline_ns: How long an answer may take; one that does not come is unknown.
        good_ns: How long an answer holds for the decision it was asked for.
    """

    draws: int = 64
    horizon_ns: int = 300_000_000_000
    deadline_ns: int = 10_000_000_000
    good_ns: int = 30_000_000_000


class OnUnproven(StrEnum):
    """What follows when a canary has done no harm for `max_wait_ns` and is not certified."""

    ASK = "ask"  # a person decides; without an answer the traffic goes back
    KEEP = "keep"  # it is promoted, and called unproven
    RETURN = "return"  # the traffic goes back


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryPolicy:
    """How traffic goes to a pool that runs something new: in rungs, compared with what is proven.

    Source of the defaults: research on comparable controllers, canary section.

    Attributes:
        pool: The pool that is tried.
        ramp: Its share of the traffic in percent, rung by rung; ascending, two at least, ends at
            100.
        bucket_ns: Events are compared by stretches of this length.
        alpha: Chance that a whole ramp is called harmful though the two arms are alike.
        error_ratio: Errors beyond this multiple of the stable pool's are harm.
        slow_ratio: Slow answers beyond this multiple are harm.
        wrong_ratio: Wrong answers beyond this multiple are harm, where labels of both pools come.
        promote_ratio: Promoted is what is certified to fail less often than this multiple.
        wrong_promote_ratio: The same of wrong answers.
        certify_failures: Whether a promotion needs the certificate about failed answers.
        certify_answers: Whether it needs the one about wrong answers.
        rung_buckets: Compared stretches that each rung lasts at least.
        missing_buckets: The traffic goes back when so many stretches in a row were not seen.
        max_wait_ns: How long the ramp may take; then `on_unproven` says what follows.
        on_unproven: See `OnUnproven`.
        watch_ns: How long it is still watched after its promotion.
    """

    pool: str
    ramp: tuple[float, ...] = (1.0, 5.0, 10.0, 25.0, 50.0, 100.0)
    bucket_ns: int = 60_000_000_000
    alpha: float = 0.05
    error_ratio: float = 1.2
    slow_ratio: float = 1.1
    wrong_ratio: float = 1.2
    promote_ratio: float = 2.0
    wrong_promote_ratio: float = 2.0
    certify_failures: bool = True
    certify_answers: bool = False
    rung_buckets: int = 3
    missing_buckets: int = 3
    max_wait_ns: int = 4 * 3600 * 1_000_000_000
    on_unproven: OnUnproven = OnUnproven.ASK
    watch_ns: int = 1800 * 1_000_000_000


class AdaptiveMode(StrEnum):
    """What follows from what a learner says."""

    OFF = "off"  # nobody is heard
    SHADOW = "shadow"  # it is heard and written down, and nothing follows
    ON = "on"  # it chooses, among what the guards permit


@dataclass(frozen=True, slots=True, kw_only=True)
class AdaptivePolicy:
    """What may be learnt, and how much trying it out may cost; see docs/explanation/adaptive.md.

    Attributes:
        mode: See `AdaptiveMode`.
        arms: Arms that are heard beside the runbook's.
        missed: Most that a choice may add, in expectation, to the chance of ending outside the
            objectives, 0..1.
        failed: Most that it may add to the share of failed requests, 0..1.
        doubt: How far the twin may be off, in expectation, in what it foresees of an action, as a
            share of the worst hour and of each cost; a bound that somebody stands for, not an
            estimate.
        delta: Chance that a limit is ever exceeded in expectation.
        explore: Probability of choosing evenly among what may be played.
        holds: How often learning may hold back a cure of one incident.
        snapshot: SHA-256 of the trained policy that is the arm `ppo`; empty = none is.
    """

    mode: AdaptiveMode = AdaptiveMode.SHADOW
    arms: tuple[str, ...] = ("hold", "twin")
    missed: float = 0.1
    failed: float = 0.02
    doubt: float = 0.15
    delta: float = 0.05
    explore: float = 0.05
    holds: int = 1
    snapshot: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Managed:
    """One managed deployment, as the core sees its configuration.

    Attributes:
        name: The deployment's name, `^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`.
        mode: How much it trusts the controller.
        scrape_ns: The tick and scrape interval.
        objective: What its users were promised.
        stable_pool: The pool that serves most traffic, for example `a`.
        fallback_pool: The older version's pool, None if there is none.
        scale_actuator: Actuator of replicas, versions, batch and drain.
        traffic_actuator: Actuator of weights and the gateway limit, None if there is none.
        replica_usd_per_hour: Price of one replica.
        guard: Guard settings.
        policy_digest: SHA-256 of the policy file's canonical form.
        twin: How its actions are rehearsed; None = it has no twin.
        canary: How a new version gets its traffic; None = it has no pool to try one in.
        slos: Promises over weeks, with an error budget each.
        money: Prices and budgets; None = no price is declared.
        shares: What it shares with others, for example a node pool: of all that share one, one
            at a time is changed.
        feedback: How far what people say may move the lines of detection; None = nothing is learnt.
        adaptive: What may be learnt; None = nobody is heard but the runbook.
        training: How a retrain is asked for; None = there is nobody to ask.
    """

    name: str
    mode: Mode
    scrape_ns: int
    objective: Objective
    stable_pool: str
    fallback_pool: str | None
    scale_actuator: str
    traffic_actuator: str | None
    replica_usd_per_hour: float
    guard: GuardPolicy
    policy_digest: str
    twin: TwinPolicy | None = None
    canary: CanaryPolicy | None = None
    slos: tuple[SloSpec, ...] = ()
    money: MoneyPolicy | None = None
    shares: tuple[str, ...] = ()
    feedback: FeedbackPolicy | None = None
    adaptive: AdaptivePolicy | None = None
    training: TrainingPolicy | None = None

    @property
    def acts(self) -> bool:
        """Whether it may write at all: its mode is no shadow's, and its policy is proved."""
        return self.mode is not Mode.SHADOW and self.guard.unproved == ""
