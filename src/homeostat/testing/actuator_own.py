"""What an actuator reports of single replicas' settings, beside what it declares."""

from homeostat.base import names
from homeostat.base.ports import Capabilities
from homeostat.base.world import Snapshot


def wrong_own_values(world: Snapshot, can: Capabilities) -> str:
    """Return what is wrong with the own values of settings that were read, empty for nothing.

    Args:
        world: As read; each replica must have an own value of each declared setting.
        can: What the actuator declares; nothing else may be reported.
    """
    told = {lever for lever, _ in world.levers if names.own(lever) is not None}
    slots = {of[1] for lever in told if (of := names.own(lever)) is not None}
    settings = [setting for setting in can.one_first if world.lever(setting) is not None]
    wanted = {names.lever_own(setting, one.name) for setting in settings for one in world.replicas}
    known = {names.lever_own(setting, slot) for setting in settings for slot in slots}
    if not wanted <= told:
        return f"declares {can.one_first}, and lacks {sorted(wanted - told)}"
    if not told <= known:
        return f"reports {sorted(told - known)}, and declares {can.one_first}"
    return ""
