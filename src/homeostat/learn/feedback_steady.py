"""Are the answers still answers to the same question? If not, learning stops and says so.

The line is drawn so that false alarms stay within the budget. When "there was nothing" is heard
several times as often as that, and oftener than slips explain, either the world has changed faster
than the line can follow, or somebody answers without looking; neither may move a line further. An
e-detector bets on it: for a rate of at most the budget, and a share of at most `SLIP` of the
answers,

    theta^nothings * exp(-(theta - 1) (budget * days + SLIP * answers))

has a mean of at most 1, whatever came before, so there are at least `_RUN` answers between false
stops on average. While it is stopped the shipped alarm speaks alone. A stop lasts until a person
says that the new answers are right (`restarted`).

Source: Shin, Ramdas & Rinaldo, "E-detectors", arXiv 2203.03532 (2022), Shiryaev-Roberts form.
"""

from typing import Any, Final, NamedTuple

import numpy as np

SLIP: Final = 0.05
"""Share of answers that are slips; see `feedback_words.TRUST`."""
_THETA: Final = np.array([8.0, 32.0])
_RUN: Final = 100_000.0
_MOST: Final = 1e12


class State(NamedTuple):
    """What is known of the answers.

    Attributes:
        won: Money of the bets, `[theta]`.
        stopped: Learning has stopped, 0 or 1, `[]`.
    """

    won: Any
    stopped: Any


def init() -> State:
    """Return the state before any answer."""
    return State(won=np.zeros(len(_THETA)), stopped=np.zeros(()))


def step(state: State, *, days: float, per_day: float, nothing: bool | None) -> State:
    """Return the state after one stretch.

    Args:
        state: Before.
        days: How long it was.
        per_day: False alarms that the budget allows.
        nothing: Whether the answer to its alarm was that there was nothing; None without an answer.
    """
    answers = 0.0 if nothing is None else 1.0
    drift = (_THETA - 1.0) * (per_day * days + SLIP * answers)
    factor = np.where(bool(nothing), _THETA, 1.0) * np.exp(-drift)
    won = np.minimum((state.won + answers) * factor, _MOST)
    stopped = np.maximum(state.stopped, float(won.mean() >= _RUN))
    return State(won=won, stopped=np.asarray(stopped))


def changed(state: State) -> bool:
    """Return whether learning has stopped."""
    return bool(state.stopped)


def restarted(state: State) -> State:
    """Return the state after a person has said that the new answers are right."""
    return init() if changed(state) else state
