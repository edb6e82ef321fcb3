"""Values to canonical JSON and back, bit for bit.

Every noun of `base` is a frozen dataclass of scalars, enums, tuples and nouns. Dataclasses carry
their class name under `"$"`; keys are sorted; floats keep their shortest exact form; NaN and
infinities are written as strings, because JSON has none.
"""

import dataclasses
import json
import math
from collections.abc import Callable
from enum import Enum
from functools import cache
from types import UnionType
from typing import Any, NewType, TypeVar, Union, get_args, get_origin, get_type_hints

from homeostat.base import (
    actions,
    autonomy,
    budgets,
    canary,
    decisions,
    events,
    evidence,
    feedback,
    guard,
    intent,
    learning,
    policy,
    rehearsal,
    state,
    training,
    world,
)

T = TypeVar("T")
_MODULES = (
    actions, autonomy, budgets, canary, decisions, events, evidence, feedback, guard, intent,
    learning, policy, rehearsal, state, training, world,
)  # fmt: skip
_CLASSES: dict[str, Any] = {
    name: value
    for module in _MODULES
    for name, value in vars(module).items()
    if isinstance(value, type) and dataclasses.is_dataclass(value)
}
_SCALARS = frozenset({str, int, bool, type(None)})
_ODD = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def to_plain(value: Any) -> Any:
    """Return a noun as dicts, lists and scalars."""
    kind = type(value)
    if kind in _SCALARS or (kind is float and math.isfinite(value)):
        return value  # nine values in ten; a tick has thousands
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        plain = {name: to_plain(getattr(value, name)) for name in _field_names(type(value))}
        plain["$"] = type(value).__name__
        return plain
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, float) and not math.isfinite(value):
        return {
            "$float": "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
        }
    if isinstance(value, tuple | list):
        return [to_plain(item) for item in value]
    return value


def encode(value: Any) -> bytes:
    """Return canonical JSON (UTF-8, sorted keys, no spaces).

    Raises:
        TypeError: The value holds something that is not one of base's nouns.
    """
    return json.dumps(
        to_plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


def decode(data: bytes) -> Any:
    """Return the noun that `encode` wrote.

    Raises:
        ValueError: The bytes are not canonical JSON of a known noun.
    """
    try:
        plain = json.loads(data)
        return _class_reader(_CLASSES[plain["$"]])(plain)
    except (KeyError, TypeError, IndexError, RecursionError) as error:
        raise ValueError(f"not a journal value: {data[:80]!r} ({error!r})") from error


@cache
def _field_names(cls: Any) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(cls) if field.compare)


@cache
def _class_reader(cls: Any) -> Callable[[Any], Any]:
    readers = {name: _reader(hint) for name, hint in get_type_hints(cls).items()}
    names = _field_names(cls)

    def read(plain: Any) -> Any:
        return cls(**{name: readers[name](plain[name]) for name in names if name in plain})

    return read


def _reader(hint: Any) -> Callable[[Any], Any]:
    if isinstance(hint, NewType):
        return _reader(hint.__supertype__)
    origin, args = get_origin(hint), get_args(hint)
    if origin in {Union, UnionType}:
        return _union_reader(args)
    if origin is tuple:
        if len(args) == 2 and args[1] is Ellipsis:  # noqa: PLR2004 - tuple[T, ...] has two args
            item = _reader(args[0])
            return lambda plain: tuple(item(entry) for entry in plain)
        items = [_reader(arg) for arg in args]
        return lambda plain: tuple(r(entry) for r, entry in zip(items, plain, strict=True))
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return _class_reader(hint)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return hint
    return _float if hint is float else _same


def _union_reader(args: tuple[Any, ...]) -> Callable[[Any], Any]:
    classes = {a.__name__: a for a in args if isinstance(a, type) and dataclasses.is_dataclass(a)}
    others = [a for a in args if a is not type(None) and a not in classes.values()]
    other = _reader(others[0]) if len(others) == 1 else _same

    def read(plain: Any) -> Any:
        if plain is None:
            return None
        if isinstance(plain, dict) and plain.get("$") in classes:
            return _class_reader(classes[plain["$"]])(plain)
        return other(plain)

    return read


def _float(plain: Any) -> float:
    if isinstance(plain, dict):
        return _ODD[plain["$float"]]
    return float(plain)


def _same(plain: Any) -> Any:
    return plain


__all__ = ["decode", "encode", "to_plain"]
