"""The part of the detector kit that looks at what is said: gaps, shifts, false alarms, p-values."""

from typing import Final

import numpy as np

from homeostat.testing.detector_run import Feed, Subject, noise

WARM: Final = 200  # ticks after which any detector with default settings must judge
_SHIFT: Final = 8.0  # standard deviations; the size that fleet-wide budgets are stated for
_FOUND_WITHIN: Final = 20  # ticks
_FALSE_SHARE: Final = 1e-3  # of healthy series-ticks; a persistence rule of four cannot carry more


def check_a_gap_is_unknown(subject: Subject) -> str | None:
    """NaN and infinities are unknown, for their row only, and never an alarm."""
    feed = Feed(subject.make(), 4).all(noise(WARM, 4))
    row = noise(1, 4, seed=9)[0]
    row[1:] = [np.nan, np.inf, -np.inf]
    said = feed.tick(row)
    unknown = np.isnan(said.neg_log10_p)
    if not unknown[1:].all() or said.alarm[1:].any():
        return f"a gap must be unknown, said {said}"
    if unknown[0]:
        return "one row's gap made its neighbour unknown"
    return None


def check_silence_teaches_nothing(subject: Subject) -> str | None:
    """A series that was silent since the start knows nothing; one that fell silent resumes."""
    feed = Feed(subject.make(), 2)
    silent = np.full((WARM, 2), np.nan)
    feed.all(silent)
    if np.isfinite(feed.scores()).any() or feed.alarms().any():
        return "it judged a series that never said anything"
    feed.all(noise(WARM, 2)).all(silent).all(noise(WARM, 2, seed=3))
    after = feed.alarms()[3 * WARM :]
    if after.mean() > 0.01:  # noqa: PLR2004 - ten times the share that is allowed without a gap
        return f"{after.mean():.1%} alarms after a silence"
    return None


def check_it_answers(subject: Subject) -> str | None:
    """After the warm-up, a value gets a verdict with evidence between p = 1 and a finite score."""
    feed = Feed(subject.make(), 20).all(noise(WARM + 20, 20))
    scores = feed.scores()[WARM:]
    if np.isnan(scores).any():
        share = np.isnan(scores).mean()
        return f"{share:.0%} still unknown after {WARM} ticks"
    if (scores < 0.0).any() or np.isinf(scores).any():
        return "-log10 p must be 0 or more and finite"
    return None


def check_it_is_not_mute(subject: Subject) -> str | None:
    """A lasting shift of eight deviations is found, in each direction that has a band edge.

    A band edge is a promise: NaN for `low` or `high` says that this side is not looked at.
    """
    probe = Feed(subject.make(), 1).all(noise(WARM, 1)).said[-1]
    sides = [(1.0, probe.high), (-1.0, probe.low)]
    watched = [sign for sign, edge in sides if np.isfinite(edge).all()]
    if not watched:
        return "no band on either side, so nothing is promised"
    for sign in watched:
        values = noise(WARM + _FOUND_WITHIN, 100)
        values[WARM:] += sign * _SHIFT
        feed = Feed(subject.make(), 100).all(values)
        found = feed.alarms()[WARM:].any(axis=0).mean()
        if found < 0.95:  # noqa: PLR2004 - 95 of 100 series
            return (
                f"found {found:.0%} of shifts by {sign * _SHIFT:+.0f} deviations "
                f"within {_FOUND_WITHIN} ticks"
            )
        scores, alarms = feed.scores(), feed.alarms()
        if np.isnan(scores[alarms]).any():
            return "an alarm without evidence (its score is unknown)"
        if scores[alarms].min() < np.nanmedian(scores[:WARM]):
            return "an alarm has less evidence than ordinary noise"
    return None


def check_false_alarms(subject: Subject) -> str | None:
    """Independent normal noise is called healthy, young or old, and its p-values are honest.

    On noise, p is below 0.1 in at most 10 % of ticks, and below 0.01 in at most 1 %.
    """
    feed = Feed(subject.make(), 200).all(noise(WARM + 300, 200, seed=4))
    alarms = feed.alarms().mean()
    if alarms > _FALSE_SHARE:
        return f"{alarms:.2%} of healthy ticks alarm, at most {_FALSE_SHARE:.2%} may"
    scores = feed.scores()[WARM::20]  # far apart, so nearly independent
    for level in (1.0, 2.0):
        p = 10.0**-level
        share = (scores >= level).mean()
        # Four standard errors; a chart's neighbours in time are not quite independent.
        if share > p + 4.0 * np.sqrt(p / scores.size):
            return f"p < {p:g} in {share:.2%} of healthy ticks"
    return None


def check_a_constant_is_no_alarm(subject: Subject) -> str | None:
    """A flat series is healthy, rounding included."""
    flat = np.full((WARM, 3), 0.1 + 0.2) * [1.0, 0.0, 1e9]
    flat[WARM // 2 :: 2] *= 1.0 + 3e-16
    if Feed(subject.make(), 3).all(flat).alarms().any():
        return "a constant series alarms on rounding"
    return None
