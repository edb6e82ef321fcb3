"""What else is being changed, here and in the rest of the fleet, and how much may be at once."""

from typing import Final

from homeostat.base.actions import Action
from homeostat.base.intent import ActionRecord, ActionState
from homeostat.safety.sight import Sight, milli
from homeostat.safety.tree import Value

NOT_YET_WRITING: Final = frozenset({ActionState.PROPOSED, ActionState.AWAITING_APPROVAL})


def of_fleet(action: Action, sight: Sight, own: ActionRecord | None) -> dict[str, Value]:
    """Return the facts about what else goes on.

    Args:
        action: What would be done.
        sight: What can be seen.
        own: Its own record if it is in flight: that is nothing else.
    """
    fleet, flying = sight.state.fleet, sight.state.in_flight
    busy = (
        flying is not None
        and own is None
        and not flying.state.is_terminal
        and flying.state not in NOT_YET_WRITING
    )
    stamp = None if sight.world is None else sight.world.stamp(action.actuator)
    # Without compare-and-set a stale write can land: half the blast radius.
    halved = stamp is not None and stamp.token is None
    return {
        **sight.once(_fleet_halved if halved else _fleet_whole),
        "flying": busy,
        # Two canaries at once are two changes at once, though neither writes just now.
        "targets_changing": fleet.targets_changing + (fleet.trying if action.beside else 0),
        "sharing": fleet.sharing_changing + (fleet.sharing_trying if action.beside else 0),
    }


def _fleet_whole(sight: Sight) -> dict[str, Value]:
    return _fleet_limits(sight, 1)


def _fleet_halved(sight: Sight) -> dict[str, Value]:
    return _fleet_limits(sight, 2)


def _fleet_limits(sight: Sight, part: int) -> dict[str, Value]:
    """Return what the fleet allows, whatever is asked about; of its blast radius one part."""
    guard, fleet = sight.state.managed.guard, sight.state.fleet
    share, replica_share = milli(guard.targets_share), milli(guard.replicas_share)
    size = max(fleet.replicas, len(sight.replicas()))
    correlated = milli(guard.correlated_share)
    return {
        "changing": None if sight.world is None else sight.world.changing,
        "targets": fleet.targets,
        "targets_limit": None if share is None else max(1, fleet.targets * (share // part) // 1000),
        "others_changing": fleet.replicas_changing,
        "replicas_limit": None
        if replica_share is None
        else max(1, size * (replica_share // part) // 1000),
        "anomalous": fleet.anomalous,
        "correlated_targets": guard.correlated_targets,
        "correlated_fleet": guard.correlated_fleet,
        "correlated_limit_milli": None if correlated is None else fleet.targets * correlated,
        "sensors_ok": fleet.sensors_ok,
    }
