"""The state of the stack, or of another method, to bytes and back, bit for bit.

A state is nested named tuples of arrays. Its arrays are written in order, with the settings that
made it, by `stats.arrays`; reading takes a stack of the same settings, which knows the structure:
bytes fill it, and whatever does not fit is refused.
"""

from typing import Any, Final

import numpy as np

from homeostat.detect.method import Method
from homeostat.stats import arrays

_FORM: Final = 4


def to_bytes(stack: Method, state: Any) -> bytes:
    """Return a state of this stack as bytes; equal states give equal bytes."""
    leaves = tuple(np.asarray(leaf) for leaf in _leaves(state))
    return arrays.to_bytes((_FORM, repr(stack.config), leaves))


def from_bytes(stack: Method, data: bytes, *, columns: int, entities: int = 1) -> Any:
    """Return the state that `to_bytes` wrote.

    Args:
        stack: A stack of the settings that it was written with.
        data: What `to_bytes` returned.
        columns: Columns of each entity.
        entities: How many.

    Raises:
        ValueError: The bytes are damaged, or of other settings, columns or entities.
    """
    try:
        read = arrays.from_bytes(data, ())
    except ValueError as error:
        raise ValueError(f"checkpoint: damaged ({error}); start without it") from error
    match read:
        case (int(form), str(settings), tuple(leaves)) if form == _FORM:
            pass
        case _:
            raise ValueError("checkpoint: not one of a detection stack; start without it")
    if settings != repr(stack.config):
        raise ValueError("checkpoint: the stack had other settings; start without it")
    blank = stack.init(columns, entities=entities)
    wanted = [(leaf.shape, leaf.dtype) for leaf in _leaves(blank)]
    found = [(np.shape(leaf), np.asarray(leaf).dtype) for leaf in leaves]
    if found != wanted:
        raise ValueError(
            f"checkpoint: not of {entities} entities with {columns} columns each; "
            "give the data that it was made with, or start without it"
        )
    return _filled(blank, list(leaves))


def _leaves(value: Any) -> list[Any]:
    """Return the arrays of nested tuples, in order."""
    if isinstance(value, tuple):
        return [leaf for part in value for leaf in _leaves(part)]
    return [value]


def _filled(shape: Any, leaves: list[Any]) -> Any:
    """Return the structure with these arrays, taken from the front of the list."""
    if not isinstance(shape, tuple):
        return leaves.pop(0)
    parts = [_filled(part, leaves) for part in shape]
    return type(shape)(*parts) if hasattr(shape, "_fields") else tuple(parts)
