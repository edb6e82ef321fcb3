"""What people, objectives and outcomes said of what was told of, and what follows from it.

Detection alone is moved by it: which suspicions open an incident, and what else is told of. What
the guards see is the evidence as it was found. The state is in the checkpoint and is a function of
the journal.
"""

from dataclasses import dataclass
from enum import StrEnum

from homeostat.base.evidence import Family
from homeostat.base.units import HOUR, TimeNs


class FeedbackMode(StrEnum):
    """What follows from what was said."""

    OFF = "off"  # nothing is learnt
    WATCH = "watch"  # it is learnt, and nothing follows
    ON = "on"  # lines move


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackPolicy:
    """How far what people say may move the lines of detection.

    Attributes:
        mode: See `FeedbackMode`.
        per_day: False alarms of one deployment and day that are allowed; no line is lower.
        sure: Confidence that they are kept to, in (0.5, 1).
        words: So many words move a line: incidents of a family called nothing, one after the
            other, before anything like them is held back; troubles that nobody was told of before
            fainter signs are told of. At least 2, because one answer is a slip now and then.
        loudest: A suspicion this confident is never held back, in (0, 1].
        faintest: Nothing fainter than this share of a shipped line is told of, in (0, 1].
        answer_ns: How long an incident waits for a word after it ended.
        report_ns: How long quiet time waits for a word that something was missed in it.
        keep_ns: A line that words raised goes back by itself after this long.
    """

    mode: FeedbackMode = FeedbackMode.ON
    per_day: float = 1.0
    sure: float = 0.8
    words: int = 3
    loudest: float = 0.9
    faintest: float = 0.5
    answer_ns: int = 72 * HOUR
    report_ns: int = 6 * HOUR
    keep_ns: int = 30 * 24 * HOUR


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A person's word on an incident, or on a time without one.

    Attributes:
        by: Who.
        at: When it was said.
        real: There was trouble.
        family: What it was, None where nobody said.
    """

    by: str
    at: TimeNs
    real: bool
    family: Family | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A stretch of time summed up while it lasts: an incident, or a quarter of an hour without.

    Attributes:
        since: Its first tick.
        until: Its last tick so far.
        peaks: The highest bin of each channel, a letter each, `a` for unknown.
        worst: The bins at the tick with the highest score.
        score: That score.
        ticks: How many ticks are in it; those with an action of ours in flight are not.
        incident_id: The incident; empty for quiet time.
        family: What was suspected, with `confidence` at most.
        confidence: 0..1.
        touched: An action of ours was in flight.
        missed: The objectives were missed for as long as counts.
        helped: An action of ours was seen to help.
        mute: It says nothing of what is normal: drift was suspected, or the incident before it was
            not called nothing.
        words: What people said of it.
    """

    since: TimeNs
    until: TimeNs
    peaks: str
    worst: str
    score: float
    ticks: int = 0
    incident_id: str = ""
    family: Family | None = None
    confidence: float = 0.0
    touched: bool = False
    missed: bool = False
    helped: bool = False
    mute: bool = False
    words: tuple[Said, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Nothing:
    """An incident that somebody called nothing.

    Attributes:
        incident_id: Which.
        family: What was suspected.
        confidence: How confidently at most, 0..1.
        by: Who said so.
        at: When.
    """

    incident_id: str
    family: Family
    confidence: float
    by: str
    at: TimeNs


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistaken:
    """How often people named another kind of fault than was suspected."""

    suspected: Family
    said: Family
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """A line that feedback moved: when, and how and by whose words in one sentence."""

    at: TimeNs
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackState:
    """What one deployment's detection has learnt from what was said; bounded.

    Attributes:
        channels: Digest of the channels that letters stand for, in their order.
        learnt: The learner's state as text (`learn.feedback_file`); empty = nothing was learnt.
        recent: Bins of the last ticks, oldest first.
        missed: Ticks in a row on which the objectives were missed.
        open: The stretch that lasts, None before the first tick.
        waiting: Stretches that somebody may still speak of, oldest first.
        nothings: Incidents that were called nothing since the last real one like them.
        mistaken: See `Mistaken`.
        overlooked: Troubles without an incident: reported, or objectives that were missed.
        moves: The last lines that moved, oldest first.
        told: On the last tick a learnt line alone spoke.
        held: Families that were held back on the last tick.
        settled: The last finished action that was looked at.
        stopped: The answers changed so much that nothing is learnt until a person says so.
    """

    channels: str = ""
    learnt: str = ""
    recent: tuple[str, ...] = ()
    missed: int = 0
    open: Span | None = None
    waiting: tuple[Span, ...] = ()
    nothings: tuple[Nothing, ...] = ()
    mistaken: tuple[Mistaken, ...] = ()
    overlooked: int = 0
    moves: tuple[Moved, ...] = ()
    told: bool = False
    held: tuple[Family, ...] = ()
    settled: str = ""
    stopped: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Heeded:
    """What feedback makes of one tick; the loop applies it, within bounds of its own.

    Attributes:
        bins: The tick's bins of strengths that have lasted.
        score: What they are worth together.
        held: Which of the evidence's suspicions are like what people called nothing.
        told: Whether what was learnt tells of this tick, on which nothing is suspected.
        because: Why, one sentence each, for people.
    """

    bins: str
    score: float
    held: tuple[bool, ...]
    told: bool
    because: tuple[str, ...] = ()
