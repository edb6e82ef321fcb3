"""One check of `homeostat doctor`: a verdict, what was found, and what to do about it.

The judgements are plain functions of what was found, so that each can be held against cases.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

_SKEW_OK_S: Final = 2.0  # an HTTP date has whole seconds
_SKEW_MOST_S: Final = 5.0  # the Prometheus source believes nothing beyond it
_SLOW: Final = 0.25  # of what a round may take: four queries of it would fill the round
_LATE: Final = 2.5  # scrapes without a sample end a series (`prometheus_reading`)
_COARSE: Final = 2.0  # a bucket may reach to twice its lower bound before it hides a promise
_TWICE: Final = 1.9  # two scrapes a round, with some room for jitter


class Status(StrEnum):
    """What a check came to."""

    OK = "ok"
    WARN = "warn"  # it works, and not as well as it could
    FAIL = "fail"  # it does not work like this
    UNKNOWN = "unknown"  # nobody could say


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check.

    Attributes:
        check: What was asked, in a word or two.
        about: Of what: a deployment, an address, a file.
        status: The verdict.
        found: What was found, in words.
        fix: What to do about it; empty where all is well.
    """

    check: str
    about: str
    status: Status
    found: str
    fix: str = ""


def clock(where: str, skew_s: float) -> Check:
    """Judge how far a server's clock is from ours, in seconds; NaN: it did not say."""
    status, fix = Status.OK, ""
    if math.isnan(skew_s):
        status, fix = Status.UNKNOWN, "its answers carry no date; let its proxy pass the header on"
    elif abs(skew_s) > _SKEW_OK_S:
        status = Status.FAIL if abs(skew_s) > _SKEW_MOST_S else Status.WARN
        fix = "run a time service on both machines; beyond 5 s its samples are not believed"
    found = "nothing is known of its clock" if math.isnan(skew_s) else f"{skew_s:+.1f} s from ours"
    return Check(check="clock", about=where, status=status, found=found, fix=fix)


def answers(where: str, took_s: float, round_s: float) -> Check:
    """Judge how long a query takes, beside what a whole round may take; both in seconds."""
    slow = took_s > _SLOW * round_s
    return Check(
        check="answers",
        about=where,
        status=Status.WARN if slow else Status.OK,
        found=f"a query took {1000 * took_s:.0f} ms; a round may take {round_s:g} s",
        fix="make spec.interval longer, or ask a server that is nearer" if slow else "",
    )


def rhythm(about: str, scrape_s: float | None, interval_s: float) -> Check:
    """Judge the interval of a deployment beside the scrapes that it reads, in seconds."""
    status, fix = Status.OK, ""
    if scrape_s is None:
        found = "no two scrapes within five minutes"
        status, fix = Status.UNKNOWN, "scrape at least every two minutes, and check the target"
    else:
        found = f"scraped every {scrape_s:g} s, read every {interval_s:g} s"
        if interval_s < _TWICE * scrape_s:
            status = Status.FAIL if interval_s < scrape_s else Status.WARN
            fix = f"a round without a new sample is stale: set spec.interval to {2 * scrape_s:g}s"
    return Check(check="scrape interval", about=about, status=status, found=found, fix=fix)


def fresh(about: str, age_s: float | None, scrape_s: float | None) -> Check:
    """Judge how old the newest sample is, in seconds."""
    if age_s is None:
        return Check(
            check="freshness",
            about=about,
            status=Status.FAIL,
            found="no sample within five minutes",
            fix="see the server's /targets page: its scrapes fail, or select names nothing",
        )
    late = scrape_s is not None and age_s > _LATE * scrape_s
    return Check(
        check="freshness",
        about=about,
        status=Status.UNKNOWN if scrape_s is None else Status.FAIL if late else Status.OK,
        found=f"the newest sample is {age_s:.1f} s old",
        fix="its scrapes fail; see the server's /targets page" if late else "",
    )


def targets(about: str, down: Sequence[str], count: int) -> Check:
    """Judge how many of a deployment's targets cannot be scraped."""
    status, fix = Status.OK, ""
    if down:
        status = Status.FAIL if len(down) == count else Status.WARN
        fix = "while one is down, sums over all of them are not believed: see /targets"
    found = f"{count - len(down)} of {count} are scraped"
    if down:
        found += f"; not {', '.join(down[:5])}" + (" and others" if len(down) > 5 else "")  # noqa: PLR2004
    return Check(check="targets", about=about, status=status, found=found, fix=fix)


def signals(about: str, lacks: Sequence[str], presets: Sequence[str]) -> Check:
    """Judge whether what the objectives are judged by is there."""
    said = ", ".join(presets) or "no preset"
    if not lacks:
        found = f"requests, failures and latencies are there (by {said})"
        return Check(check="signals", about=about, status=Status.OK, found=found)
    return Check(
        check="signals",
        about=about,
        status=Status.WARN if presets else Status.FAIL,
        found=f"nothing of {said} shows {', '.join(lacks)}",
        fix="add an entry for the gateway in front (`homeostat get presets`); until then the "
        "objectives that need them stay unknown",
    )


def buckets(about: str, edges_ms: Sequence[float], limit_ms: float, *, exact: bool) -> Check:
    """Judge whether a histogram can tell if a latency is kept.

    Args:
        about: The deployment.
        edges_ms: Finite upper bounds, ascending.
        limit_ms: What is promised.
        exact: The promise counts requests, and needs a bound at the limit itself.
    """
    status, fix = Status.OK, ""
    if not edges_ms:
        found = "there is no histogram of latencies"
        status, fix = Status.UNKNOWN, "without one the p95 is unknown; see the check of signals"
        return Check(check="buckets", about=about, status=status, found=found, fix=fix)
    at = any(math.isclose(edge, limit_ms, rel_tol=1e-6) for edge in edges_ms)
    low = max((edge for edge in edges_ms if edge < limit_ms), default=0.0)
    high = min((edge for edge in edges_ms if edge >= limit_ms), default=math.inf)
    near = sorted(edges_ms, key=lambda edge: abs(math.log(edge / limit_ms)) if edge > 0 else 99.0)
    if at:
        found = f"{limit_ms:g} ms is a bound of the histogram"
    else:
        end = "nothing above" if math.isinf(high) else f"{high:g} ms"
        found = f"{limit_ms:g} ms lies between {low:g} ms and {end}: nobody can tell within it"
        hidden = exact or math.isinf(high)
        coarse = low <= 0.0 or high > _COARSE * low
        status = Status.FAIL if hidden else Status.WARN if coarse else Status.OK
    if status is not Status.OK:
        fix = f"promise a bound of the histogram, such as {near[0]:g}ms, or give it finer buckets"
    return Check(check="buckets", about=about, status=status, found=found, fix=fix)


def owners(about: str, *, watched: bool, scalers: Sequence[str] | None) -> Check:
    """Judge whether somebody else changes what we might.

    Args:
        about: The deployment.
        watched: Nothing can be changed through its target.
        scalers: Autoscalers seen in its namespaces, None where nothing says.
    """
    if watched:
        beside = f"; an autoscaler acts there: {', '.join(scalers)}" if scalers else ""
        found = "only watched: nothing is changed" + beside
        return Check(check="owners", about=about, status=Status.OK, found=found)
    if scalers is None:
        return Check(
            check="owners",
            about=about,
            status=Status.UNKNOWN,
            found="nothing says whether an autoscaler acts there (no kube-state-metrics is read)",
            fix="look for one by hand before spec.mode leaves shadow",
        )
    return Check(
        check="owners",
        about=about,
        status=Status.WARN if scalers else Status.OK,
        found=f"autoscalers: {', '.join(scalers) or 'none'}",
        fix="two that move one lever fight: let one of them own the replicas" if scalers else "",
    )


def worst(checks: Sequence[Check]) -> Status:
    """Return the verdict over all checks: a failure before a doubt before a warning."""
    order = (Status.FAIL, Status.UNKNOWN, Status.WARN)
    return next((one for one in order if any(c.status is one for c in checks)), Status.OK)
