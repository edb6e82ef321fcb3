"""What is foretold: P(breach) beside rivals, lead times, and actions on what does not come."""

from typing import Any, Final

import numpy as np

from detection import breaches
from detection.false_incidents import garwood
from detection.made import Asked
from detection.rows import Found, Outcome, measured

_SEEDS: Final = {"long": (10, 100), "short": (1, 1), "sample": (1, 1)}
"""Of each scenario with a fault, and of each without."""
_WEEK: Final = 7.0
_HEAD: Final = (
    "| scenario | lead, s | from onset to harm, in provisioning times |",
    "|---|---|---|",
)


def forecasts(asked: Asked) -> Outcome:
    """Return the rows of forecasts; what cannot be measured here is said, and stops no other."""
    found: dict[str, Found] = {}
    texts, why = [], []
    for part in (_skills, _scenarios):
        try:
            some, text = part(asked)
        except (FileNotFoundError, ImportError) as error:
            why.append(str(error))
        else:
            found |= some
            texts.append(text)
    return Outcome(found, "\n\n".join(texts), "; ".join(why))


def _skills(asked: Asked) -> tuple[dict[str, Found], str]:
    said = breaches.measured(asked)
    found = {
        f"forecasts.{rival}_{minutes}": measured(
            one.value,
            one.resampled,
            how=f"limit: 99.5 % of the first half, judged: the second; {said.how}, drawn again "
            "for the interval",
            peers=f"above the same rival that says how often it was right so far: {one.rate:+.2f}",
            short=asked.size("forecasts") != "long",
        )
        for (minutes, rival), one in said.skills.items()
    }
    return found, said.text


def _scenarios(asked: Asked) -> tuple[dict[str, Found], str]:
    """Return the rows of the lab.

    Raises:
        ImportError: The packages that simulate are not installed.
    """
    from detection import ahead  # noqa: PLC0415 - needs what simulates

    size = asked.size("forecasts")
    seeds, benign_seeds = (range(many) for many in _SEEDS[size])
    plays = [ahead.Play(one, seeds) for one in ahead.LED]
    plays += [ahead.Play(one, benign_seeds) for one in ahead.BENIGN]
    said = ahead.played(plays)
    short, lines = size != "long", [*_HEAD]
    found: dict[str, Found] = {}
    for one in ahead.LED:
        found[f"forecasts.lead_{one}"] = _lead(said[one], short=short)
        times = said[one].lead_s.tolist()
        leads = ", ".join("none" if np.isneginf(s) else f"{s:.0f}" for s in times)
        rooms = ", ".join(f"{room:.1f}" for room in said[one].room.tolist())
        lines.append(f"| {one} | {leads or 'HOLD is never hurt'} | {rooms or '-'} |")
    did = [said[one] for one in ahead.BENIGN]
    found["forecasts.false"] = _false(did, ", ".join(ahead.BENIGN), short=short)
    return found, "\n".join(lines)


def _lead(said: Any, *, short: bool) -> Found:
    ratio = said.ratio
    how = f"median of {len(ratio)} of {said.episodes} episodes, those that HOLD is hurt in"
    if not len(ratio):
        return Found(float("nan"), how, short=short)
    middle = float(np.median(ratio))
    lead = float(np.median(said.lead_s))
    how += f"; {lead:.0f} s" if np.isfinite(lead) else "; nobody alarmed"
    how += f"; an alarm as the fault begins has {float(np.median(said.room)):.1f}"
    ends = (float(ratio.min()), float(ratio.max())) if np.isfinite(ratio).all() else (None, None)
    several = len(ratio) > 1
    return Found(
        middle,
        how,
        ends[0] if several else None,
        ends[1] if several else None,
        of="range of episodes",
        short=short,
    )


def _false(did: list[Any], names: str, *, short: bool) -> Found:
    foreseen, days = sum(one.foreseen for one in did), sum(one.days for one in did)
    weeks = days / _WEEK
    low, high = (end / weeks for end in garwood(foreseen))
    return Found(
        foreseen / weeks,
        f"{foreseen} on a load that was only foreseen, in {days:.2f} simulated days of {names}; "
        f"changes and pages of any cause: {sum(one.false for one in did):.0f}",
        low,
        high,
        short=short,
    )
