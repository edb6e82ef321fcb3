"""The codec: every noun survives the journal bit for bit."""

import math

import pytest

from homeostat.base import codec
from homeostat.base.events import Received, Write
from homeostat.base.evidence import Kind
from homeostat.base.intent import Intent, Receipt, ReceiptStatus
from homeostat.base.policy import KillLevel
from homeostat.base.types import Observation, SeriesKey
from homeostat.base.units import TimeNs


def test_an_event_comes_back_equal_and_encodes_to_the_same_bytes() -> None:
    receipt = Receipt(intent_id="d-1.0.0", status=ReceiptStatus.UNKNOWN, at=TimeNs(5))
    event = Received(at=TimeNs(7), receipt=receipt, kill=KillLevel.OFF)
    data = codec.encode(event)
    assert codec.decode(data) == event
    assert codec.encode(codec.decode(data)) == data


def test_levers_keep_their_scalar_types() -> None:
    intent = Intent(
        id="d-1.0.0", action_id="d-1", deployment="m", actuator="host", epoch=3, stage=0,
        pre=(("replicas.a", 2), ("version.a", "v1")), post=(("replicas.a", 3), ("weight.b", 2.5)),
        token="7", evidence_at=TimeNs(1), deadline=TimeNs(2),
    )  # fmt: skip
    back = codec.decode(codec.encode(Write(intent=intent)))
    assert back.intent == intent
    assert [type(v) for _, v in back.intent.post] == [int, float]


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf])
def test_odd_floats_are_kept_and_never_become_numbers(odd: float) -> None:
    key = SeriesKey(deployment="m", subject="gateway", signal="error_ratio")
    seen = Observation(source="s", key=key, kind=Kind.GAUGE, value=odd, observed_at=TimeNs(1))
    back = codec.decode(codec.encode(seen))
    assert repr(back.value) == repr(odd)


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{}", b'{"$":"Nothing"}', b'{"$":["Write"]}', b"[" * 9999]
)
def test_foreign_bytes_are_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"not a journal value|Expecting"):
        codec.decode(data)
