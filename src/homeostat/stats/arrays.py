"""State to bytes and back: arrays, tuples, dicts and frozen dataclasses, and nothing that can run.

The layout is that of a safetensors file (eight bytes of header length, a JSON header, raw little-
endian arrays), so that other tools can read the arrays; the plain part of the state travels in the
header's metadata. Classes come back only if the reader names them: data cannot choose code. They
are written with their module, since many a detector calls its state `State`; bytes from before that
say the bare name, which is read where only one of the reader's classes has it.
"""

import json
from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any, Final

import numpy as np

_TYPES: Final = {
    "F64": "<f8",
    "F32": "<f4",
    "I64": "<i8",
    "I32": "<i4",
    "I8": "|i1",
    "U16": "<u2",
    "BOOL": "|b1",
}
_NAMES: Final = {np.dtype(code): name for name, code in _TYPES.items()}
_PLAIN: Final = (bool, int, str)


def to_bytes(state: Any) -> bytes:
    """Return a state as bytes; equal states give equal bytes.

    Raises:
        TypeError: The state holds something that is not an array, a plain value or a container.
    """
    arrays: list[np.ndarray[Any, Any]] = []
    plain = json.dumps(_plain(state, arrays), separators=(",", ":"))
    header: dict[str, Any] = {"__metadata__": {"state": plain}}
    offset = 0
    for number, array in enumerate(arrays):
        end = offset + array.nbytes
        header[f"a{number}"] = {
            "dtype": _NAMES[array.dtype],
            "shape": list(array.shape),
            "data_offsets": [offset, end],
        }
        offset = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    blocks = [np.ascontiguousarray(array).tobytes() for array in arrays]
    return b"".join([len(text).to_bytes(8, "little"), text, *blocks])


def from_bytes(data: bytes, classes: Iterable[type]) -> Any:
    """Return the state that `to_bytes` wrote.

    Args:
        data: What `to_bytes` returned.
        classes: Every dataclass, named tuple and enum that may be in it.

    Raises:
        ValueError: The bytes are damaged, hold a class that was not named, or are from before
            modules were written and name a class that several modules have.
    """
    try:
        size = int.from_bytes(data[:8], "little")
        header = json.loads(data[8 : 8 + size])
        plain = json.loads(header.pop("__metadata__")["state"])
        body = memoryview(data)[8 + size :]
        arrays = [_array(header[f"a{number}"], body) for number in range(len(header))]
        return _value(plain, arrays, _Known(classes))
    except (KeyError, IndexError, TypeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"not a checkpoint: {error!r}; start without it") from error


def _name(cls: type) -> str:
    """Return how a class is written: names are unique within a module only."""
    return f"{cls.__module__}:{cls.__qualname__}"


class _Known:
    """The classes that a reader named, by how they are written now and were written once."""

    def __init__(self, classes: Iterable[type]) -> None:
        self._full = {_name(one): one for one in classes}
        self._bare: dict[str, list[type]] = {}
        for one in self._full.values():
            self._bare.setdefault(one.__qualname__, []).append(one)

    def __getitem__(self, name: str) -> Any:
        if name in self._full:
            return self._full[name]
        same = self._bare[name]
        if len(same) > 1:
            modules = " and ".join(sorted(one.__module__ for one in same))
            raise ValueError(
                f"checkpoint: {name} may be of {modules}, and it is from before modules were "
                "written; start without it"
            )
        return same[0]


def _plain(value: Any, arrays: list[np.ndarray[Any, Any]]) -> Any:
    if isinstance(value, np.ndarray):
        if value.dtype not in _NAMES:
            raise TypeError(f"arrays of {value.dtype} have no place in a checkpoint")
        arrays.append(value)
        return ["a", len(arrays) - 1]
    if isinstance(value, Enum):
        return ["e", _name(type(value)), value.value]
    if isinstance(value, np.generic):
        return _plain(np.asarray(value), arrays)
    if value is None or isinstance(value, _PLAIN):
        return value
    if isinstance(value, float):
        return ["f", value.hex()]
    if is_dataclass(value) and not isinstance(value, type):
        parts = [_plain(getattr(value, field.name), arrays) for field in fields(value)]
        return ["c", _name(type(value)), parts]
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return ["n", _name(type(value)), [_plain(one, arrays) for one in value]]
    return _container(value, arrays)


def _container(value: Any, arrays: list[np.ndarray[Any, Any]]) -> Any:
    match value:
        case tuple():
            return ["t", [_plain(one, arrays) for one in value]]
        case list():
            return ["l", [_plain(one, arrays) for one in value]]
        case frozenset():
            return ["s", [_plain(one, arrays) for one in sorted(value)]]
        case dict():
            pairs = [[_plain(k, arrays), _plain(v, arrays)] for k, v in value.items()]
            return ["d", pairs]
        case _:
            raise TypeError(f"{type(value).__qualname__} has no place in a checkpoint")


def _array(entry: dict[str, Any], body: memoryview) -> np.ndarray[Any, Any]:
    begin, end = entry["data_offsets"]
    if not 0 <= begin <= end <= len(body):
        raise ValueError(f"not a checkpoint: an array ends at {end} of {len(body)} bytes")
    flat = np.frombuffer(body[begin:end], dtype=_TYPES[entry["dtype"]])
    return flat.reshape(entry["shape"]).copy()


def _value(plain: Any, arrays: list[np.ndarray[Any, Any]], known: _Known) -> Any:
    if not isinstance(plain, list):
        return plain
    match plain:
        case ["a", number]:
            return arrays[number]
        case ["f", text]:
            return float.fromhex(text)
        case ["e", name, value]:
            return known[name](value)
        case ["d", pairs]:
            return {_value(k, arrays, known): _value(v, arrays, known) for k, v in pairs}
        case [kind, *name, parts] if kind in "ctnls":
            return _filled(kind, name, [_value(one, arrays, known) for one in parts], known)
        case _:
            raise ValueError(f"not a checkpoint: {plain[:1]!r} is no kind of value")


def _filled(kind: str, name: list[str], parts: list[Any], known: _Known) -> Any:
    if kind == "c":
        cls = known[name[0]]
        return cls(**dict(zip((field.name for field in fields(cls)), parts, strict=True)))
    if kind == "n":
        return known[name[0]](*parts)
    return {"t": tuple, "l": list, "s": frozenset}[kind](parts)
