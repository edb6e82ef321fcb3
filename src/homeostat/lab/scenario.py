"""A scenario: what may go wrong, to which deployment, and what is right and wrong to do then.

Values only: `scenario_schema.load` reads them from text, `scenario_write.dump` writes them back,
`draw.draw` makes an episode of one and a seed. Nothing here knows the twin's arrays.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from homeostat.twin.shapes import Cure


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """A number drawn between two others.

    Attributes:
        low: Least.
        high: Greatest; equal to `low` for a fixed number.
        log: Even in the logarithm, else even.
        whole: A whole number, both ends included.
    """

    low: float
    high: float
    log: bool = False
    whole: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One of several numbers, all equally likely."""

    options: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Param:
    """The number that one of the scenario's `params` came to."""

    name: str


Spec = Range | Choice | Param


def fixed(value: float) -> Range:
    """Return the specification of a number that is not drawn."""
    return Range(low=value, high=value)


class OnsetShape(StrEnum):
    """How a fault comes and goes, in the catalogue's words."""

    STEP = "step"
    RAMP = "ramp"
    STEP_OR_RAMP = "step_or_ramp"
    PULSE = "pulse"
    STEP_OR_PULSE = "step_or_pulse"
    EXP_RISE_DECAY = "exp_rise_decay"
    PERIODIC = "periodic"
    TRIGGER = "trigger_then_self_sustained"
    IMPULSE = "impulse"
    ROLLOUT = "step_with_rollout_steps"
    AMPLIFY = "step_then_amplify"
    AT_ROLLBACK = "at_first_rollback"
    QUIET_THEN_PEAK = "quiet_then_peak"


class Target(StrEnum):
    """What a fault hits."""

    DEPLOYMENT = "deployment"
    A = "A"
    B = "B"
    CANARY = "canary"
    NEW_VERSION = "new_version"  # what pool A runs
    ALL_VARIANTS = "all_variants"
    ONE_REPLICA = "one_replica"
    SOME_REPLICAS = "some_replicas"  # a `share` of them; all, also those to come, at 1
    COUNTED_REPLICAS = "one_or_some"  # as many as the magnitude says
    ALL_REPLICAS = "all_replicas"
    NODE_GROUP = "node_group"  # neighbours: the share that the magnitude (or `share`) says
    HARDWARE_POOL = "pool"  # one of `n_pools`
    VARIANT_OR_SOME = "variant_or_some_replicas"  # either, equally likely
    ALL_SIGNALS = "all_signals"
    SOME_SIGNALS = "some_signals"  # the listed `signals`, or a `share` of the classes
    ROLLBACK = "rollback"  # only the writes of a rollback


class Basis(StrEnum):
    """What a magnitude is a multiple of."""

    ITSELF = "itself"
    DEMAND = "demand"  # organic requests per second before the fault
    REPLICAS = "replicas"  # replicas that cost money before the fault
    IN_FLIGHT = "in_flight"  # requests in the system before the fault
    USUAL = "usual"  # the usual load, whatever an earlier fault of the same primitive made of it
    SECONDS = "seconds"  # seconds of organic load
    TIME_TO_LIMIT = "time_to_limit"  # seconds until the limit is reached at the usual load


@dataclass(frozen=True, slots=True, kw_only=True)
class Onset:
    """When and how; None = as the scenario's own onset says (and the same drawn value).

    Attributes:
        shape: How strength moves.
        start_s: Of the episode.
        delay_s: After the scenario's start; faults only.
        ramp_s: Until full strength.
        duration_s: Until it ends by itself, or at least so long.
        until_fixed: It does not end before the episode or a cure does.
        period_s: Of periodic shapes and pulses.
        width_s: Of one pulse.
        pulses: How many; None = until `duration_s` is over.
    """

    shape: OnsetShape | None = None
    start_s: Spec | None = None
    delay_s: Spec | None = None
    ramp_s: Spec | None = None
    duration_s: Spec | None = None
    until_fixed: bool | None = None
    period_s: Spec | None = None
    width_s: Spec | None = None
    pulses: Spec | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault of a scenario.

    Attributes:
        primitive: Name of a `twin.primitives.Primitive`.
        magnitude: In its unit, times the basis.
        target: What it hits.
        of: What the magnitude is a multiple of.
        share: Of the replicas, signal classes or requests that are hit; None = as the target says.
        signals: Classes of signals that are hit; empty = as the target says.
        spares_b: 1 = pool B is not hit (it lacks that input or dependency), 0 = it is.
        cure: What removes it.
        ambient: Not a fault but how things are: true of the deployment from the start.
        onset: Where it differs from the scenario's.
    """

    primitive: str
    magnitude: Spec
    target: Target
    of: Basis = Basis.ITSELF
    share: Spec | None = None
    signals: tuple[str, ...] = ()
    spares_b: Spec | None = None
    cure: Cure = Cure.NONE
    ambient: bool = False
    onset: Onset = field(default_factory=Onset)


class Profile(StrEnum):
    """What organic load looks like without a fault."""

    FLAT = "flat"
    DIURNAL = "diurnal"
    TRACE = "trace"


class Peaks(StrEnum):
    """What becomes of a recorded load's peaks where the deployment has no room for them."""

    FIT = "fit"  # all of the load is scaled down until the highest fits
    KEPT = "kept"  # they stay, and the promise may be broken before any fault


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Organic load over the episode, scaled so that its start (or mean) meets `base_rho`.

    Attributes:
        profile: Its form.
        peak_ratio: Top / bottom of a day; diurnal only.
        period_s: Of a day; diurnal only.
        trace: Name of a recorded load; trace only.
        compress: Seconds of the record per second of the episode; trace only.
        peaks: What becomes of peaks that do not fit; trace only.
    """

    profile: Profile = Profile.FLAT
    peak_ratio: Spec | None = None
    period_s: Spec | None = None
    trace: str = ""
    compress: Spec | None = None
    peaks: Peaks = Peaks.FIT


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """A right thing to do: `do`, when `when`; in the catalogue's words."""

    when: str
    do: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Temptation:
    """A wrong thing to do, why, and which catastrophes it may cause (K-codes)."""

    action: str
    why: str
    codes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One scenario.

    Attributes:
        id: Unique in its catalogue, for example `S07`.
        name: In words_with_underscores.
        family: One of `lab.types.FAMILIES`.
        summary: One paragraph for people.
        faults: What goes wrong.
        onset: When and how.
        length_s: Of an episode.
        recoverable: Whether a controller can put it right: yes, no, or the name of a parameter
            that says so (1) or not (0) for each draw.
        benign: Whether nothing is wrong at all.
        self_heals: Whether it ends by itself.
        deployment: What is drawn otherwise than `deployments.DEFAULTS` says.
        load: Organic load.
        params: Numbers drawn once and used by name.
        signals: Signature: signal to shape code.
        leading_signal: What shows it first.
        best: What is right to do.
        unsafe: What is tempting and wrong.
        ineffective: What does nothing.
        sources: Where it is known from.
        grounding: How well: issue, postmortem, paper, dataset.
        live_injection: How it is done to real processes.
        note: What this text adds to the catalogue it is from, and why.
    """

    id: str
    name: str
    family: str
    summary: str
    faults: tuple[Fault, ...]
    onset: Onset
    length_s: int
    recoverable: bool | str = True
    benign: bool = False
    self_heals: bool = False
    deployment: Mapping[str, Spec] = field(default_factory=dict)
    load: Load = field(default_factory=Load)
    params: Mapping[str, Spec] = field(default_factory=dict)
    signals: Mapping[str, str] = field(default_factory=dict)
    leading_signal: str = ""
    best: tuple[Advice, ...] = ()
    unsafe: tuple[Temptation, ...] = ()
    ineffective: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    grounding: str = ""
    live_injection: str = ""
    note: str = ""
