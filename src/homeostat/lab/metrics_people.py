"""What an episode asked of people, and what was noticed, named and foretold in it.

Per episode, from the policy's moves against the ground truth of the scenario. Readings:

- A page costs the human model's minutes, whoever says what; a policy's own `person_minutes` count
  only for decisions without a page (approvals). Whoever is at it is not paged again.
- An escalation is correct when it comes after the onset with the right family. One with no family
  or a wrong one becomes correct when the person has found out, which is when they are done.
- A fault is one event, from its onset to the last second in which it is active or there is damage
  (see `metrics_windows`). It is detected by an alarm that begins within that time; an alarm that
  begins outside it is a false one. A person paged, or the deployment changed, where there is no
  fault is a false intervention.
- The diagnosis is the first family named at or after the onset; none is a wrong one.
- Lead time is from the first alarm of the event to HOLD's first damage after the onset, so
  that a breach averted still counts; negative when the alarm came later.
- A breach probability is compared with whether HOLD suffers damage in the next ten minutes, up to
  the policy's first own action; after it HOLD's future is no longer what was foretold.
"""

from dataclasses import dataclass

import numpy as np

from homeostat.lab.human import responses
from homeostat.lab.judge_change import decided
from homeostat.lab.judge_view import Floats, Mask, View, first_true, ticks
from homeostat.lab.metrics_windows import damaged
from homeostat.lab.thresholds import Thresholds
from homeostat.lab.types import FAMILIES, Episode, Trace
from homeostat.twin.shapes import SCRAPE_S, TICK_S

_PER_SCRAPE = round(SCRAPE_S / TICK_S)


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """Per episode [N]; NaN where a time does not apply.

    Attributes:
        minutes: Of people's time.
        pages: Separate pages.
        false_interventions: Pages and changes where there is no fault.
        escalation_s: Onset to the correct escalation; NaN where there was none.
        found: Faults detected, 0 or 1.
        missed: Faults not detected, 0 or 1.
        false_alarms: Alarms with nothing behind them.
        named: Whether the first diagnosis was the right family.
        lead_s: First alarm to HOLD's first damage; NaN without either.
        brier: Sum of squared errors of the breach probabilities.
        breaches: Of the forecasts counted, those after which HOLD was in breach.
        forecasts: Breach probabilities that could be compared; 0 when there are none.
    """

    minutes: Floats
    pages: Floats
    false_interventions: Floats
    escalation_s: Floats
    found: Floats
    missed: Floats
    false_alarms: Floats
    named: Floats
    lead_s: Floats
    brier: Floats
    breaches: Floats
    forecasts: Floats


def people(
    trace: Trace, seen: View, hold: View, thresholds: Thresholds, *, scale: float = 1.0
) -> People:
    """Return what a batch of episodes asked of people, and what was noticed in it.

    Args:
        trace: The policy's.
        seen: The same, as the judge sees it.
        hold: HOLD's.
        thresholds: The numbers.
        scale: Of the human model's delays.
    """
    rows = [
        _asked(episode, trace, row, thresholds, scale) for row, episode in enumerate(trace.episodes)
    ]
    minutes, pages, escalation, unneeded = (np.array(values) for values in zip(*rows, strict=True))
    return People(
        minutes=minutes,
        pages=pages,
        false_interventions=unneeded,
        escalation_s=escalation,
        **_noticed(trace, seen, hold, thresholds),
        named=_named(trace),
        **_foretold(trace, seen, hold, thresholds),
    )


def _asked(
    episode: Episode, trace: Trace, row: int, thresholds: Thresholds, scale: float
) -> tuple[float, float, float, float]:
    """Return minutes, pages, time to the correct escalation and false interventions."""
    valid = decided(trace)[row]
    at = (np.arange(len(valid)) + 1.0) * SCRAPE_S
    paged = np.asarray(trace.moves["paged"][row], dtype=bool) & valid
    changed = np.asarray(trace.moves["intervened"][row], dtype=bool) & valid
    family = np.asarray(trace.moves["family"][row])
    answers = responses(episode, at[paged].tolist(), scale=scale, thresholds=thresholds)
    own = np.asarray(trace.moves["person_minutes"][row], dtype=np.float64)
    minutes = sum(one.minutes for one in answers) + float(own[valid & ~paged].sum())
    right = at[paged & (family == FAMILIES.index(episode.family)) & (at >= episode.onset_s)]
    known = [*right.tolist()[:1]]
    blind = at[paged & (at >= episode.onset_s)]
    known += [
        one.fixed_s
        for one in responses(episode, blind.tolist()[:1], scale=scale, thresholds=thresholds)
    ]
    escalation = min(known) - episode.onset_s if known else np.nan
    if escalation > episode.length_s - episode.onset_s:
        escalation = np.nan  # found out after the end: censored there
    unneeded = float(changed.sum()) + len(answers) if episode.benign else 0.0
    return minutes, float(len(answers)), escalation, unneeded


def _noticed(trace: Trace, seen: View, hold: View, thresholds: Thresholds) -> dict[str, Floats]:
    alarm = np.asarray(trace.moves["alarm"], dtype=bool) & decided(trace)
    begins = alarm.copy()
    begins[:, 1:] &= ~alarm[:, :-1]
    at = (np.arange(alarm.shape[1]) + 1) * _PER_SCRAPE
    event, end = _event(trace, seen, thresholds)
    inside = begins & event[:, None] & (at >= seen.onset_tick) & (at <= end[:, None])
    found = inside.any(axis=1)
    hurt = damaged(hold, thresholds) & (np.arange(hold.valid.shape[1]) >= hold.onset_tick)
    breach = first_true(hurt)
    lead = (breach - at[inside.argmax(axis=1)]) * TICK_S
    return {
        "found": found.astype(np.float64),
        "missed": (event & ~found).astype(np.float64),
        "false_alarms": (begins & ~inside).sum(axis=1).astype(np.float64),
        "lead_s": np.where(found & (breach >= 0), lead, np.nan),
    }


def _event(trace: Trace, seen: View, thresholds: Thresholds) -> tuple[Mask, Floats]:
    """Return which episodes have a fault to be found [N], and its last tick [N]."""
    index = np.arange(seen.valid.shape[1])
    active = (np.asarray(seen.truth.faulty, dtype=bool) & seen.valid) | damaged(seen, thresholds)
    active &= index >= seen.onset_tick
    last = np.where(active, index, -1).max(axis=1)
    benign = np.array([episode.benign for episode in trace.episodes])
    starts = seen.onset_tick[:, 0] < seen.valid.sum(axis=1)
    return starts & ~benign, np.maximum(last, seen.onset_tick[:, 0])


def _named(trace: Trace) -> Floats:
    out = np.zeros(len(trace.episodes))
    family = np.where(decided(trace), np.asarray(trace.moves["family"]), -1)
    at = (np.arange(family.shape[1]) + 1.0) * SCRAPE_S
    for row, episode in enumerate(trace.episodes):
        named = family[row, (family[row] >= 0) & (at >= episode.onset_s)]
        out[row] = named.size > 0 and int(named[0]) == FAMILIES.index(episode.family)
    return out


def _foretold(trace: Trace, seen: View, hold: View, thresholds: Thresholds) -> dict[str, Floats]:
    none = np.zeros(len(trace.episodes))
    if "breach_probability" not in trace.moves:
        return {"brier": none, "breaches": none, "forecasts": none}
    chance = np.asarray(trace.moves["breach_probability"], dtype=np.float64)
    reach = ticks(thresholds.breach_horizon_s)
    at = (np.arange(chance.shape[1]) + 1) * _PER_SCRAPE
    total = np.cumsum(damaged(hold, thresholds), axis=1)
    last = np.minimum(at + reach, total.shape[1]) - 1
    breach = total[:, last] - total[:, np.minimum(at, total.shape[1]) - 1] > 0
    fits = at + reach <= hold.valid.sum(axis=1)[:, None]
    before = ~seen.after[:, np.minimum(at, total.shape[1]) - 1]
    counted = np.isfinite(chance) & fits & before
    error = np.where(counted, np.where(counted, chance, 0.0) - breach, 0.0)
    return {
        "brier": (error**2).sum(axis=1),
        "breaches": (breach & counted).sum(axis=1).astype(np.float64),
        "forecasts": counted.sum(axis=1).astype(np.float64),
    }
