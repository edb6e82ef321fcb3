"""One deployment's settings in Ray Serve's configuration: which of them is which lever.

A setting is looked up in what was asked for (the deployment as the configuration lists it) and,
where that says nothing, in what is in force (which has the application's code in it).
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from homeostat.base import names
from homeostat.base.world import Levers, Scalar

Config = Mapping[str, Any]
"""A piece of Serve's configuration, as JSON has it."""

WHOLE: Final = frozenset({names.BATCH_MAX, names.CONCURRENCY})
_MOST: Final = 1_000_000_000  # some say "no limit" by a large number


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Which deployment is meant, and what of it is a lever.

    Attributes:
        application: The application's name.
        deployment: The deployment's name in it.
        pool: The pool that its replicas are.
        paths: Lever to where `user_config` holds its value, with dots between keys.
    """

    application: str
    deployment: str
    pool: str
    paths: Mapping[str, str]

    @property
    def replicas(self) -> str:
        """The lever of the replicas."""
        return names.lever_replicas(self.pool)

    @property
    def levers(self) -> tuple[str, ...]:
        """Every lever that there may be."""
        return (self.replicas, names.CONCURRENCY, *self.paths)


def bad_value(lever: str, value: Scalar, place: Place) -> str:
    """Return why a lever cannot have a value, empty if it can.

    >>> place = Place(application="a", deployment="b", pool="a", paths={})
    >>> bad_value("replicas.a", 2.5, place)
    'replicas.a must be a whole number from 0 to 1000000000, got 2.5'
    >>> bad_value("batch_max", 10**400, place).startswith("batch_max must be")
    True
    """
    whole = lever in WHOLE or lever == place.replicas
    low = 0 if lever not in WHOLE else 1
    # The bounds come first: they turn away NaN, infinity and integers that no float can hold.
    fits = not isinstance(value, str | bool) and low <= value <= _MOST
    if fits and (not whole or value == int(value)):
        return ""
    kind = "whole number" if whole else "number"
    return f"{lever} must be a {kind} from {low} to {_MOST}, got {value!r}"


def entry_of(config: Config, deployment: str) -> dict[str, Any] | None:
    """Return a deployment as an application's configuration lists it, None if it does not.

    Raises:
        ValueError: It does so twice.
    """
    found = [one for one in config.get("deployments") or () if one.get("name") == deployment]
    if len(found) > 1:
        raise ValueError(f"deployment {deployment!r} is listed twice in the Serve config")
    return found[0] if found else None


def is_scaled(entry: Config, in_force: Config) -> bool:
    """Return whether Ray's autoscaler decides the number of replicas."""
    asked = entry.get("num_replicas")
    if isinstance(asked, int):
        return False
    said = entry.get("autoscaling_config") or in_force.get("autoscaling_config")
    return said is not None or asked == "auto"


def scaling(entry: Config, in_force: Config) -> dict[str, Any]:
    """Return the autoscaler's settings, those that are asked for over those in force."""
    if not is_scaled(entry, in_force):
        return {}
    real, asked = in_force.get("autoscaling_config"), entry.get("autoscaling_config")
    return {
        **(real if isinstance(real, dict) else {}),
        **(asked if isinstance(asked, dict) else {}),
    }


def _user_config(entry: Config, in_force: Config) -> dict[str, Any]:
    """Return the `user_config`; where the configuration has none, the code's."""
    for said in (entry.get("user_config"), in_force.get("user_config")):
        if said is not None:
            return dict(said) if isinstance(said, dict) else {}
    return {}


def values(place: Place, entry: Config, in_force: Config) -> dict[str, Scalar]:
    """Return the levers' values, those in `entry` before those in force.

    Raises:
        ValueError: One is no number, or none that it could have.
    """
    if is_scaled(entry, in_force):
        count = scaling(entry, in_force).get("min_replicas", 1)
    else:
        count = _either("num_replicas", entry, in_force)
    found = {
        place.replicas: count,
        names.CONCURRENCY: _either("max_ongoing_requests", entry, in_force),
    }
    for lever, path in place.paths.items():
        inner: Any = _user_config(entry, in_force)
        for key in path.split("."):
            inner = inner.get(key) if isinstance(inner, dict) else None
        found[lever] = inner
    there = {lever: value for lever, value in found.items() if value is not None}
    for lever, value in there.items():
        if not isinstance(value, int | float) or bad_value(lever, value, place):
            where = place.paths.get(lever)
            said = f"user_config.{where}" if where else f"the setting behind {lever}"
            raise ValueError(f"{said} is no number that {lever} could be")
    return {
        lever: value if lever not in WHOLE | {place.replicas} else int(value)
        for lever, value in there.items()
    }


def _either(key: str, entry: Config, in_force: Config) -> Any:
    found = entry.get(key)
    return found if found is not None else in_force.get(key)


def changed(entry: Config, in_force: Config, post: Levers, place: Place) -> dict[str, Any]:
    """Return a deployment's entry with levers set that can be; all else in it stays."""
    after = copy.deepcopy(dict(entry))
    for lever, value in post:
        if lever == names.CONCURRENCY:
            after["max_ongoing_requests"] = int(value)
        elif lever in place.paths:
            after["user_config"] = _bound(after, in_force, place.paths[lever], lever, value)
        elif is_scaled(entry, in_force):
            bounds = entry["autoscaling_config"]
            after["autoscaling_config"] = {**bounds, "min_replicas": int(value)}
        else:
            after["num_replicas"] = int(value)
    return after


def _bound(entry: Config, in_force: Config, path: str, lever: str, value: Scalar) -> dict[str, Any]:
    config = copy.deepcopy(_user_config(entry, in_force))
    *way, last = path.split(".")
    inner = config
    for key in way:
        inner = inner[key]
    inner[last] = int(value) if lever in WHOLE else value
    return config
