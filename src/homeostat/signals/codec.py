"""One tick's signals to bytes and back, for the journal: exact, and unknown stays unknown."""

import json
import math
from typing import Any

import numpy as np

from homeostat.base import codec
from homeostat.base.evidence import Quality, SeriesKey, Signals
from homeostat.base.units import TimeNs


def encode_frame(signals: Signals[Any]) -> bytes:
    """Return a frame as canonical JSON; NaN is null, every float keeps its shortest exact form."""
    plain = {
        "at": signals.at,
        "tick": signals.tick,
        "keys": [[key.deployment, key.subject, key.signal] for key in signals.keys],
        "values": [_or_null(value) for value in signals.values.tolist()],
        "age_ns": signals.age_ns.tolist(),
        "samples": [_or_null(value) for value in signals.samples.tolist()],
        "quality": [quality.value for quality in signals.quality],
        "world": [codec.to_plain(snapshot) for snapshot in signals.world],
    }
    return json.dumps(plain, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def decode_frame(data: bytes) -> Signals[Any]:
    """Return the frame that `encode_frame` wrote.

    Raises:
        ValueError: The bytes are not a frame.
    """
    try:
        plain = json.loads(data)
        return Signals(
            at=TimeNs(plain["at"]),
            tick=plain["tick"],
            keys=tuple(
                SeriesKey(deployment=deployment, subject=subject, signal=signal)
                for deployment, subject, signal in plain["keys"]
            ),
            values=_array(plain["values"]),
            age_ns=np.array(plain["age_ns"], dtype=np.int64),
            samples=_array(plain["samples"]),
            quality=tuple(Quality(quality) for quality in plain["quality"]),
            world=tuple(codec.decode(json.dumps(entry).encode()) for entry in plain["world"]),
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a frame: {data[:80]!r} ({error!r})") from error


def _or_null(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _array(values: list[float | None]) -> Any:
    return np.array([math.nan if value is None else value for value in values], dtype=np.float64)
