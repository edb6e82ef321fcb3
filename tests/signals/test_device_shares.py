"""Shares of accelerators: from bytes and from busy time, unknown where they can be no shares."""

import math
from collections.abc import Mapping

import pytest
from fleet_sim import managed

from homeostat.base import names, raw
from homeostat.base.evidence import Kind, Observation, Quality, SeriesKey, SourceReport
from homeostat.base.units import SECOND, TimeNs
from homeostat.signals.fleet import Fleet
from homeostat.signals.frame import Frame

A = "replica:a-0"
T0 = 1_800_000_000 * SECOND
GIB = 2.0**30
WELL = {raw.DEVICE_USED: 20 * GIB, raw.DEVICE_TOTAL: 80 * GIB, raw.DEVICE_BUSY: 0.6}
SHARES = (names.DEVICE_MEMORY_SHARE, names.DEVICE_SHARE)


def told(*rounds: Mapping[str, float]) -> dict[str, tuple[float, Quality]]:
    """Return what is derived of a replica after rounds of gauges, one a second."""
    fleet, frame = Fleet(), None
    state = fleet.init()
    for second, page in enumerate(rounds):
        now = TimeNs(T0 + second * SECOND)
        seen = tuple(
            Observation(
                source="prom",
                key=SeriesKey(deployment="credit", subject=A, signal=signal),
                kind=Kind.GAUGE,
                value=value,
                observed_at=now,
                epoch=None,
            )
            for signal, value in page.items()
        )
        report = SourceReport(
            source="prom", at=now, observations=seen, subjects=(A,), quality=Quality.GOOD
        )
        state, frame = fleet.step(state, (report,), (), (managed(),), now, second)
    return {} if frame is None else by_signal(frame)


def by_signal(frame: Frame) -> dict[str, tuple[float, Quality]]:
    signals = frame.signals
    return {
        key.signal: (float(value), quality)
        for key, value, quality in zip(signals.keys, signals.values, signals.quality, strict=True)
    }


def test_memory_is_a_share_of_the_device_and_busy_time_is_one() -> None:
    found = told(WELL)
    assert found[names.DEVICE_MEMORY_SHARE] == (0.25, Quality.GOOD)
    assert found[names.DEVICE_SHARE] == (0.6, Quality.GOOD)


@pytest.mark.parametrize(
    ("wrong", "signal"),
    [
        ({raw.DEVICE_USED: 81 * GIB}, names.DEVICE_MEMORY_SHARE),
        ({raw.DEVICE_USED: -1.0}, names.DEVICE_MEMORY_SHARE),
        ({raw.DEVICE_USED: math.nan}, names.DEVICE_MEMORY_SHARE),
        ({raw.DEVICE_TOTAL: 0.0}, names.DEVICE_MEMORY_SHARE),
        ({raw.DEVICE_TOTAL: math.inf}, names.DEVICE_MEMORY_SHARE),
        ({raw.DEVICE_BUSY: 60.0}, names.DEVICE_SHARE),
        ({raw.DEVICE_BUSY: -0.1}, names.DEVICE_SHARE),
        ({raw.DEVICE_BUSY: math.nan}, names.DEVICE_SHARE),
    ],
)
def test_what_can_be_no_share_is_absurd_and_the_other_signal_goes_on(
    wrong: dict[str, float], signal: str
) -> None:
    found = told(WELL | wrong)
    value, quality = found[signal]
    assert math.isnan(value)
    assert quality is Quality.ABSURD
    other = next(one for one in SHARES if one != signal)
    assert found[other][1] is Quality.GOOD


def test_nothing_said_is_no_signal_and_half_of_it_neither() -> None:
    assert not {signal for signal in told({raw.QUEUE: 1.0}) if signal in SHARES}
    half = told({raw.DEVICE_USED: 20 * GIB, raw.QUEUE: 1.0})
    assert names.DEVICE_MEMORY_SHARE not in half


def test_what_is_no_longer_said_is_missing_not_zero() -> None:
    silent = {raw.QUEUE: 1.0}
    found = told(WELL, silent, silent, silent)
    for signal in SHARES:
        value, quality = found[signal]
        assert math.isnan(value)
        assert quality is Quality.MISSING
