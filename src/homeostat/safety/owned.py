"""Who writes here: us, an older us, or somebody else. What is not known is not ours."""

from typing import Final

from homeostat.base.actions import Action
from homeostat.base.intent import ActionRecord, ActionState
from homeostat.base.world import Stamp
from homeostat.safety.sight import Sight

_WRITTEN: Final = frozenset({
    ActionState.APPLIED,
    ActionState.SETTLING,
    ActionState.VERIFYING,
    ActionState.ROLLING_BACK,
})


def foreign(action: Action, sight: Sight, own: ActionRecord | None) -> bool | None:
    """Return whether somebody else writes here; None when the target's stamp is not known."""
    until = sight.state.foreign_until
    if until is not None and sight.now < until:
        return True
    stamp = None if sight.world is None else sight.world.stamp(action.actuator)
    if stamp is None:
        return None
    if own is None:
        return _superseded(stamp, sight)
    if stamp.epoch is not None and stamp.epoch > own.epoch:
        return True  # a newer controller owns the deployment
    ours = stamp.intent is None or stamp.intent.startswith(f"{own.id}.")
    return own.intent is not None and own.state in _WRITTEN and not ours


def _superseded(stamp: Stamp, sight: Sight) -> bool:
    """Return whether a newer controller owns the deployment, known before anything is begun.

    A controller whose journal was thrown away counts its epochs anew and would be denied at every
    write. A shadow writes nothing and may watch what another controller owns.
    """
    epoch = sight.state.epoch
    writes = sight.state.managed.acts
    return writes and epoch is not None and stamp.epoch is not None and stamp.epoch > epoch
