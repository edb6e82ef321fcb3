"""The conformance kit of sources: what every one must keep, whatever its target does.

    report = await check_source(lambda: build(settings), now=NOW, within_s=1.0)

Raises AssertionError with a sentence on the first broken promise; returns the last report, so that
a test can go on to say what this source in particular should have seen.
"""

import asyncio
import math
import time
from collections.abc import Callable

from homeostat.base.codec import decode, encode
from homeostat.base.evidence import Kind, Observation, Quality, SourceReport
from homeostat.base.ports import Source
from homeostat.base.units import SECOND, TimeNs

_SLACK_S = 0.5  # a loaded machine's scheduling


async def check_source(make: Callable[[], Source], *, now: TimeNs, within_s: float) -> SourceReport:
    """Check a source against a target in any state, two rounds and two closes.

    Args:
        make: Builds it; must be cheap (under 50 ms, best of three).
        now: Time of the first round.
        within_s: The source's own deadline, in seconds.

    Raises:
        AssertionError: A promise of `homeostat.base.ports.Source` is broken.
    """
    await _check_building_is_cheap(make)
    source = make()
    first = await _round(source, now, within_s)
    second = await _round(source, TimeNs(now + SECOND), within_s)
    _check_counting_process(first, second)
    if not set(first.subjects) <= set(second.subjects):
        raise AssertionError(f"subjects were forgotten: {first.subjects} -> {second.subjects}")
    await source.close()
    await source.close()
    return second


async def _check_building_is_cheap(make: Callable[[], Source]) -> None:
    took = []
    for _ in range(3):
        started = time.perf_counter()
        source = make()
        took.append(time.perf_counter() - started)
        await source.close()
    if min(took) > 0.05:  # noqa: PLR2004 - sources are rebuilt while the loop runs
        raise AssertionError(f"building took {min(took) * 1000:.0f} ms; connect on first use")


async def _round(source: Source, now: TimeNs, within_s: float) -> SourceReport:
    async with asyncio.timeout(within_s + _SLACK_S):
        report = await source.observe(now)
    if report.source != source.name:
        raise AssertionError(f"the report says {report.source!r}, the source is {source.name!r}")
    if not report.subjects:
        raise AssertionError("a silent source must still say which subjects it speaks for")
    if not now <= report.at <= now + round((within_s + _SLACK_S) * SECOND):
        raise AssertionError(f"the round ended at {report.at}, it began at {now}")
    if report.quality is not Quality.GOOD and report.observations:
        raise AssertionError(f"a round that is {report.quality} carries observations")
    if report.quality is not Quality.GOOD and not report.detail:
        raise AssertionError(f"a round that is {report.quality} does not say why")
    if report.quality is Quality.GOOD and not report.observations:
        raise AssertionError("a GOOD round saw nothing; that is MISSING")
    _check_observations(report, now)
    return report


def _check_observations(report: SourceReport, now: TimeNs) -> None:
    seen = set()
    for observation in report.observations:
        identity = (observation.key, observation.le)
        if identity in seen:
            raise AssertionError(f"{identity} was reported twice in one round")
        seen.add(identity)
        _check_observation(observation, report, now)
        back = decode(encode(observation))
        if repr(back) != repr(observation):  # repr, because NaN is not equal to itself
            raise AssertionError(f"{observation} does not survive the journal")


def _check_observation(observation: Observation, report: SourceReport, now: TimeNs) -> None:
    if observation.source != report.source or observation.key.subject not in report.subjects:
        raise AssertionError(f"{observation} is not of this source or its subjects")
    if observation.observed_at > report.at or observation.observed_at > now + SECOND:
        raise AssertionError(f"{observation.key} was observed in the future")
    is_bucket = observation.kind is Kind.BUCKET
    if is_bucket != (observation.le is not None) or (
        observation.le is not None and math.isnan(observation.le)
    ):
        raise AssertionError(f"{observation.key} is {observation.kind} with le={observation.le}")


def _check_counting_process(first: SourceReport, second: SourceReport) -> None:
    before = {(o.key, o.le): o for o in first.observations}
    for observation in second.observations:
        earlier = before.get((observation.key, observation.le))
        if earlier is not None and earlier.epoch != observation.epoch:
            raise AssertionError(f"{observation.key}: epoch moved without a restart")
