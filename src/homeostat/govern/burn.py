"""Burn rates and what is left of an error budget, with what the unseen part could change.

A burn rate of one spends the budget exactly by the end of the promise's window. An alert is on
when it would be on had every request in the time that was not seen been good, off when it would be
off had they all been bad; between the two nobody knows. Unseen time is taken to have had as many
requests as the seen. Pure functions of the counts: also for a canary's rollback trigger.
Source: Beyer et al., "The Site Reliability Workbook" (2018), ch. 5, table 5-8.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from homeostat.base.budgets import MILLION, SloCounts, SloSpec, Stretch
from homeostat.base.units import HOUR, MINUTE, TimeNs
from homeostat.govern.slo import FINE, MIDDLE


@dataclass(frozen=True, slots=True, kw_only=True)
class Burn:
    """One pair of windows.

    Attributes:
        tenths: The burn rate from which it is on, in tenths.
        long_ns: The window that says it matters.
        short_ns: The window that says it still goes on.
        page: Whether a person is called; else a ticket will do.
    """

    tenths: int
    long_ns: int
    short_ns: int
    page: bool

    @property
    def label(self) -> str:
        """As people write it: `14.4x`."""
        return f"{self.tenths / 10:g}x"


BURNS: Final = (
    Burn(tenths=144, long_ns=HOUR, short_ns=5 * MINUTE, page=True),
    Burn(tenths=60, long_ns=6 * HOUR, short_ns=30 * MINUTE, page=True),
    Burn(tenths=30, long_ns=24 * HOUR, short_ns=2 * HOUR, page=False),
    Burn(tenths=10, long_ns=72 * HOUR, short_ns=6 * HOUR, page=False),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """What is known of one window.

    Attributes:
        good: Good events seen.
        bad: Bad events seen.
        seen_ns: How much of it was seen.
        of_ns: How long it is.
    """

    good: int
    bad: int
    seen_ns: int
    of_ns: int

    @property
    def total(self) -> int:
        """Events seen."""
        return self.good + self.bad

    @property
    def seen(self) -> float:
        """Share of the window that was seen, 0 to 1."""
        return min(1.0, self.seen_ns / self.of_ns) if self.of_ns > 0 else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """One pair of windows, judged.

    Attributes:
        burn: The pair.
        long: Burn rate over the long window as seen, None when nothing was.
        short: The same over the short one.
        on: Whether the alert is on; None = nobody knows.
    """

    burn: Burn
    long: float | None
    short: float | None
    on: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One promise as it stands.

    Attributes:
        spec: The promise.
        window: Its rolling window, from the day on that counting began.
        left: Share of the error budget left if the unseen was like the seen; below 0 it is
            overspent; None when nothing was seen.
        left_low: The same, had everything unseen been bad.
        left_high: The same, had everything unseen been good.
        rates: The burn rates.
    """

    spec: SloSpec
    window: Window
    left: float | None
    left_low: float | None
    left_high: float | None
    rates: tuple[Rate, ...]


def window(counts: SloCounts, of_ns: int, now: TimeNs) -> Window:
    """Return what is known of the time `of_ns` before `now`.

    A stretch belongs to it if the middle of the stretch does.
    """
    ring = counts.fine if of_ns <= FINE[1] else counts.middle
    ring = ring if of_ns <= MIDDLE[1] else counts.coarse
    return _summed(ring, of_ns, now)


def _summed(ring: Iterable[Stretch], of_ns: int, now: TimeNs) -> Window:
    inside = [one for one in ring if now - of_ns < (one[0] + one[1]) // 2 <= now]
    return Window(
        good=sum(one[2] for one in inside),
        bad=sum(one[3] for one in inside),
        seen_ns=min(of_ns, sum(one[4] for one in inside)),
        of_ns=of_ns,
    )


def rate(found: Window, target_ppm: int) -> float | None:
    """Return the burn rate of what was seen, None when nothing was asked."""
    if found.total == 0:
        return None
    return found.bad / found.total * MILLION / (MILLION - target_ppm)


def above(found: Window, target_ppm: int, tenths: int) -> bool | None:
    """Return whether a window's burn rate is at or above a factor, whatever was not seen.

    Args:
        found: The window.
        target_ppm: What is promised, in millionths.
        tenths: The factor, in tenths.

    >>> whole = Window(good=980, bad=20, seen_ns=100, of_ns=100)
    >>> above(whole, 999_000, 144), above(whole, 999_000, 210)
    (True, False)
    """
    seen, unseen, total = found.seen_ns, found.of_ns - found.seen_ns, found.total
    if total == 0:
        # Nobody asked, so nobody was let down; but only where that was seen.
        return False if unseen == 0 and seen > 0 else None
    edge = tenths * (MILLION - target_ppm) * total * found.of_ns
    if 10 * MILLION * found.bad * seen >= edge:
        return True
    return False if 10 * MILLION * (found.bad * seen + total * unseen) < edge else None


def judge(counts: SloCounts, spec: SloSpec, burn: Burn, now: TimeNs) -> Rate:
    """Return one pair of windows, judged: on when both are above, off when either is not."""
    pair = [window(counts, of_ns, now) for of_ns in (burn.long_ns, burn.short_ns)]
    found = [above(one, spec.target_ppm, burn.tenths) for one in pair]
    on = False if False in found else None if None in found else True
    long, short = (rate(one, spec.target_ppm) for one in pair)
    return Rate(burn=burn, long=long, short=short, on=on)


def burning(counts: SloCounts, spec: SloSpec, now: TimeNs) -> bool | None:
    """Return whether the budget burns so fast that a person is called; None = nobody knows.

    The trigger for a rollback of what was just released, where it can be the cause.
    """
    found = [judge(counts, spec, burn, now).on for burn in BURNS if burn.page]
    return True if True in found else None if None in found else False


def report(counts: SloCounts, spec: SloSpec, now: TimeNs) -> Report:
    """Return how a promise stands."""
    lived = max(1, min(spec.window_ns, now - counts.since))
    ring = counts.coarse if spec.window_ns > MIDDLE[1] else counts.middle
    found = _summed(ring, lived, now)
    return Report(
        spec=spec,
        window=found,
        left=_left(found, spec.target_ppm, unseen_bad=None),
        left_low=_left(found, spec.target_ppm, unseen_bad=True),
        left_high=_left(found, spec.target_ppm, unseen_bad=False),
        rates=tuple(judge(counts, spec, burn, now) for burn in BURNS),
    )


def _left(found: Window, target_ppm: int, *, unseen_bad: bool | None) -> float | None:
    """Return the share of the budget left; the budget is that of all requests, unseen ones too."""
    if found.total == 0 or found.seen_ns == 0:
        return None
    seen = found.seen_ns / found.of_ns
    ratio = found.bad / found.total
    if unseen_bad is not None:
        ratio = ratio * seen + (1.0 - seen if unseen_bad else 0.0)
    return 1.0 - ratio * MILLION / (MILLION - target_ppm)
