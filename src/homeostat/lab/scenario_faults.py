"""What one fault of a scenario may say, and what a scenario's faults may say together.

Every refusal names line, value and fix. Which primitives there are, and what each is aimed at, is
the twin's table; this file only holds a scenario to it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import fields as fields_of
from typing import Final

from homeostat.lab.ambient import AMBIENT
from homeostat.lab.scenario import (
    Basis,
    Fault,
    Load,
    Onset,
    Param,
    Scenario,
    Spec,
    Target,
)
from homeostat.lab.scenario_errors import ScenarioError, close_to
from homeostat.lab.scenario_fields import Fields, check
from homeostat.lab.scenario_onsets import check_when, onset
from homeostat.twin.primitives import INDEX, PRIMITIVES, Combine, Level, Primitive
from homeostat.twin.shapes import Cure
from homeostat.twin.signals import CLASSES

_VARIANTS: Final = (
    Target.A, Target.B, Target.CANARY, Target.NEW_VERSION, Target.ALL_VARIANTS,
)  # fmt: skip
_REPLICAS: Final = (
    Target.ONE_REPLICA, Target.SOME_REPLICAS, Target.COUNTED_REPLICAS, Target.ALL_REPLICAS,
    Target.NODE_GROUP, Target.HARDWARE_POOL, Target.VARIANT_OR_SOME, *_VARIANTS,
)  # fmt: skip
# The first target of each level is the one that is meant when none is named.
TARGETS: Final[Mapping[Level, tuple[Target, ...]]] = {
    Level.DEPLOYMENT: (Target.DEPLOYMENT,),
    Level.VARIANT: (Target.NEW_VERSION, *_VARIANTS),
    Level.SLOT: (Target.ALL_REPLICAS, *_REPLICAS),
    Level.SIGNAL: (Target.ALL_SIGNALS, Target.SOME_SIGNALS),
}
# Primitives whose name already says whom they hit.
_OWN_TARGET: Final[Mapping[str, tuple[Target, ...]]] = {
    "modelB_health": (Target.B,),
    "modelB_capacity": (Target.B,),
    "modelB_accuracy_delta": (Target.B,),
    "replica_kill": (Target.NODE_GROUP, *_REPLICAS),
    "replica_hang": (Target.COUNTED_REPLICAS, *_REPLICAS),
    "group_hang": (Target.NODE_GROUP, Target.ONE_REPLICA),
    "pool_loss": (Target.HARDWARE_POOL,),
    "pool_speed_mult": (Target.HARDWARE_POOL, *_REPLICAS),
    "pool_accuracy_delta": (Target.HARDWARE_POOL, *_REPLICAS),
    "actuator_fail": (Target.DEPLOYMENT, Target.ROLLBACK),
}
_INPUTS: Final = (
    "dep_capacity_rps", "dep_latency_s", "dep_err_prob", "schema_err_prob", "feature_scale",
    "feature_null_rate", "feature_age_growth",
)  # fmt: skip
_BASES: Final[Mapping[Basis, tuple[str, ...]]] = {
    Basis.DEMAND: ("frontend_capacity_rps", "dep_capacity_rps", "poison_rate"),
    Basis.REPLICAS: ("cap_replicas", "config_floor", "shared_limit_replicas"),
    Basis.IN_FLIGHT: ("conn_limit",),
    Basis.USUAL: ("arrival_mult", "arrival_trace"),
    Basis.SECONDS: ("backlog_release",),
    Basis.TIME_TO_LIMIT: ("mem_leak_per_req_kb",),
}
# What these do to a share of the requests is, in the mean over all, the magnitude's own share.
_SHARED_CHANNELS: Final = ("work_mix", "speed", "err")
# What a primitive needs may also be how the deployment is.
_OR_SET: Final = {"heavy_cost_mult": "heavy_share", "kv_capacity_mult": "recompute_waste"}
_KEYS: Final = (
    "primitive", "magnitude", "target", "of", "share", "signals", "spares_b", "cure", "ambient",
    "onset",
)  # fmt: skip


def default_target(primitive: Primitive) -> Target:
    """Return what a primitive hits if a scenario does not say."""
    if primitive.name in _INPUTS:  # inputs and dependencies are everybody's
        return Target.ALL_VARIANTS
    return allowed_targets(primitive)[0]


def allowed_targets(primitive: Primitive) -> tuple[Target, ...]:
    """Return what a primitive may be aimed at, the usual one first."""
    return tuple(dict.fromkeys(_OWN_TARGET.get(primitive.name, TARGETS[primitive.level])))


def fault(fields: Fields, params: Mapping[str, Spec]) -> Fault:
    """Return one fault.

    Raises:
        ScenarioError: It says what it may not.
    """
    fields.only(_KEYS)
    primitive = _primitive(fields)
    inner = Fields(file=fields.file, node=fields.node, what=f"{fields.what}: {primitive.name}")
    found = Fault(
        primitive=primitive.name,
        magnitude=_needed(inner, "magnitude"),
        target=_target(inner, primitive),
        of=_basis(inner, primitive),
        share=inner.spec("share"),
        signals=_classes(inner, primitive),
        spares_b=inner.spec("spares_b"),
        cure=_cure(inner),
        ambient=_ambient(inner, primitive),
        onset=_own_onset(inner, params),
    )
    _hold_to(primitive, found, inner, params)
    return found


def _primitive(fields: Fields) -> Primitive:
    name = fields.text("primitive")
    if name not in INDEX:
        raise fields.error(
            fields.line("primitive"),
            f"{fields.what}: unknown primitive {name!r}; {close_to(name, INDEX)}",
        )
    return PRIMITIVES[INDEX[name]]


def _needed(fields: Fields, key: str) -> Spec:
    fields.get(key)
    found = fields.spec(key)
    if found is None:
        raise fields.error(fields.line(key), f"{fields.what}: {key!r} is missing; add it")
    return found


def _target(fields: Fields, primitive: Primitive) -> Target:
    found = fields.enum("target", Target, default_target(primitive))
    allowed = allowed_targets(primitive)
    if found not in allowed:
        raise fields.error(
            fields.line("target"),
            f"{fields.what}: cannot be aimed at {found.value!r}; "
            f"one of {', '.join(sorted(target.value for target in allowed))}",
        )
    return found


def _basis(fields: Fields, primitive: Primitive) -> Basis:
    found = fields.enum("of", Basis, Basis.ITSELF)
    if found is not Basis.ITSELF and primitive.name not in _BASES[found]:
        raise fields.error(
            fields.line("of"),
            f"{fields.what}: cannot be a multiple of {found.value!r}; remove 'of' and give the "
            f"magnitude in {primitive.unit}",
        )
    return found


def _classes(fields: Fields, primitive: Primitive) -> tuple[str, ...]:
    found = fields.texts("signals")
    if found and primitive.level is not Level.SIGNAL:
        raise fields.error(
            fields.line("signals"), f"{fields.what}: hits no signals; remove 'signals'"
        )
    for name in found:
        if name not in CLASSES:
            raise fields.error(
                fields.line("signals"),
                f"{fields.what}: unknown class of signals {name!r}; {close_to(name, CLASSES)}",
            )
    return found


def _cure(fields: Fields) -> Cure:
    name = fields.text("cure", "none")
    names = {cure.name.lower(): cure for cure in Cure}
    if name not in names:
        raise fields.error(
            fields.line("cure"), f"{fields.what}: cure {name!r}; {close_to(name, names)}"
        )
    return names[name]


def _ambient(fields: Fields, primitive: Primitive) -> bool:
    found = fields.flag("ambient", default=False)
    if found and primitive.name not in AMBIENT:
        raise fields.error(
            fields.line("ambient"),
            f"{fields.what}: cannot be how a deployment is from the start; remove 'ambient' "
            f"(those that can: {', '.join(sorted(AMBIENT))})",
        )
    return found


def _own_onset(fields: Fields, params: Mapping[str, Spec]) -> Onset:
    if "onset" not in fields:
        return Onset()
    inner = Fields(file=fields.file, node=fields.get("onset"), what=f"{fields.what}: onset")
    return onset(inner, params, of_scenario=False)


def _hold_to(
    primitive: Primitive, found: Fault, fields: Fields, params: Mapping[str, Spec]
) -> None:
    """Hold magnitude and share to what makes sense for the primitive."""
    own = found.of is Basis.ITSELF
    limits = (primitive.low, primitive.high) if own else (1e-6, 1e6)
    check(found.magnitude, limits, params, fields, "magnitude")
    if found.share is not None:
        if not _shareable(primitive):
            raise fields.error(
                fields.line("share"), f"{fields.what}: hits no share of anything; remove 'share'"
            )
        check(found.share, (0.0, 1.0), params, fields, "share")
    if found.spares_b is not None:
        if found.target is not Target.ALL_VARIANTS:
            raise fields.error(
                fields.line("spares_b"),
                f"{fields.what}: spares_b needs target: all_variants; it is aimed at "
                f"{found.target.value}",
            )
        check(found.spares_b, (0.0, 1.0), params, fields, "spares_b")


def _shareable(primitive: Primitive) -> bool:
    if primitive.level in {Level.SLOT, Level.SIGNAL}:
        return True
    mixes = primitive.combine in {Combine.MULTIPLY, Combine.ADD}
    return mixes and primitive.channel in _SHARED_CHANNELS


def check_together(scenario: Scenario, file: str, lines: tuple[int, ...]) -> None:
    """Refuse faults that would do nothing without a partner, and shapes without their times.

    Args:
        scenario: Whose faults.
        file: For messages.
        lines: Line of each fault.

    Raises:
        ScenarioError: There is one.
    """
    present = {fault.primitive for fault in scenario.faults}
    for index, (each, line) in enumerate(zip(scenario.faults, lines, strict=True)):
        partners = PRIMITIVES[INDEX[each.primitive]].needs
        set_so = _OR_SET.get(each.primitive) in scenario.deployment
        if partners and not (present & set(partners) or set_so or each.ambient):
            raise ScenarioError(
                file,
                line,
                f"{scenario.id}: fault {index + 1}: {each.primitive} does nothing alone; "
                f"add {' or '.join(partners)}",
            )
        check_when(scenario, each, f"{scenario.id}: fault {index + 1}", file, line)


def uses(scenario: Scenario) -> frozenset[str]:
    """Return the names of the parameters that a scenario uses."""
    found = {given.name for given in _specs(scenario) if isinstance(given, Param)}
    if isinstance(scenario.recoverable, str):
        found.add(scenario.recoverable)
    return frozenset(found)


def _specs(scenario: Scenario) -> Iterator[object]:
    yield from scenario.deployment.values()
    holders: list[Fault | Onset | Load] = [scenario.onset, scenario.load]
    for each in scenario.faults:
        holders += [each, each.onset]
    for holder in holders:
        for field in fields_of(holder):
            yield getattr(holder, field.name)
