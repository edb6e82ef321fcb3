"""What feedback has learnt as text, for checkpoints: bounded, readable, the same everywhere.

Numbers are rounded to nine places, so that another processor's last bit of a logarithm is no other
state. Channels are written by name: what a newer version no longer has is dropped, and what is new
to it is unknown, as in `lab.feedback_record.by_name`.
"""

import json
from hashlib import sha256
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from homeostat.learn import feedback
from homeostat.learn import feedback_counts as counts
from homeostat.learn import feedback_experts as experts
from homeostat.learn import feedback_steady as steady
from homeostat.learn.feedback_channels import BINS, CHANNELS, UNKNOWN

Ints = npt.NDArray[np.int64]

_A: Final = ord("a")
_PLACES: Final = 9
DIGEST: Final = sha256(f"{BINS}|{'|'.join(CHANNELS)}".encode()).hexdigest()[:12]
"""Names the channels and their order: letters of another digest mean something else."""


def letters(bins: Ints) -> str:
    """Return bins as one letter each.

    >>> letters(np.array([0, 1, 20]))
    'abu'
    """
    return (bins + _A).astype(np.uint8).tobytes().decode("ascii")


def bins_of(text: str) -> Ints:
    """Return the bins that `letters` wrote.

    Raises:
        ValueError: A letter is no bin.
    """
    out = np.frombuffer(text.encode("ascii"), dtype=np.uint8).astype(np.int64) - _A
    if len(out) and not (out.min() >= 0 and out.max() < BINS):
        raise ValueError(f"feedback: {text!r} holds a letter that is no bin; reset the feedback")
    return out


def to_text(state: feedback.State) -> str:
    """Return a learner's state as text; equal states give equal text."""
    used = np.flatnonzero(state.stands > 0.0)
    found = min(int(state.taken[1]), len(state.trouble))
    reached = [
        [int(kind), int(channel), int(place), _round(state.counts.reached[kind, channel, place])]
        for kind, channel, place in np.argwhere(state.counts.reached > 0.0)
    ]
    plain = {
        "channels": list(CHANNELS),
        "reached": reached,
        "stretches": [_round(one) for one in state.counts.stretches],
        "worst": [[int(row), letters(state.worst[row].astype(np.int64))] for row in used],
        "stands": [_round(state.stands[row]) for row in used],
        "trouble": [letters(row.astype(np.int64)) for row in state.trouble[:found]],
        "taken": [_round(one) for one in state.taken],
        "watched_h": _round(state.watched_h),
        "asked": [_round(one) for one in state.asked],
        "loss": [_round(one) for one in state.experts.loss],
        "won": [_round(one) for one in state.steady.won],
        "stopped": _round(state.steady.stopped),
    }
    return json.dumps(plain, separators=(",", ":"))


def from_text(config: feedback.Config, text: str) -> feedback.State:
    """Return the state that `to_text` wrote; the first one for empty text.

    Raises:
        ValueError: The text is damaged.
    """
    state = feedback.init(config)
    if not text:
        return state
    try:
        return _filled(config, state, json.loads(text))
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise ValueError(f"feedback: no state ({error!r}); reset the feedback") from error


def _filled(config: feedback.Config, state: feedback.State, plain: Any) -> feedback.State:
    order = [CHANNELS.index(name) if name in CHANNELS else None for name in plain["channels"]]
    reached = np.zeros_like(state.counts.reached)
    for kind, channel, place, weight in plain["reached"]:
        if (here := order[channel]) is not None:
            reached[kind, here, place] = weight
    worst, stands = state.worst.copy(), state.stands.copy()
    for (row, text), stand in zip(plain["worst"], plain["stands"], strict=True):
        if row < config.room:
            worst[row], stands[row] = _ordered(text, order), stand
    trouble = state.trouble.copy()
    for row, text in enumerate(plain["trouble"][: config.room]):
        trouble[row] = _ordered(text, order)
    return state._replace(
        counts=counts.Counts(reached=reached, stretches=np.array(plain["stretches"])),
        worst=worst,
        stands=stands,
        trouble=trouble,
        taken=np.array(plain["taken"]),
        watched_h=np.array(plain["watched_h"]),
        asked=np.array(plain["asked"]),
        experts=experts.State(loss=np.array(plain["loss"])),
        steady=steady.State(won=np.array(plain["won"]), stopped=np.array(plain["stopped"])),
    )


def _ordered(text: str, order: list[int | None]) -> Ints:
    out = np.full(len(CHANNELS), UNKNOWN, dtype=np.int64)
    for place, value in zip(order, bins_of(text), strict=True):
        if place is not None:
            out[place] = value
    return out


def _round(value: Any) -> float:
    return round(float(value), _PLACES)
