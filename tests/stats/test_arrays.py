from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.stats.arrays import from_bytes, to_bytes


class Colour(StrEnum):
    RED = "red"


class Pair(NamedTuple):
    left: Any
    right: Any


@dataclass(frozen=True, slots=True)
class Box:
    inner: Any
    name: str


CLASSES = (Colour, Pair, Box)
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.text(), st.floats(allow_nan=False),
    st.just(Colour.RED),
)  # fmt: skip
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.builds(Pair, inner, inner),
        st.builds(Box, inner, st.text()),
        st.dictionaries(st.tuples(st.text(), st.integers()), inner, max_size=3),
        st.frozensets(st.text(), max_size=3),
    ),
    max_leaves=12,
)


@given(values)
def test_what_goes_in_comes_out_with_its_types(value: Any) -> None:
    back = from_bytes(to_bytes(value), CLASSES)
    assert back == value
    assert to_bytes(back) == to_bytes(value)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64, np.int8, np.bool_])
def test_arrays_come_back_bit_for_bit_and_are_not_shared(dtype: Any) -> None:
    array = np.arange(12).reshape(3, 4).astype(dtype)
    back = from_bytes(to_bytes({"x": array}), ())["x"]
    assert back.dtype == array.dtype
    np.testing.assert_array_equal(back, array)
    back[0, 0] = 1  # a checkpoint can be lived on


def test_nan_and_infinity_survive() -> None:
    array = np.array([np.nan, np.inf, -0.0])
    back = from_bytes(to_bytes((array, float("inf"))), ())
    assert back[0].tobytes() == array.tobytes()
    assert back[1] == float("inf")


def test_the_arrays_can_be_read_as_safetensors() -> None:
    numpy_format = pytest.importorskip("safetensors.numpy")
    array = np.arange(6.0).reshape(2, 3)
    found = numpy_format.load(to_bytes(Box(array, "x")))
    np.testing.assert_array_equal(found["a0"], array)


def test_a_class_that_was_not_named_is_not_made() -> None:
    with pytest.raises(ValueError, match="Box"):
        from_bytes(to_bytes(Box(1, "x")), (Pair,))


def namesake(module: str) -> type:
    return type("Pair", (Pair,), {"__module__": module, "_fields": Pair._fields})


def test_classes_of_one_name_in_two_modules_come_back_as_themselves() -> None:
    other = namesake("elsewhere")
    whole = (Pair(1, 2), other(3, 4))
    back = from_bytes(to_bytes(whole), (other, Pair))
    assert [type(one) for one in back] == [Pair, other]
    assert back == whole


def test_bytes_with_bare_names_are_read_where_only_one_class_has_it() -> None:
    now = to_bytes(Box(Pair(1.5, Colour.RED), "x"))
    size = int.from_bytes(now[:8], "little")
    text = now[8 : 8 + size].replace(f"{__name__}:".encode(), b"").rstrip()
    text += b" " * (-len(text) % 8)
    before = len(text).to_bytes(8, "little") + text + now[8 + size :]
    assert before != now
    assert from_bytes(before, CLASSES) == Box(Pair(1.5, Colour.RED), "x")
    with pytest.raises(ValueError, match="Pair may be of elsewhere and"):
        from_bytes(before, (*CLASSES, namesake("elsewhere")))


def test_what_has_no_place_in_a_checkpoint_is_refused_when_it_is_written() -> None:
    for odd in (object(), {1, 2}, b"raw", np.array(["text"])):
        with pytest.raises(TypeError, match="no place in a checkpoint"):
            to_bytes(odd)


@given(st.data())
def test_damaged_bytes_are_an_error_or_a_value_and_never_a_crash(data: st.DataObject) -> None:
    whole = to_bytes(Box((np.arange(4.0), 1.5, "a"), "x"))
    place = data.draw(st.integers(0, len(whole) - 1))
    cut = data.draw(st.booleans())
    broken = whole[:place] if cut else whole[:place] + b"\xff" + whole[place + 1 :]
    with suppress(ValueError):
        from_bytes(broken, CLASSES)
