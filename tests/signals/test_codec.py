"""Frames survive the journal: exact numbers, and unknown stays unknown."""

import numpy as np
import pytest

from homeostat.base.evidence import Quality, SeriesKey, Signals
from homeostat.base.units import TimeNs
from homeostat.signals.codec import decode_frame, encode_frame
from homeostat.testing import build


def test_a_frame_comes_back_as_it_was() -> None:
    frame = Signals(
        at=TimeNs(7),
        tick=3,
        keys=tuple(SeriesKey(deployment="m", subject="gateway", signal=name) for name in "abc"),
        values=np.array([0.1 + 0.2, np.nan, -1e-300]),
        age_ns=np.array([0, 2**62, 1], dtype=np.int64),
        samples=np.array([1.0, np.nan, 0.0]),
        quality=(Quality.GOOD, Quality.UNREACHABLE, Quality.FEW),
        world=(build.world(),),
    )
    again = decode_frame(encode_frame(frame))
    assert (again.at, again.tick, again.keys) == (frame.at, frame.tick, frame.keys)
    assert (again.quality, again.world) == (frame.quality, frame.world)
    np.testing.assert_array_equal(again.values, frame.values)
    np.testing.assert_array_equal(again.samples, frame.samples)
    np.testing.assert_array_equal(again.age_ns, frame.age_ns)
    assert encode_frame(again) == encode_frame(frame)


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"at": 1, "tick": 2, "keys": 3}'])
def test_what_is_no_frame_is_an_error(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"frame|Expecting"):
        decode_frame(data)
