"""The composition root: the one place where real parts are chosen and handed over."""

from collections.abc import Callable, Mapping
from functools import partial
from importlib.util import find_spec
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from homeostat import plugins
from homeostat.adapters.sources.observed import ObservedSettings, ObservedWorld
from homeostat.base import names
from homeostat.base.errors import ConfigError
from homeostat.base.ports import Actuator, Journal, Notifier, Source
from homeostat.base.units import SECOND, TimeNs
from homeostat.base.world import Replica, ReplicaState, Snapshot
from homeostat.detect import fleetwide, fused
from homeostat.detect.charted import charted
from homeostat.detect.diagnose import diagnose
from homeostat.detect.drifting import Drifting
from homeostat.detect.encoded import Encoded
from homeostat.detect.forecast import forecasts
from homeostat.detect.forecast_fleet import Foresight
from homeostat.detect.health_of import health_of
from homeostat.detect.panel import Panel
from homeostat.detect.shift import Shift
from homeostat.detect.slo import slo_met
from homeostat.detect.slo_evidence import Promises
from homeostat.detect.utilisation import utilisation
from homeostat.detect.vae_file import Loaded
from homeostat.detect.verdicts import judge
from homeostat.govern import accounts, canary_alike, decide, leaving, ramp, verify
from homeostat.learn import feedback_live
from homeostat.learn.covering import cover
from homeostat.learn.standing import stand
from homeostat.loop import sense
from homeostat.loop.feedback_parts import FeedbackParts
from homeostat.loop.parts import LoopParts
from homeostat.loop.seat_parts import SeatParts, TrainedParts
from homeostat.policy import (
    canary,
    runbook,
    seat,
    seat_arms,
    seat_effect,
    seat_learn,
    seat_trained,
    trained_watch,
)
from homeostat.safety.guard import guard
from homeostat.safety.permit import permit
from homeostat.server import encoders, snapshots
from homeostat.server.in_cluster import led
from homeostat.server.labelling import Labelling
from homeostat.server.plan import ControllerPlan, DeploymentPlan, PartPlan, filled
from homeostat.server.rehearsing import Twins, TwinWorker
from homeostat.server.runtime import Deployment
from homeostat.signals.fleet import Fleet

FEEDBACK = FeedbackParts(
    heed=feedback_live.heed,
    watched=feedback_live.watched,
    answered=feedback_live.answered,
    forgotten=feedback_live.forgotten,
)
"""What people say of incidents; see docs/explanation/feedback.md."""

# Detectors that run on every series; the room offers more than run by default.
DETECTORS = ("ewma",)


SEAT: Final = SeatParts(
    offers=seat_arms.offers,
    weigh=seat.weigh,
    payoff=seat_effect.payoff,
    latency=seat_effect.latency,
    learn=seat_learn.learn,
    renew=seat_learn.renewed,
    cover=cover,
    stand=stand,
    trained=TrainedParts(
        chart=charted, watch=trained_watch.watched, find=snapshots.known, like=seat_trained.like
    ),
)
"""The learner that is heard on decisions; see docs/explanation/adaptive.md."""


def loop_parts() -> LoopParts:
    """Return the stages of the decision loop: runbook, kernel, decision, verification."""
    return LoopParts(
        candidates=runbook.candidates,
        permit=permit,
        choose=runbook.choose,
        decide=decide.decide,
        record=decide.record,
        guard=guard,
        measure=verify.measure,
        judge=verify.judge,
        account=accounts.account,
        compare=ramp.compare,
        alike=canary_alike.step,
        watch=ramp.watch,
        leave=leaving.compare,
        canary=canary.proposed,
        feedback=FEEDBACK,
        seat=SEAT,
    )


def sense_parts(
    score: fused.Config | None = None,
    models: Mapping[str, Loaded] | None = None,
    fleet: fleetwide.Config | None = None,
) -> sense.SenseParts:
    """Return the stages of sensing, with every detector's default settings.

    Args:
        score: Settings of the deployments' score; None for the default ones.
        models: Autoencoders by deployment; without any there is none.
        fleet: Settings of the tests over the whole fleet; None: there are none.
    """
    detectors = {
        name: part.build(part.config())
        for name in DETECTORS
        for part in (plugins.part("detector", name),)
    }
    return sense.SenseParts(
        signals=Fleet(),
        panel=Panel(detectors),
        judge=judge,
        shift=Shift(),
        forecasts=forecasts,
        utilisation=utilisation,
        slo_met=slo_met,
        diagnose=diagnose,
        ahead=Foresight(),
        health=health_of,
        fused=fused.Fused(score),
        promises=Promises(),
        encoded=Encoded(models) if models else None,
        drift=Drifting(),
        fleetwide=None if fleet is None else fleetwide.FleetTests(fleet),
    )


def sense_step(
    plan: ControllerPlan | None = None,
) -> tuple[Callable[..., Any], sense.SenseState]:
    """Return `sense.step` with its parts bound, and the state before the first tick.

    Args:
        plan: Of the controller, for its budget of false incidents, its tests over the fleet and
            its autoencoders; None for default settings.

    Raises:
        ConfigError: A model cannot be used.
    """
    if plan is None:
        parts = sense_parts()
    else:
        models = encoders.models(dict(plan.autoencoders))
        ticks = [entry.managed.scrape_ns / SECOND for entry in plan.deployments]
        score, fleet = fleetwide.budgeted(
            plan.false_incidents, plan.false_share, tick_s=min(ticks, default=15.0)
        )
        parts = sense_parts(score, models, fleet)
    return partial(sense.step, parts), sense.init(parts)


def deployment(plan: DeploymentPlan, labelling: Labelling | None) -> Deployment:
    """Return one deployment with its actuators and the maker of its sources.

    Raises:
        ConfigError: A part's settings are wrong.
        UnknownPartError: A part's name is unknown.
    """
    actuators: dict[str, Actuator] = {}
    for entry in plan.actuators:
        made: Actuator = build("actuator", entry)
        actuators[made.name] = made
    if plan.observed is not None:
        actuators[names.OBSERVED] = observed(plan.observed)
    for settings in _wanted(plan, _sample(plan)):  # now, not when the first replica shows up
        _settings("source", settings)
    return Deployment(
        managed=plan.managed,
        actuators=actuators,
        sources_for=_sources(plan, labelling),
        trainer=None if plan.trainer is None else build("trainer", plan.trainer),
    )


def observed(entry: PartPlan) -> ObservedWorld:
    """Return what reads the replicas of a deployment that is only watched.

    Raises:
        ConfigError: Its settings are wrong.
    """
    try:
        return ObservedWorld(ObservedSettings(**entry.settings))
    except ValidationError as error:
        first = error.errors()[0]
        raise ConfigError(f"target.observe: {first['loc']}: {first['msg']}") from error


def twins(plan: ControllerPlan, now: Callable[[], TimeNs]) -> Twins | None:
    """Return the twins of all deployments that have one, None if none has.

    Raises:
        ConfigError: A fit cannot be read, or the twin is not installed.
    """
    wanted = {one.managed.name: one.twin for one in plan.deployments if one.twin is not None}
    for needed in ("jax", "equinox") if wanted else ():
        if find_spec(needed) is None:
            raise ConfigError(
                f"spec.twin needs {needed}; `pip install 'homeostat[twin]'` brings it"
            )
    workers = {name: TwinWorker(one, now) for name, one in wanted.items()}
    return Twins(workers) if workers else None


def journal(plan: ControllerPlan) -> Journal:
    """Open the journal.

    Raises:
        ConfigError: Its folder cannot be made.
        StoreError: It cannot be opened or does not verify.
    """
    try:
        plan.journal.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"the journal's folder {plan.journal.parent}: {error.strerror}"
        ) from error
    opened: Journal = led(build("store", stored(plan)), plan.cluster)
    return opened


def stored(plan: ControllerPlan) -> PartPlan:
    """Return the store of a plan with its settings."""
    settings: dict[str, Any] = {"accept_missing_anchor": plan.accept_missing_anchor}
    if plan.postgres is None:
        return PartPlan(part="sqlite", settings=settings | {"path": plan.journal})
    where = plan.postgres
    database = {"url": where.url, "schema_name": where.schema, "anchor": plan.journal}
    return PartPlan(
        part="postgres", settings=settings | database | {"password_file": where.password_file}
    )


def notifiers(plan: ControllerPlan) -> tuple[Notifier, ...]:
    """Return everybody who is told."""
    return tuple(build("notifier", entry) for entry in plan.notifiers)


def build(kind: str, entry: PartPlan) -> Any:
    """Build one plug-in from its settings.

    Raises:
        ConfigError: The settings are wrong; the message names the part and the key.
        UnknownPartError: There is no such plug-in.
    """
    return plugins.part(kind, entry.part).build(_settings(kind, entry))


def _sources(
    plan: DeploymentPlan, labelling: Labelling | None
) -> Callable[[Snapshot | None], tuple[Source, ...]]:
    """Return the maker of sources; one that is still wanted stays the same object."""
    made: dict[BaseModel, Source] = {}

    def sources_for(world: Snapshot | None) -> tuple[Source, ...]:
        wanted = {_settings("source", entry): entry.part for entry in _wanted(plan, world)}
        for settings in [known for known in made if known not in wanted]:
            del made[settings]
        for settings, part in wanted.items():
            if settings not in made:
                made[settings] = plugins.part("source", part).build(settings)
        if labelling is None:
            return tuple(made.values())
        labelling.follow(world)
        return (*made.values(), labelling)

    return sources_for


def _sample(plan: DeploymentPlan) -> Snapshot:
    """Return a world of one replica, to try the settings of per-replica sources on."""
    replica = Replica(
        name="sample-1",
        pool=plan.managed.stable_pool,
        version=None,
        state=ReplicaState.READY,
        incarnation=1,
        address="127.0.0.1:1",
    )
    return Snapshot(
        deployment=plan.managed.name,
        observed_at=TimeNs(0),
        replicas=(replica,),
        releases=(),
        levers=(),
        stamps=(),
    )


def _wanted(plan: DeploymentPlan, world: Snapshot | None) -> list[PartPlan]:
    entries = list(plan.sources)
    for replica in world.replicas if world is not None else ():
        if replica.address is None:
            continue
        entries += [
            PartPlan(part=e.part, settings=filled(e.settings, replica)) for e in plan.per_replica
        ]
    return entries


def _settings(kind: str, entry: PartPlan) -> BaseModel:
    part = plugins.part(kind, entry.part)
    try:
        settings: BaseModel = part.config(**entry.settings)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(step) for step in first["loc"])
        raise ConfigError(f"{kind} {entry.part!r}: {where}: {first['msg']}") from error
    return settings
