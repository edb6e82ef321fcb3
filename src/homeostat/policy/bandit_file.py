"""A bandit's state as text for the journal and as bytes for a file; both come back bit for bit.

Text holds the sums as whole numbers of their unit, so that a person can add two of them up. Bytes
are a safetensors file (`stats.arrays`). What is damaged, or of other settings, is refused: a state
that was learnt about other features means nothing here.
"""

import json
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from homeostat.policy.bandit import Config, State, init
from homeostat.policy.ellipsoid import UNIT, Sums
from homeostat.stats import arrays

Floats = npt.NDArray[np.float64]

_FORMAT: Final = "homeostat.bandit/1"
_COUNTS: Final = ("inflated", "alarms", "unknown")


def to_json(state: State) -> str:
    """Return a state as canonical JSON."""
    plain: dict[str, Any] = {
        "format": _FORMAT,
        "arms": [_sums(sums) for sums in state.sums],
        # Logarithms of sums of e-values: floats, written so that they come back as they were.
        "watch": [float(value).hex() for value in state.watch.ravel()],
    }
    plain |= {name: getattr(state, name).tolist() for name in _COUNTS}
    return json.dumps(plain, sort_keys=True, separators=(",", ":"), allow_nan=False)


def from_json(config: Config, text: str) -> State:
    """Return the state that `to_json` wrote.

    Raises:
        ValueError: It is damaged, or of other settings.
    """
    try:
        plain = json.loads(text)
        if plain["format"] != _FORMAT:
            raise ValueError(f"bandit: format {plain['format']!r}, expected {_FORMAT!r}")
        fresh = init(config)
        sums = tuple(
            _read(entry, like) for entry, like in zip(plain["arms"], fresh.sums, strict=True)
        )
        watch = np.array([float.fromhex(value) for value in plain["watch"]])
        counts = (np.array(plain[name], dtype=np.float64) for name in _COUNTS)
        return _checked(config, State(sums, watch.reshape(fresh.watch.shape), *counts))
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"bandit: not a state: {error!r}; start without it") from error


def to_bytes(state: State) -> bytes:
    """Return a state as a safetensors file."""
    return arrays.to_bytes(state)


def from_bytes(config: Config, data: bytes) -> State:
    """Return the state that `to_bytes` wrote.

    Raises:
        ValueError: It is damaged, or of other settings.
    """
    state = arrays.from_bytes(data, (State, Sums))
    if not isinstance(state, State):
        raise ValueError("bandit: not a bandit's file; start without it")  # noqa: TRY004 - bad data
    return _checked(config, state)


def _sums(sums: Sums) -> dict[str, Any]:
    return {
        "block": sums.block.tolist(),
        "count": sums.count.tolist(),
        **{name: _whole(getattr(sums, name)) for name in ("outer", "cross", "square")},
    }


def _whole(array: Floats) -> list[int]:
    return [int(value) for value in (array / UNIT).ravel().tolist()]


def _read(entry: dict[str, Any], like: Sums) -> Sums:
    def of(name: str) -> Floats:
        whole = np.array(entry[name], dtype=np.float64) * UNIT
        return np.asarray(whole.reshape(getattr(like, name).shape))

    return Sums(
        block=np.array(entry["block"], dtype=np.int64),
        outer=of("outer"),
        cross=of("cross"),
        square=of("square"),
        count=np.array(entry["count"], dtype=np.float64),
    )


def _checked(config: Config, state: State) -> State:
    """Refuse a state that does not fit the settings or cannot have been learnt.

    Raises:
        ValueError: See above.
    """
    fresh = init(config)
    if len(state.sums) != len(fresh.sums):
        raise ValueError(f"bandit: a state of {len(state.sums)} arms, expected {config.arms}")
    pairs = [
        *((a, b) for own, like in zip(state.sums, fresh.sums, strict=True)
          for a, b in zip(own, like, strict=True)),
        *zip(state[1:], fresh[1:], strict=True),
    ]  # fmt: skip
    if any(own.shape != like.shape or own.dtype != like.dtype for own, like in pairs):
        raise ValueError("bandit: a state of other settings (features, costs or blocks)")
    finite = all(np.isfinite(part).all() for sums in state.sums for part in sums[1:])
    if not (finite and (state.inflated >= 1.0).all() and not np.isnan(state.watch).any()):
        raise ValueError("bandit: a state that cannot have been learnt; start without it")
    return state
