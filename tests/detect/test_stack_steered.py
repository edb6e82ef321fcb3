"""The stack with a level that steers itself: a bound that holds whatever happens."""

from typing import Any

import numpy as np
import pytest

from homeostat.detect import stack_checkpoint, stack_incident
from homeostat.detect.method import Told, said_of
from homeostat.detect.stack import Said, Stack, StackConfig
from homeostat.detect.stack_play import play
from homeostat.detect.stack_steered import Config, Steered
from homeostat.testing.method import check_method

SHARE = 1.0 / 200.0


def wild(ticks: int, columns: int = 1, *, seed: int = 3) -> np.ndarray:
    """Return noise with jumps that are each ten times the one before, `[tick, 1, column]`."""
    values = np.random.default_rng(seed).normal(10.0, 1.0, (ticks, 1, columns))
    for number, begin in enumerate(range(160, ticks, 40)):
        values[begin] += 10.0 ** (number + 1)
    return values


class Script:
    """A stack that says what it is told to, and starts an incident wherever it may."""

    def __init__(self, config: StackConfig) -> None:
        self.config = config

    def init(self, columns: int, *, entities: int = 1) -> tuple[()]:
        return ()

    def step(
        self, state: tuple[()], values: np.ndarray, learn: object, start: np.ndarray
    ) -> tuple[tuple[()], Said]:
        evidence = values[:, 0]
        alarm = np.nan_to_num(evidence) >= start
        heard = Told(stack_incident.State(alarm, np.zeros(len(values))), alarm)
        return (), said_of(evidence, heard, np.ones_like(values))


def scripted(evidence: np.ndarray, share: float, patch: pytest.MonkeyPatch) -> tuple[Any, Any]:
    """Return which ticks were told of `[tick, entity]`, and the levels before each."""
    patch.setattr("homeostat.detect.stack_steered.Stack", Script)
    method = Steered(Config(share=share))
    state, told, levels = method.init(1, entities=evidence.shape[1]), [], []
    for row in evidence:
        levels.append(state.level.alpha)
        state, said = method.step(state, row[:, None], learn=True)
        told.append(said.alarm)
    return np.array(told), np.array(levels)


@pytest.mark.parametrize("share", [1e-4, SHARE, 0.05])
def test_no_more_is_told_than_the_share_however_much_happens(
    share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = np.random.default_rng(3)
    calm = draw.exponential(0.4, (2000, 3))
    evidence = np.array([np.full((2000, 3), 300.0), calm, calm * 5.0]).transpose(1, 0, 2)
    told, levels = scripted(evidence.reshape(2000, 9), share, monkeypatch)
    most = np.array([Steered(Config(share=share)).most(tick + 1) for tick in range(2000)])
    assert np.all(np.cumsum(told, axis=0) <= most[:, None] + 1e-9)
    # All of it is used where there is enough to tell, and no level is below a lesser incident's.
    assert np.all(told[:, :3].sum(axis=0) >= np.floor(share * 2000))
    assert np.all(levels <= max(1e-2, share))


def test_after_an_incident_more_evidence_is_asked_for_and_by_and_by_less(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    evidence = np.zeros((300, 1))
    evidence[[50, 60]] = 2.5
    told, levels = scripted(evidence, SHARE, monkeypatch)
    assert np.flatnonzero(told).tolist() == [50]
    assert levels[51] < levels[61] < levels[50] <= levels[299]


def test_unknown_ticks_neither_earn_nor_spend() -> None:
    method = Steered(Config(share=SHARE))
    state = method.init(1)
    after, said = method.step(state, np.array([[np.nan]]), learn=True)
    assert said.unknown[0]
    assert after.level.alpha[0] == state.level.alpha[0]


@pytest.mark.slow
def test_a_checkpoint_goes_on_bit_for_bit_and_what_is_said_is_the_stacks_own() -> None:
    values, method = wild(420), Steered(Config(share=SHARE))
    whole, plain = play(method, values), play(Stack(), values).said
    np.testing.assert_array_equal(whole.said.neg_log10_p, plain.neg_log10_p)
    assert np.array_equal(np.nan_to_num(whole.said.anomaly_score) >= 0.5, whole.said.alarm)
    cut = int(np.flatnonzero(whole.said.alarm)[0]) + 1
    first = play(method, values[:cut])
    kept = stack_checkpoint.to_bytes(method, first.state)
    read = stack_checkpoint.from_bytes(method, kept, columns=1)
    assert stack_checkpoint.to_bytes(method, read) == kept
    rest = play(method, values[cut:], state=read)
    np.testing.assert_array_equal(rest.said.alarm, whole.said.alarm[cut:])
    np.testing.assert_array_equal(rest.said.anomaly_score, whole.said.anomaly_score[cut:])
    assert stack_checkpoint.to_bytes(method, rest.state) == stack_checkpoint.to_bytes(
        method, whole.state
    )


def test_a_checkpoint_of_another_share_is_refused() -> None:
    one, other = Steered(Config(share=0.01)), Steered(Config(share=0.02))
    kept = stack_checkpoint.to_bytes(one, one.init(2))
    with pytest.raises(ValueError, match="other settings"):
        stack_checkpoint.from_bytes(other, kept, columns=2)


@pytest.mark.long
def test_it_conforms() -> None:
    check_method("share of ticks", lambda: Steered(Config(share=1e-3)))


@pytest.mark.parametrize("share", [0.0, -1.0, 0.06, float("nan")])
def test_a_share_that_bounds_nothing_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match=r"above 0 and at most 0\.05"):
        Config(share=share)


def test_a_level_of_somebody_else_is_refused() -> None:
    method = Steered(Config(share=0.01))
    with pytest.raises(ValueError, match="a level of evidence is for the stack"):
        method.step(method.init(1), np.zeros((1, 1)), learn=True, start=5.0)
