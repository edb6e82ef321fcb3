"""Finds plug-ins: every file of a room that exports `PART`, and installed entry points.

An unknown name is an error, never a default; so is a name that two plug-ins claim.
"""

import importlib
import pkgutil
from collections.abc import Iterator
from functools import cache
from importlib.metadata import entry_points

from homeostat.base.errors import ConfigError, UnknownPartError
from homeostat.base.part import Part

_ROOMS = {
    "detector": ("homeostat.detect", "homeostat.detectors"),
    "method": ("homeostat.detect", "homeostat.methods"),
    "source": ("homeostat.adapters.sources", "homeostat.sources"),
    "actuator": ("homeostat.adapters.actuators", "homeostat.actuators"),
    "notifier": ("homeostat.adapters.notify", "homeostat.notifiers"),
    "store": ("homeostat.adapters.stores", None),
    "trainer": ("homeostat.adapters.trainers", "homeostat.trainers"),
    "histogram": ("homeostat.detect", "homeostat.histograms"),
    "policy": ("homeostat.policy", "homeostat.policies"),
}


@cache
def parts(kind: str) -> dict[str, Part]:
    """Return all plug-ins of a kind by name.

    Raises:
        ConfigError: Two plug-ins claim one name.
        UnknownPartError: There is no such kind.
    """
    if kind not in _ROOMS:
        raise UnknownPartError("kind of part", kind, _ROOMS)
    found: dict[str, Part] = {}
    for part in _found(kind):
        if part.name in found:
            raise ConfigError(f"two {kind}s are called {part.name!r}; uninstall or rename one")
        found[part.name] = part
    return found


def part(kind: str, name: str) -> Part:
    """Return one plug-in.

    Raises:
        UnknownPartError: Nothing offers that name.
    """
    known = parts(kind)
    if name not in known:
        raise UnknownPartError(kind, name, known)
    return known[name]


def _found(kind: str) -> Iterator[Part]:
    room, group = _ROOMS[kind]
    package = importlib.import_module(room)
    for info in pkgutil.iter_modules(package.__path__, prefix=f"{room}."):
        found = getattr(importlib.import_module(info.name), "PART", None)
        if isinstance(found, Part) and found.kind == kind:
            yield found
    if group:
        for entry in entry_points(group=group):
            loaded = entry.load()
            if not isinstance(loaded, Part) or loaded.kind != kind:
                raise ConfigError(f"entry point {entry.name!r} of {group} is not a {kind} Part")
            yield loaded
