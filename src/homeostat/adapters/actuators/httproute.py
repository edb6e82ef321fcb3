"""Actuator of the Gateway API: how one rule of one HTTPRoute divides the traffic between pools.

A rule's weights are relative to one another; a pool's lever is its share in percent, and a write
sets them to sum to 100. Rules are an atomic list in the API: a merge patch sends all of them as
they were read, and the resource version keeps anybody else's change from being lost.

A route that Argo Rollouts, Flagger, KServe or a GitOps tool sets is left alone, by its name. One
that its gateway refuses is not read at all: what it says divides nothing.
"""

import copy
from collections.abc import Mapping
from typing import Any, Final, Self

from pydantic import Field, model_validator

from homeostat.adapters.actuators import _kubernetes_gateways as gateways
from homeostat.adapters.actuators import _kubernetes_owner as owner
from homeostat.adapters.actuators import _shares
from homeostat.adapters.actuators._kubernetes_api import Api
from homeostat.adapters.actuators._kubernetes_object import ObjectActuator
from homeostat.adapters.actuators._kubernetes_view import ApiConfig, Name, Sight, listed
from homeostat.base import names
from homeostat.base.intent import Intent
from homeostat.base.part import Part
from homeostat.base.world import Scalar

_IN_ROLLOUT: Final = "rollouts.argoproj.io/gatewayapi-canary"
_DEFAULT: Final = 1  # the API's, of a weight that is not written


class HTTPRouteConfig(ApiConfig):
    """Settings of the HTTPRoute actuator."""

    name: str = Field(default="httproute", min_length=1, description="The actuator's name.")
    route: Name = Field(description="The HTTPRoute's name.")
    backends: Mapping[str, Name] = Field(
        min_length=2, max_length=16, description="Pool to the Service that the rule refers to."
    )
    stable: str = Field(default="a", description="The pool that takes what the others leave.")
    rule: int | None = Field(
        default=None, ge=0, le=15, description="Which rule, from 0; None for the one that fits."
    )

    @model_validator(mode="after")
    def _told_apart(self) -> Self:
        if self.stable not in self.backends:
            raise ValueError(f"stable {self.stable!r} is none of the pools {list(self.backends)}")
        if len(set(self.backends.values())) < len(self.backends):
            raise ValueError(f"two pools have the same Service in {dict(self.backends)}")
        return self


class Route:
    """One rule of one HTTPRoute."""

    def __init__(self, config: HTTPRouteConfig) -> None:
        self._config = config
        self._pools = {service: pool for pool, service in config.backends.items()}
        self._weighed = {
            names.lever_weight(pool): pool for pool in config.backends if pool != config.stable
        }

    @property
    def kind(self) -> owner.Kind:
        """A route."""
        return owner.ROUTE

    @property
    def object_name(self) -> str:
        """The route's name."""
        return self._config.route

    @property
    def levers(self) -> tuple[str, ...]:
        """The share of every pool but the stable one."""
        return tuple(self._weighed)

    def values(self, obj: owner.Object) -> dict[str, Scalar]:
        """Return the shares in percent; none while no backend has any weight.

        Raises:
            ValueError: No rule is the one that is meant, or it is not divided as configured.
        """
        shares = self._shares(obj)
        return {lever: shares[pool] for lever, pool in self._weighed.items() if shares}

    def wanted(self, obj: owner.Object) -> list[Any]:
        """Return the whole spec."""
        return [obj["metadata"].get("uid"), obj["spec"]]

    def problem(self, lever: str, value: Scalar) -> str:
        """Return why a pool cannot have this share."""
        return _shares.problem(lever, value)

    def unfit(self, obj: owner.Object, intent: Intent) -> str:
        """Return whether the shares leave less than nothing."""
        try:
            self._completed(obj, intent)
        except ValueError as error:
            return str(error)
        return ""

    def change(self, obj: owner.Object, intent: Intent) -> dict[str, Any]:
        """Return the rules, with the weights of one of them set."""
        rules = copy.deepcopy(list(obj["spec"]["rules"]))
        shares = self._completed(obj, intent)
        for backend in rules[self._index(obj)]["backendRefs"]:
            backend["weight"] = shares[self._pools[backend["name"]]]
        return {"spec": {"rules": rules}}

    def status(self, obj: owner.Object, intent: Intent) -> dict[str, Any]:  # noqa: ARG002
        """Return nothing: the rules say it all."""
        return {}

    async def owners(self, api: Api, obj: owner.Object) -> dict[str, list[str]]:
        """Return who else sets the rules: fields, references, rollouts and canaries."""
        meta, home = obj["metadata"], self._config.home
        found = owner.owners(obj, "rules")
        if _IN_ROLLOUT in (meta.get("labels") or {}):
            found.append("an Argo Rollout that is under way")
        rollouts, unknown = await listed(api, owner.ROLLOUT, home)
        found += unknown
        found += [f"Rollout/{one['metadata']['name']}" for one in rollouts if _routes(one, meta)]
        canaries, unknown = await listed(api, owner.CANARY, home)
        found += unknown
        found += [f"Canary/{one['metadata']['name']}" for one in canaries if _is_apex(one, meta)]
        return dict.fromkeys(self.levers, found)

    async def forbidden(self, api: Api, obj: owner.Object, intent: Intent) -> str:  # noqa: ARG002
        """Return nothing: a share takes no pod away."""
        return ""

    async def sight(self, api: Api, obj: owner.Object) -> Sight:  # noqa: ARG002
        """Return whether every gateway has taken the route as it stands.

        Raises:
            ValueError: One refuses it.
        """
        return Sight(changing=not gateways.in_force(obj))

    async def restartable(self, api: Api, obj: owner.Object) -> list[dict[str, Any]]:  # noqa: ARG002
        """Return nothing: a route has no pods."""
        return []

    def _index(self, obj: owner.Object) -> int:
        """Return which rule divides the traffic between exactly the pools.

        Raises:
            ValueError: None does, or which one is meant cannot be told.
        """
        rules = obj["spec"].get("rules") or []
        wanted = sorted(self._pools)
        fit = [index for index, rule in enumerate(rules) if _services(rule) == wanted]
        asked = self._config.rule
        if asked is not None:
            if asked in fit:
                return asked
            raise ValueError(f"rule {asked} does not divide between exactly {', '.join(wanted)}")
        if len(fit) != 1:
            text = "no rule divides" if not fit else f"the rules {fit} all divide"
            raise ValueError(f"{text} between exactly {', '.join(wanted)}; say which `rule`")
        return fit[0]

    def _shares(self, obj: owner.Object) -> dict[str, int]:
        backends = obj["spec"]["rules"][self._index(obj)]["backendRefs"]
        weights = {self._pools[one["name"]]: _weight(one) for one in backends}
        total = sum(weights.values())
        if total == 0:
            return {}
        return {pool: _shares.percent(one, total) for pool, one in weights.items()}

    def _completed(self, obj: owner.Object, intent: Intent) -> dict[str, int]:
        wanted = {self._weighed[lever]: int(value) for lever, value in intent.post}
        return _shares.completed(self._shares(obj), wanted, self._config.stable)


def _services(rule: Mapping[str, Any]) -> list[str]:
    """Return the Services that a rule refers to, nothing if it also refers to anything else."""
    backends = rule.get("backendRefs") or ()
    plain = all(
        one.get("kind", "Service") == "Service" and not one.get("group") and "namespace" not in one
        for one in backends
    )
    return sorted(one["name"] for one in backends) if plain else []


def _weight(backend: Mapping[str, Any]) -> int:
    value = backend.get("weight", _DEFAULT)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"the weight of {backend['name']} is {value!r}")
    return value


def _routes(rollout: owner.Object, route: Mapping[str, Any]) -> bool:
    """Return whether a Rollout sets a route's weights, by name or by label."""
    canary = (rollout.get("spec", {}).get("strategy") or {}).get("canary") or {}
    routing = canary.get("trafficRouting") or {}
    plugins = [*(routing.get("plugins") or {}).values(), routing.get("gatewayAPI")]
    for one in plugins:
        if not isinstance(one, Mapping):
            continue
        named = {each.get("name") for each in one.get("httpRoutes") or ()}
        labels = route.get("labels") or {}
        if route["name"] in {one.get("httpRoute"), *named} or owner.selects(
            one.get("httpRouteSelector"), labels
        ):
            return True
    return False


def _is_apex(canary: owner.Object, route: Mapping[str, Any]) -> bool:
    """Return whether a route has the name that Flagger gives the one that it makes."""
    spec = canary.get("spec", {})
    service, target = spec.get("service") or {}, spec.get("targetRef") or {}
    return bool(route["name"] == (service.get("name") or target.get("name")))


def build(config: HTTPRouteConfig) -> ObjectActuator:
    """Return an actuator of one HTTPRoute's rule."""
    return ObjectActuator(config.name, config, Route(config))


PART = Part(
    kind="actuator",
    name="httproute",
    summary="Divides traffic between pools by the weights of a Gateway API HTTPRoute.",
    config=HTTPRouteConfig,
    build=build,
)
