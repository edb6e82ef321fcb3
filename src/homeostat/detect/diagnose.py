"""Which kind of fault, and where: the fault table as rules, in the order in which they explain.

Direct evidence comes first (a dead process, failed probes), then what makes the rest worthless
(pages that cannot be believed), then causes from the most specific to the least. A cause that
explains a symptom takes it from the causes below: a slow release is not a heavy load, garbage
outputs are no drift. Confidences only rank. Not here: persistence, incidents and actions.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from homeostat.base import names
from homeostat.base.evidence import Family, Forecast, Quality, Reading, Suspicion
from homeostat.base.policy import Managed
from homeostat.base.world import Snapshot
from homeostat.detect import (
    causes_common,
    causes_core,
    causes_device,
    causes_model,
    causes_replica,
    causes_tokens,
    causes_traffic,
    causes_values,
    forecast_load,
)
from homeostat.detect.case import Case, Rule, suspicion
from homeostat.detect.slo import broken
from homeostat.detect.usual import Device

# Rules on the world and the probes hold whatever the pages say.
_DIRECT: Final[tuple[Rule, ...]] = (
    causes_replica.gone,
    causes_device.memory,
    causes_replica.memory,
)
# Causes that are the same for all replicas of a pool.
_COMMON: Final = frozenset({
    Family.OUTPUT, Family.RELEASE, Family.BATCHING, Family.LOAD, Family.WORK, Family.FRONTEND,
    Family.NETWORK, Family.DEPENDENCY, Family.STARTING, Family.FILLING,
})  # fmt: skip
# Rules on the pages, first match explains the rest.
_BY_PAGES: Final[tuple[Rule, ...]] = (
    causes_model.output,
    causes_traffic.herd,
    causes_tokens.demand,
    causes_tokens.thrash,
    causes_model.release,
    causes_replica.slow,
    causes_common.frontend,
    causes_common.path,
    causes_traffic.batching,
    causes_traffic.load,
    causes_traffic.filling,
    causes_common.work,
    causes_common.starting,
    causes_model.drift,
    causes_model.quality,
)


def diagnose(  # noqa: PLR0913 - everything a rule may ask for
    *,
    readings: Mapping[tuple[str, str], Reading],
    usual: Mapping[tuple[str, str], float],
    learnt: Mapping[tuple[str, str], float],
    device: Device | None,
    pages: Sequence[tuple[str, Quality]],
    forecasts: Sequence[Forecast],
    slo_met: bool | None,
    world: Snapshot | None,
    managed: Managed,
) -> tuple[Suspicion, ...]:
    """Return what is suspected of one deployment on one tick, most confident first.

    Args:
        readings: Judged series by (subject, signal).
        usual: Guarded means by (subject, signal), known ones only.
        learnt: Ticks that each of them was learnt from.
        device: How device time follows batch size, None before it is learnt.
        pages: Metrics pages: (subject, quality).
        forecasts: What is about to happen under HOLD.
        slo_met: The objectives on this tick.
        world: The deployment as last read back, None if it could not be read.
        managed: Its configuration.
    """
    case = Case(
        managed=managed,
        world=world,
        readings=readings,
        usual=usual,
        learnt=learnt,
        device=device,
        pages=pages,
        forecasts=forecasts,
        slo_met=slo_met,
        broken=broken(readings, managed.objective),
    )
    stuck = causes_replica.hung(case)
    held = {one.subject for one in stuck}
    # What waits in a replica that is hung fills its memory and fails its probes.
    found = [one for rule in _DIRECT for one in rule(case) if one.subject not in held]
    probes = tuple([one for one in causes_replica.failing(case) if one.subject not in held])
    found += stuck
    blind = _blind(case) if managed.guard.evidence_rules else ()
    if blind:
        return _ranked([*found, *probes, *blind])
    explained = next((one for rule in _BY_PAGES if (one := rule(case))), ())
    echoes = any(one.family is Family.LOAD and not one.urgent for one in explained)
    if echoes and (
        stuck or any(causes_replica.broken_alone(case, replica) for replica in case.replicas)
    ):
        # Users of a broken replica ask again: what looks like load is its echo.
        explained = tuple(one for one in explained if one.family is not Family.LOAD)
    found += _unexplained(case, probes, explained)
    found += explained or (() if probes or stuck else causes_replica.failing_together(case))
    if not found and slo_met is False:
        found.append(_unclear(case))
    return _ranked(found or causes_core.running_out(case) or forecast_load.foreseen(case))


def _blind(case: Case) -> tuple[Suspicion, ...]:
    """Return what speaks against the data themselves: pages, then single values."""
    return causes_traffic.sensor(case) or causes_values.values(case)


def _unexplained(
    case: Case, probes: Sequence[Suspicion], explained: Sequence[Suspicion]
) -> tuple[Suspicion, ...]:
    """Return the failing replicas that the cause found by the pages does not explain.

    A bad release fails the probes of its replicas now and then, and a full queue makes them wait:
    a replica that goes on serving like its peers is not broken by itself.
    """
    common = {one.family for one in explained} & _COMMON
    if not common:
        return tuple(probes)
    alive = {
        names.replica(replica.name)
        for replica in case.serving
        if not causes_replica.broken_alone(case, replica)
    }
    return tuple(one for one in probes if one.subject not in alive)


def _unclear(case: Case) -> Suspicion:
    why = "nothing that is known explains it"
    if case.world is None:
        why = "the deployment cannot be read back"
    elif case.serving and all(replica.version is None for replica in case.serving):
        why = "versions cannot be read back, so no release can be blamed"
    return suspicion(Family.UNCLEAR, "model", 0.2, *case.broken, why)


def _ranked(found: Sequence[Suspicion]) -> tuple[Suspicion, ...]:
    """Return suspicions by confidence, one per family and subject, ties by name."""
    best: dict[tuple[Family, str], Suspicion] = {}
    for one in found:
        known = best.get((one.family, one.subject))
        if known is None or one.confidence > known.confidence:
            best[one.family, one.subject] = one
    return tuple(sorted(best.values(), key=lambda s: (-s.confidence, s.family, s.subject)))
