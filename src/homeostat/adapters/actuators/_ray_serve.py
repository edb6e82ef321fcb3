"""What Ray Serve says of its applications, and the configuration that changes one deployment.

Nothing here asks anybody. What runs (`deployments[].replicas`, `target_num_replicas`, the settings
in force) is told apart from what was asked for (`deployed_app_config`), because the status words
say RUNNING before any replica has heard of a change.

Ray takes all applications at once: what a PUT leaves out is deleted, so all are sent back as they
were read, word for word. What is not in the configuration already is not added where Ray would
build the application anew or restart replicas for it. Source: Ray 2.58, serve/_private/
{application_state,deploy_utils,deployment_state,autoscaling_state,controller}.py, serve/schema.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

from homeostat.adapters.actuators import _ray_config as config
from homeostat.adapters.actuators._ray_config import Config, Place
from homeostat.base.units import SECOND, TimeNs
from homeostat.base.world import Levers, Replica, ReplicaState

# What a PUT has beside the applications. Serve's logging is not told; left out, it stays as it is.
_AROUND: Final = ("proxy_location", "http_options", "grpc_options", "target_capacity")
_WHOLE_CAPACITY: Final = 100
_IMPERATIVE: Final = "imperative"  # deployed by `serve.run`: no PUT touches it
_DELETING: Final = "DELETING"
# Sent again, these would be built or tried anew, which nobody asked for.
_UNFINISHED: Final = frozenset({"NOT_STARTED", "DEPLOYING", "DEPLOY_FAILED"})
_STATES: Final = {
    "STARTING": ReplicaState.STARTING,
    "UPDATING": ReplicaState.STARTING,  # taken out of rotation to be reconfigured
    "RECOVERING": ReplicaState.STARTING,  # Ray's controller was restarted and asks it how it is
    "RUNNING": ReplicaState.READY,
    "PENDING_MIGRATION": ReplicaState.READY,  # serves until another stands in for it
    "STOPPING": ReplicaState.DRAINING,
    "STOPPED": ReplicaState.GONE,
}


class _Said(BaseModel):
    """Part of an answer; errors do not quote it, for it may hold secrets."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True, hide_input_in_errors=True)


class _Instance(_Said):
    applications: dict[str, dict[str, Any]]
    target_capacity: FiniteFloat | None = None


class _Application(_Said):
    status: str = Field(max_length=100)
    source: str | None = None  # since Ray 2.42
    deployed_app_config: dict[str, Any] | None = None
    external_scaler_enabled: bool = False


class _Slot(_Said):
    replica_id: str = Field(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9_.#-]*$", max_length=253)
    state: str = Field(max_length=100)
    start_time_s: FiniteFloat | None = Field(default=None, ge=0, le=1e11)


class _Deployment(_Said):
    target_num_replicas: int = Field(ge=0)
    deployment_config: dict[str, Any]
    replicas: list[_Slot] = Field(max_length=10_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """One reading.

    Attributes:
        place: What was looked for.
        around: What a PUT has beside the applications, as it was read.
        applications: What each was deployed with, by name; those that are being deleted left out.
        statuses: Each application's word for itself, by name.
        unread: Applications of which nobody can tell what they were deployed with.
        entry: The deployment as the configuration lists it; None if it does not.
        in_force: Its settings in force.
        target: How many replicas Ray is at, or on its way to.
        slots: The replicas that there are.
        owned: Lever to who or what keeps it from being set.
    """

    place: Place
    around: Config
    applications: Mapping[str, Config]
    statuses: Mapping[str, str]
    unread: tuple[str, ...]
    entry: Config | None
    in_force: Config
    target: int
    slots: tuple[_Slot, ...]
    owned: Mapping[str, str]

    @property
    def levers(self) -> Levers:
        """What was asked for, where it is for us to ask; sorted."""
        return tuple(sorted(one for one in self._asked.items() if one[0] not in self.owned))

    @property
    def changing(self) -> bool:
        """True while the replicas, or the settings in force, are not what was asked for.

        The status is heard only where it says so too: a build of new code shows nowhere else.
        """
        if any(_state(one) is not ReplicaState.READY for one in self.slots):
            return True
        if self.statuses[self.place.application] in _UNFINISHED:
            return True
        return len(self.slots) != self.target or self._asked != self._real

    @property
    def _asked(self) -> Config:
        return config.values(self.place, self.entry or {}, self.in_force)

    @property
    def _real(self) -> Config:
        return config.values(self.place, {}, self.in_force)

    def replicas(self) -> tuple[Replica, ...]:
        """Return the replicas, sorted; Ray does not say where one is reached, nor its version.

        Raises:
            ValueError: One is in a state that nobody knows.
        """
        found = (
            Replica(
                name=one.replica_id,
                pool=self.place.pool,
                version=None,
                state=_state(one),
                incarnation=0,  # a new process is a new replica to Ray
                started_at=_time(one.start_time_s),
            )
            for one in self.slots
        )
        return tuple(sorted(found, key=lambda one: one.name))

    def shows(self, post: Levers) -> bool:
        """Return whether levers are as asked, in the configuration and in force."""
        asked, real = self._asked, self._real
        return all(asked.get(name) == value == real.get(name) for name, value in post)

    def refusal(self, post: Levers, *, undo: bool) -> str:
        """Return why nothing is to be sent, empty if it may be.

        Args:
            post: What would be set.
            undo: It takes a write back; that waits for nobody's deployment.
        """
        if self.unread:
            said = ", ".join(self.unread)
            return f"what {said} was deployed with cannot be read, and a write would delete it"
        if found := dict.fromkeys(self.owned[lever] for lever, _ in post if lever in self.owned):
            return " and ".join(found)
        own = self.place.application
        for name, status in self.statuses.items():
            waits = _UNFINISHED - {"DEPLOYING"} if name == own else _UNFINISHED
            if name in self.applications and status in waits and not undo:
                return f"application {name!r} is {status}, and a write would deploy it once more"
        return self._unfit(post)

    def changed(self, post: Levers) -> Config:
        """Return the whole configuration with levers set; all else as it was read.

        Raises:
            ValueError: The deployment is not in it.
        """
        own, name = self.applications.get(self.place.application), self.place.deployment
        if own is None or self.entry is None:
            raise ValueError(f"deployment {name!r} is not listed in the Serve config")
        after = config.changed(self.entry, self.in_force, post, self.place)
        listed = [after if one.get("name") == name else one for one in own["deployments"]]
        sent = {**self.applications, self.place.application: {**own, "deployments": listed}}
        return {**self.around, "applications": list(sent.values())}

    def _unfit(self, post: Levers) -> str:
        """Return why there cannot be as many replicas."""
        wanted = dict(post).get(self.place.replicas)
        if wanted is None:
            return ""
        scaling = config.scaling(self.entry or {}, self.in_force)
        if not scaling and int(wanted) < 1:
            return "num_replicas is 1 at least; to have none is the autoscaler's (min_replicas)"
        ceiling = scaling.get("max_replicas")
        if ceiling is not None and int(wanted) > ceiling:
            return f"autoscaling_config has max_replicas {ceiling}; raise it there first"
        return ""


def read(said: Config, place: Place) -> Sight:
    """Return what an answer says of one deployment.

    Raises:
        ValueError: It is not there, or the answer makes no sense; nothing of it is quoted.
    """
    instance = _Instance.model_validate(said)
    apps = {name: _Application.model_validate(one) for name, one in instance.applications.items()}
    own = apps.get(place.application)
    if own is None:
        there = ", ".join(sorted(apps)) or "none"
        raise ValueError(f"no application {place.application!r}; there: {there}")
    parts = instance.applications[place.application].get("deployments") or {}
    if place.deployment not in parts:
        there = ", ".join(sorted(parts)) or "none"
        raise ValueError(
            f"application {place.application!r} has no deployment {place.deployment!r}; "
            f"there: {there}"
        )
    found = _Deployment.model_validate(parts[place.deployment])
    entry = config.entry_of(own.deployed_app_config or {}, place.deployment)
    in_force = found.deployment_config
    return Sight(
        place=place,
        around={key: said[key] for key in _AROUND if said.get(key) is not None},
        applications={
            name: one.deployed_app_config
            for name, one in apps.items()
            if one.deployed_app_config is not None and one.status != _DELETING
        },
        statuses={name: one.status for name, one in apps.items()},
        unread=tuple(name for name, one in apps.items() if _is_unread(one)),
        entry=entry,
        in_force=in_force,
        target=found.target_num_replicas,
        slots=tuple(found.replicas),
        owned=_owned(own, entry, in_force, place, instance.target_capacity),
    )


def _owned(
    own: _Application, entry: Config | None, in_force: Config, place: Place, capacity: float | None
) -> dict[str, str]:
    """Return levers with what keeps them from being set."""
    if why := _against_all(own, entry, in_force, place, capacity):
        return dict.fromkeys(place.levers, why)
    why = _against_replicas(entry or {}, in_force, place)
    return {place.replicas: why} if why else {}


def _against_all(
    own: _Application, entry: Config | None, in_force: Config, place: Place, capacity: float | None
) -> str:
    name, deployment = place.application, place.deployment
    if own.status == _DELETING:
        return f"application {name!r} is being deleted"
    if own.deployed_app_config is None:
        return f"application {name!r} has no Serve config; deploy it by one, not by serve.run"
    if entry is None:
        # Ray would hash the actors' options anew, and restart all replicas for that.
        return (
            f"deployment {deployment!r} is not listed under `deployments` of application "
            f"{name!r}; list it in the Serve config by its name"
        )
    if own.external_scaler_enabled:
        return (
            f"application {name!r} is scaled from outside (external_scaler_enabled), "
            "and any change would set its replicas back"
        )
    if capacity not in {None, _WHOLE_CAPACITY}:
        return "Serve has a target_capacity: an upgrade of the cluster is under way"
    if config.scaling(entry, in_force).get("initial_replicas") is not None:
        return (
            "autoscaling_config has initial_replicas, which Ray goes back to at any change; "
            "take it out of the Serve config"
        )
    return ""


def _against_replicas(entry: Config, in_force: Config, place: Place) -> str:
    if config.is_scaled(entry, in_force) and not isinstance(entry.get("autoscaling_config"), dict):
        # Adding it would make another version of the code to Ray, and restart all replicas.
        return (
            f"the bounds of {place.deployment!r} are in the application's code; "
            "write autoscaling_config into the Serve config"
        )
    if in_force.get("gang_scheduling_config") is not None:
        return "gang_scheduling_config: replicas come and go in gangs"
    return ""


def _is_unread(one: _Application) -> bool:
    """Return whether a write would delete an application, for want of what it was deployed with."""
    if one.deployed_app_config is not None or one.status == _DELETING:
        return False
    return one.source != _IMPERATIVE


def _time(seconds: float | None) -> TimeNs | None:
    return None if seconds is None else TimeNs(int(seconds * SECOND))


def _state(one: _Slot) -> ReplicaState:
    try:
        return _STATES[one.state]
    except KeyError as error:
        known = ", ".join(_STATES)
        raise ValueError(f"replica {one.replica_id} is {one.state!r}, none of {known}") from error
