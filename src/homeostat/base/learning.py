"""What a learning policy chose and what came of it, for the journal and for off-policy evaluation.

A `Pick` is written with the decision (in a `Seating`), a `Payoff` when its effect has settled (in a
`Lesson`), possibly hours later and in any order. Together they are all that learning reads: a state
of a policy can be built again from them, bit for bit. Nothing here permits anything.
"""

import math
from dataclasses import dataclass

from homeostat.base.actions import Action
from homeostat.base.units import TimeNs

INCUMBENT = "runbook"
"""The arm that is played wherever nothing else may be."""
TRAINED = "ppo"
"""The arm of a trained policy's snapshot."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pick:
    """What a learning policy chose, and with what probability it could have chosen otherwise.

    Attributes:
        id: The decision's id.
        at: When it was chosen; its outcome is learnt as of then, whenever it arrives.
        features: The context, on the grid of `policy.features`, bounded by 1 in length.
        arm: Index of the arm; -1 = the incumbent, whose difference to itself is nothing to learn.
        fraction: Share of the deployment that the arm was given, 0..1.
        propensity: Probability of exactly this choice, in (0, 1].
        propensities: Of every arm in their order, the incumbent last; they add up to 1.
        foreseen: What the twin foresaw of exactly this choice, gain and extra costs; learnt is
            what outcomes differ from it by. Empty = it was not asked.
    """

    id: str
    at: TimeNs
    features: tuple[float, ...]
    arm: int
    fraction: float
    propensity: float
    propensities: tuple[float, ...] = ()
    foreseen: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Payoff:
    """What came of a pick, against what the incumbent would have given; NaN = not known.

    Attributes:
        pick_id: The decision's id.
        reward: Reward over the settle time, in the reward's own unit (`policy.reward`).
        base_reward: The incumbent's: measured beside it, or foreseen by the twin.
        costs: One number for each constraint, 0..1.
        base_costs: The incumbent's.
    """

    pick_id: str
    reward: float
    base_reward: float
    costs: tuple[float, ...] = ()
    base_costs: tuple[float, ...] = ()

    def gains(self) -> tuple[float, ...] | None:
        """Return reward and costs less the incumbent's, None when one of them is not known.

        A part that is not known is not zero: the whole outcome teaches nothing then.
        """
        if len(self.costs) != len(self.base_costs):
            return None
        pairs = [(self.reward, self.base_reward), *zip(self.costs, self.base_costs, strict=True)]
        gains = tuple(own - base for own, base in pairs)
        return gains if all(math.isfinite(gain) for gain in gains) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """One thing that an arm would do at one fraction; the guards have permitted it.

    Attributes:
        arm: The arm's name.
        action: What would be done.
        fraction: The share of the whole action that it is, in (0, 1].
        whole: The whole action, where this is a part of it.
    """

    arm: str
    action: Action
    fraction: float = 1.0
    whole: Action | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Liked:
    """What a trained policy would do among what is permitted.

    Attributes:
        offers: What it likes best, whole and in parts; empty where that is to hold, or nothing.
        said: For people: its snapshot, what it likes and with which probability, or why nothing.
    """

    offers: tuple[Offer, ...] = ()
    said: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """What is remembered from tick to tick for a trained policy; float32 values.

    Attributes:
        charts: The control charts' memory; empty before the first tick.
        scores: Of each charted series, -log10 p; None = not judged.
        fast: Mean of the log of arrivals over the last few scrapes; None = none yet.
        slow: The same over the last five minutes, at 15 seconds a scrape.
        calm: Ticks in a row with the objectives known and met, as far back as it counts.
        jobs: Requests that one replica held at once when it was first read; None = not yet.
    """

    charts: tuple[float, ...] = ()
    scores: tuple[float | None, ...] = ()
    fast: float | None = None
    slow: float | None = None
    calm: int = 0
    jobs: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Bounds of a number and its estimate; NaN = not known."""

    low: float
    mid: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One arm as it was weighed, for the journal and for people.

    Attributes:
        name: Which.
        action: What it would do, kind and subject.
        fraction: The share at which it was, or would have been, played.
        chance: With which probability it could be chosen.
        gain: Reward over the incumbent's, in shares of the worst hour (`policy.seat_effect`).
        extra: Cost over the incumbent's: ending outside the objectives, failed requests.
        refused: Why it could not be played, one sentence each; empty = it could.
    """

    name: str
    action: str
    fraction: float
    chance: float
    gain: Span
    extra: tuple[Span, ...]
    refused: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """What a learner would do; `loop.seat` believes nothing of it unseen.

    Attributes:
        number: Which offer; -1 = what would be done without it.
        pick: For the journal.
        arms: Every arm, as it was weighed.
        base: What is foreseen of the incumbent: reward, then each cost.
        because: Why, one sentence each.
        room: How much each cost may be above the incumbent's.
    """

    number: int
    pick: Pick
    arms: tuple[Arm, ...]
    base: tuple[float, ...]
    because: tuple[str, ...]
    room: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Seating:
    """A learner was heard on a decision: a fact of the journal, with exact chances.

    Attributes:
        decision_id: Which.
        deployment: The managed model's name.
        at: When.
        mode: `shadow` (it was heard and nothing followed) or `on`.
        roll: The draw, in [0, 1), made from `key` alone.
        key: The counter that the draw was made from.
        wanted: The arm that it chose.
        played: The arm that was played: the runbook's in shadow, and where advice makes no sense.
        pick: What was played, and with what chance.
        arms: Every arm, as it was weighed.
        because: Why, one sentence each.
        trained: What a trained policy said, in words; empty where none was heard.
    """

    decision_id: str
    deployment: str
    at: TimeNs
    mode: str
    key: str
    roll: float
    wanted: str
    played: str
    pick: Pick
    arms: tuple[Arm, ...]
    because: tuple[str, ...]
    trained: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What was measured since a pick, as sums of what was known.

    Attributes:
        ticks: Ticks in all.
        latency: How many had a believed p95, and their sum in milliseconds.
        errors: How many had a believed share of failures, and their sum.
        spend: How many had a world that could be priced, and the sum in USD an hour.
        missed: On how many it was known whether the objectives were met, and on how many not.
        met: Whether the objectives were met on the last three ticks, oldest first; None = unknown.
    """

    ticks: int = 0
    latency: tuple[int, float] = (0, 0.0)
    errors: tuple[int, float] = (0, 0.0)
    spend: tuple[int, float] = (0, 0.0)
    missed: tuple[int, float] = (0, 0.0)
    met: tuple[bool | None, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Awaited:
    """A pick whose outcome is not known yet.

    Attributes:
        pick: What was played.
        arm: Its name.
        incident_id: The incident that it answers; empty in calm.
        until: When its effect has settled: as far as the twin looked ahead.
        base: What was foreseen of the incumbent: reward, then each cost.
        before: p95 when it was decided, milliseconds; NaN = not known.
        foreseen_hold: What the twin foresaw of it had nothing been done.
        foreseen_low: Lower end of the 90 % interval of what it foresaw of this choice.
        foreseen_high: Upper end.
        met: Whether the objectives were met when it was decided.
        because: Why it was chosen.
        arms: Every arm as it was weighed, where learning acted; empty where it did not.
        room: How much each cost may be above the incumbent's.
        tally: What was measured since.
        harm: Why it is charged as missed throughout, whatever was measured; empty = it is not.
        closed: The horizon is over and its action still in flight: nothing more is measured.
    """

    pick: Pick
    arm: str
    incident_id: str
    until: TimeNs
    base: tuple[float, ...]
    before: float
    foreseen_hold: float
    foreseen_low: float
    foreseen_high: float
    met: bool | None
    because: tuple[str, ...] = ()
    arms: tuple[Arm, ...] = ()
    room: tuple[float, ...] = ()
    tally: Tally = Tally()
    harm: str = ""
    closed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Covering:
    """How well the twin's 90 % intervals held the last effects.

    Attributes:
        hits: Whether each was held, oldest first.
        unknown: Effects that could not be judged, ever.
        drop: Whether autonomy is to drop to approve.
        because: In words.
    """

    hits: tuple[bool, ...] = ()
    unknown: int = 0
    drop: bool = False
    because: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How learning stands against the runbook, by the outcomes of what it did.

    Attributes:
        rounds: Outcomes that were scored.
        mean: Mean difference in reward, then in each cost.
        squares: Sums of squared distances from them.
        unknown: Outcomes that are not known.
        unscored: Those of which one of the two could not have been seen.
        answer: `promote` (surely better, within every limit), `refuse` (surely worse, or above a
            limit) or `wait`.
        because: In words; how many outcomes are missing where that is known.
        limits: Of the costs that were counted: their difference to the runbook's.
    """

    rounds: int = 0
    mean: tuple[float, ...] = ()
    squares: tuple[float, ...] = ()
    unknown: int = 0
    unscored: int = 0
    answer: str = "wait"
    because: tuple[str, ...] = ()
    limits: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """What came of a pick: a fact of the journal.

    Attributes:
        decision_id: Which.
        deployment: The managed model's name.
        at: When it had settled.
        arm: The arm that was played.
        payoff: Measured, and foreseen of the incumbent; NaN = not known.
        held: Whether the twin's interval held what came; None = not known.
        covering: After it.
        because: What was learnt, or why nothing was.
        standing: After it.
    """

    decision_id: str
    deployment: str
    at: TimeNs
    arm: str
    payoff: Payoff
    held: bool | None
    covering: Covering
    because: str
    standing: Standing = Standing()


@dataclass(frozen=True, slots=True, kw_only=True)
class SeatState:
    """All that the seat remembers; a function of the journal.

    Attributes:
        learnt: The bandit's state as text (`policy.bandit_file`); empty = nothing was learnt.
        awaited: The pick whose outcome is awaited, None for none.
        covering: How well the twin's intervals held.
        distrusted: Autonomy is down to approve until a person sets the mode.
        held_for: The incident that learning last held back a cure of.
        holds: How often it did.
        standing: How it stands against the runbook.
        demoted: It is heard and not followed until a person sets the mode.
        watched: What is remembered for a trained policy, None where none is an arm.
    """

    learnt: str = ""
    awaited: Awaited | None = None
    covering: Covering = Covering()
    distrusted: bool = False
    held_for: str = ""
    holds: int = 0
    standing: Standing = Standing()
    demoted: bool = False
    watched: Watched | None = None
