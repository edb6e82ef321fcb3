"""The detector kit passes a good detector and catches each of the bad ones planted here."""

import time
from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from typing_extensions import override

from homeostat.base.part import Part
from homeostat.base.ports import Detector, DetectorOutput
from homeostat.detect.ewma import Config, Ewma, Side
from homeostat.testing import check_detector


class Good(Detector[Any]):
    """The real chart; each bad detector spoils one thing."""

    config = Config()

    def __init__(self) -> None:
        self.inner = Ewma(self.config)

    @override
    def init(self, xp: ModuleType, series: int) -> Any:
        return self.inner.init(xp, series)

    @override
    def step(
        self, xp: ModuleType, state: Any, values: Any, learn: Any
    ) -> tuple[Any, DetectorOutput]:
        return self.inner.step(xp, state, values, learn)


class MutatesState(Good):
    @override
    def step(self, xp: ModuleType, state: Any, values: Any, learn: Any) -> Any:
        after = self.inner.step(xp, state, values, learn)
        state.mean[:] = after[0].mean
        return after


class MutatesValues(Good):
    @override
    def step(self, xp: ModuleType, state: Any, values: Any, learn: Any) -> Any:
        values -= 1.0
        return self.inner.step(xp, state, values, learn)


class Spoils(Good):
    """Changes what the chart says."""

    def spoil(self, xp: ModuleType, values: Any, output: DetectorOutput) -> DetectorOutput:
        raise NotImplementedError

    @override
    def step(self, xp: ModuleType, state: Any, values: Any, learn: Any) -> Any:
        after, output = self.inner.step(xp, state, values, learn)
        return after, self.spoil(xp, values, output)


class RollsDice(Spoils):
    def __init__(self) -> None:
        super().__init__()
        self.dice = np.random.default_rng()

    @override
    def spoil(self, xp: ModuleType, values: Any, output: DetectorOutput) -> DetectorOutput:
        return replace(output, high=output.high + self.dice.random())


class ReadsTheClock(Spoils):
    @override
    def spoil(self, xp: ModuleType, values: Any, output: DetectorOutput) -> DetectorOutput:
        by_night = time.time() % 86_400 < 43_200
        return replace(output, high=output.high + (1.0 if by_night else 0.0))


class RemembersElsewhere(Spoils):
    last: Any = 0.0

    @override
    def spoil(self, xp: ModuleType, values: Any, output: DetectorOutput) -> DetectorOutput:
        high, self.last = output.high + 0.0 * output.high + self.last, values.sum() * 1e-6
        return replace(output, high=high)


class ReusesItsOutput(Spoils):
    kept: Any = None

    @override
    def spoil(self, xp: ModuleType, values: Any, output: DetectorOutput) -> DetectorOutput:
        if self.kept is None or self.kept.shape != output.high.shape:
            self.kept = np.empty_like(output.high)
        self.kept[:] = output.high
        return replace(output, high=self.kept)


class CallsAGapHealthy(Spoils):
    @override
    def spoil(self, xp: ModuleType, values: Any, output: DetectorOutput) -> DetectorOutput:
        return replace(output, neg_log10_p=xp.nan_to_num(output.neg_log10_p))


class CallsAGapAnomalous(Spoils):
    @override
    def spoil(self, xp: ModuleType, values: Any, output: DetectorOutput) -> DetectorOutput:
        return replace(output, alarm=output.alarm | ~xp.isfinite(values))


class TakesAGapForZero(Good):
    @override
    def step(self, xp: ModuleType, state: Any, values: Any, learn: Any) -> Any:
        return self.inner.step(xp, state, xp.nan_to_num(values), learn)


class CrashesOnAGap(Good):
    @override
    def step(self, xp: ModuleType, state: Any, values: Any, learn: Any) -> Any:
        if xp is np and np.isnan(values).any():
            raise ZeroDivisionError
        return self.inner.step(xp, state, values, learn)


class SpreadsAGap(Spoils):
    @override
    def spoil(self, xp: ModuleType, values: Any, output: DetectorOutput) -> DetectorOutput:
        return replace(output, neg_log10_p=output.neg_log10_p + 0.0 * xp.sum(values))


class Grows(Good):
    @override
    def init(self, xp: ModuleType, series: int) -> Any:
        return (self.inner.init(xp, series), xp.zeros(0))

    @override
    def step(self, xp: ModuleType, state: Any, values: Any, learn: Any) -> Any:
        after, output = self.inner.step(xp, state[0], values, learn)
        return (after, xp.concatenate([state[1], values])), output


class HoldsTooMuch(Good):
    @override
    def init(self, xp: ModuleType, series: int) -> Any:
        return (self.inner.init(xp, series), xp.zeros((2000, series)))

    @override
    def step(self, xp: ModuleType, state: Any, values: Any, learn: Any) -> Any:
        after, output = self.inner.step(xp, state[0], values, learn)
        return (after, state[1]), output


class HasRowsFirst(Good):
    @override
    def init(self, xp: ModuleType, series: int) -> Any:
        return (self.inner.init(xp, series), xp.zeros((series, 3)))

    @override
    def step(self, xp: ModuleType, state: Any, values: Any, learn: Any) -> Any:
        after, output = self.inner.step(xp, state[0], values, learn)
        return (after, state[1]), output


class KeepsObjects(Good):
    @override
    def init(self, xp: ModuleType, series: int) -> Any:
        return (self.inner.init(xp, series), np.random.default_rng(1))

    @override
    def step(self, xp: ModuleType, state: Any, values: Any, learn: Any) -> Any:
        after, output = self.inner.step(xp, state[0], values, learn)
        return (after, state[1]), output


class IsMute(Spoils):
    @override
    def spoil(self, xp: ModuleType, values: Any, output: DetectorOutput) -> DetectorOutput:
        return replace(output, alarm=output.alarm & False)


class IsNeverReady(Good):
    config = Config(warmup=100_000)


class PromisesNothing(Spoils):
    @override
    def spoil(self, xp: ModuleType, values: Any, output: DetectorOutput) -> DetectorOutput:
        return replace(output, low=output.low * xp.nan, high=output.high * xp.nan)


class IsBlindDownwards(Spoils):
    config = Config(side=Side.UP)

    @override
    def spoil(self, xp: ModuleType, values: Any, output: DetectorOutput) -> DetectorOutput:
        return replace(output, low=output.high - 20.0)


class CriesWolf(Good):
    config = Config(limit_sigmas=2.8, spike_sigmas=3.0)


class FlattersItsEvidence(Spoils):
    @override
    def spoil(self, xp: ModuleType, values: Any, output: DetectorOutput) -> DetectorOutput:
        return replace(output, neg_log10_p=output.neg_log10_p * 3.0 + 0.6)


class HasProbabilitiesAboveOne(Spoils):
    @override
    def spoil(self, xp: ModuleType, values: Any, output: DetectorOutput) -> DetectorOutput:
        return replace(output, neg_log10_p=output.neg_log10_p - 0.5)


class AlarmsOnRounding(Good):
    config = Config(sigma_floor_relative=0.0)


class AnswersOnce(Spoils):
    @override
    def spoil(self, xp: ModuleType, values: Any, output: DetectorOutput) -> DetectorOutput:
        return replace(output, alarm=output.alarm.any())


class KnowsNumpyOnly(Spoils):
    @override
    def spoil(self, xp: ModuleType, values: Any, output: DetectorOutput) -> DetectorOutput:
        return replace(output, low=np.asarray(output.low))


class DiffersUnderJax(Spoils):
    @override
    def spoil(self, xp: ModuleType, values: Any, output: DetectorOutput) -> DetectorOutput:
        return replace(output, neg_log10_p=output.neg_log10_p * (1.0 if xp is np else 1.2))


BAD = {
    MutatesState: "changed the state",
    MutatesValues: "changed the values",
    RollsDice: "two answers",
    ReadsTheClock: "two answers",
    RemembersElsewhere: "two answers",
    ReusesItsOutput: "after it was returned",
    CallsAGapHealthy: "must be unknown",
    CallsAGapAnomalous: "must be unknown",
    TakesAGapForZero: "must be unknown",
    CrashesOnAGap: "ZeroDivisionError",
    SpreadsAGap: "made its neighbour unknown",
    Grows: "state grew",
    HoldsTooMuch: "bytes a series",
    HasRowsFirst: "rows must come last",
    KeepsObjects: "made of arrays",
    IsMute: "found 0%",
    IsNeverReady: "still unknown",
    PromisesNothing: "nothing is promised",
    IsBlindDownwards: "-8 deviations",
    CriesWolf: "healthy ticks alarm",
    FlattersItsEvidence: "p < ",
    HasProbabilitiesAboveOne: "0 or more",
    AlarmsOnRounding: "constant",
    AnswersOnce: r"alarm is bool\[\]",
    KnowsNumpyOnly: "JAX cannot trace",
    DiffersUnderJax: "different scores",
}


def part_of(detector: type[Good]) -> Part:
    return Part(
        kind="detector",
        name=detector.__name__,
        summary="planted",
        config=Config,
        build=lambda _: detector(),
    )


@pytest.mark.slow
def test_the_detector_that_the_bad_ones_spoil_is_good() -> None:
    check_detector(part_of(Good))


@pytest.mark.slow
@pytest.mark.parametrize("detector", BAD, ids=lambda bad: bad.__name__)
def test_a_planted_fault_is_caught_and_named(detector: type[Good]) -> None:
    if detector in {KnowsNumpyOnly, DiffersUnderJax}:
        pytest.importorskip("jax")
    with pytest.raises(AssertionError, match=BAD[detector]) as caught:
        check_detector(part_of(detector))
    assert str(caught.value).startswith(f"{detector.__name__}: ")


def test_a_part_of_another_kind_is_refused() -> None:
    with pytest.raises(AssertionError, match="is a source, not a detector"):
        check_detector(replace(part_of(Good), kind="source"))
