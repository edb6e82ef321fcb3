"""The fleet's state to bytes and back, bit for bit.

As `stack_checkpoint`: the arrays in order, with the settings and the entities that they are of;
whatever does not fit is refused.
"""

from typing import Final

import numpy as np

from homeostat.detect.fleet_told import Fleet, FleetState
from homeostat.detect.fused_groups import filled, leaves
from homeostat.stats import arrays

_FORM: Final = 1


def to_bytes(fleet: Fleet, state: FleetState) -> bytes:
    """Return a state of this fleet as bytes; equal states give equal bytes."""
    parts = tuple(np.asarray(leaf) for leaf in leaves(state))
    return arrays.to_bytes((_FORM, _settings(fleet), parts))


def from_bytes(fleet: Fleet, data: bytes) -> FleetState:
    """Return the state that `to_bytes` wrote.

    Args:
        fleet: Of the settings and entities that it was written with.
        data: What `to_bytes` returned.

    Raises:
        ValueError: The bytes are damaged, or of other settings or entities.
    """
    try:
        read = arrays.from_bytes(data, ())
    except ValueError as error:
        raise ValueError(f"checkpoint: damaged ({error}); start without it") from error
    match read:
        case (int(form), str(settings), tuple(parts)) if form == _FORM:
            pass
        case _:
            raise ValueError("checkpoint: not one of a fleet; start without it")
    if settings != _settings(fleet):
        raise ValueError("checkpoint: of a fleet of other settings or entities; start without it")
    blank = fleet.init()
    wanted = [(np.shape(leaf), np.asarray(leaf).dtype) for leaf in leaves(blank)]
    found = [(np.shape(leaf), np.asarray(leaf).dtype) for leaf in parts]
    if found != wanted:
        raise ValueError("checkpoint: its arrays do not fit the fleet; start without it")
    out = filled(blank, list(parts))
    assert isinstance(out, FleetState)  # noqa: S101 - the type of `blank`, for the type checker
    return out


def _settings(fleet: Fleet) -> str:
    return f"{fleet.config!r} of {list(fleet.columns)}"
