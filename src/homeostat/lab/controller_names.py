"""How the twin's indices are called in the controller's world: pools, slots, versions, times.

A slot keeps its number, so its name is stable over restarts and can be turned back into an index.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from homeostat.base.evidence import Family
from homeostat.base.units import SECOND, TimeNs
from homeostat.base.world import ReplicaState
from homeostat.lab.types import FAMILIES, Episode
from homeostat.twin.shapes import Phase, Variant

POOLS: Final = ("a", "b", "canary")
"""Pool of each variant; the stable pool is A, the fallback B."""

START_S: Final = 1_700_000_000
"""When episodes begin, in seconds since 1970: any time that no guard takes for "never"."""

_LETTERS: Final = 40  # of a scenario's id in a name, which has 63 in all

SCALE_ACTUATOR: Final = "platform"
TRAFFIC_ACTUATOR: Final = "gateway"

# A hung process accepts and never answers: the platform, which only asks whether it is there, shows
# it as ready. The probes are what finds out.
STATES: Final[Mapping[int, ReplicaState]] = {
    Phase.PENDING: ReplicaState.STARTING,
    Phase.LOADING: ReplicaState.STARTING,
    Phase.READY: ReplicaState.READY,
    Phase.DRAINING: ReplicaState.DRAINING,
    Phase.HUNG: ReplicaState.READY,
    Phase.DEAD: ReplicaState.GONE,
}
SERVING: Final = frozenset({Phase.READY, Phase.DRAINING, Phase.HUNG})
"""Phases in which a process is there and has a metrics page."""

# The controller names causes, the catalogue names where they come from. A process that dies or is
# slow is the infrastructure's, and so is an accelerator that fills; an engine that hangs, a process
# that runs out of memory, a release or a batch limit is the serving layer's. Longer requests are
# the users' doing, what a replica calls belongs to serving it, and the way to it to the
# infrastructure. UNCLEAR is no diagnosis, and neither is OUTAGE: a node, a crash and a herd all
# begin with one.
_FAMILIES: Final[Mapping[Family, str]] = {
    Family.REPLICA: "infrastructure",
    Family.HUNG: "serving",
    Family.MEMORY: "serving",
    Family.DEVICE_MEMORY: "infrastructure",
    Family.RELEASE: "serving",
    Family.OUTPUT: "model",
    Family.LOAD: "load",
    Family.BATCHING: "serving",
    Family.FILLING: "serving",
    Family.DRIFT: "data",
    Family.SENSOR: "observability",
    Family.WORK: "load",
    Family.FRONTEND: "serving",
    Family.NETWORK: "infrastructure",
    Family.DEPENDENCY: "serving",
    Family.STARTING: "serving",
    Family.QUALITY: "model",
    Family.CONTROL: "control",
}
OWNERSHIP: Final = FAMILIES.index("control")
"""Somebody else writes: what the controller says when an action ends as foreign."""


def family_index(family: Family | None) -> int:
    """Return the place of a diagnosis in `lab.types.FAMILIES`, -1 for none.

    >>> family_index(Family.LOAD), family_index(Family.UNCLEAR), family_index(None)
    (1, -1, -1)
    """
    name = None if family is None else _FAMILIES.get(family)
    return -1 if name is None else FAMILIES.index(name)


def slot_name(variant: int, slot: int) -> str:
    """Return the name of a slot.

    >>> slot_name(1, 5)
    'b-6'
    """
    return f"{POOLS[variant]}-{slot + 1}"


def slot_index(name: str) -> int:
    """Return the index of a slot from its name.

    >>> slot_index("canary-8")
    7
    """
    return int(name.rpartition("-")[2]) - 1


def variant_index(pool: str) -> int:
    """Return the variant of a pool.

    >>> variant_index("b")
    1
    """
    return POOLS.index(pool)


def version_name(variant: int, number: float) -> str:
    """Return the name of a version; B runs an older one, so the same number is the one before.

    >>> version_name(0, 1.0), version_name(1, 1.0), version_name(0, 0.0)
    ('v2', 'v1', 'v1')
    """
    return f"v{int(number) + (variant != Variant.B)}"


def time_ns(now_s: float) -> TimeNs:
    """Return the time of a second of an episode, in nanoseconds since 1970.

    >>> time_ns(0.5)
    1700000000500000000
    """
    return TimeNs(START_S * SECOND + round(now_s * SECOND))


def own_names(episodes: Sequence[Episode]) -> list[str]:
    """Return names of deployments that say which episode it is, whoever is beside it.

    The decision seat draws its chance from a deployment's name. Of equal episodes the second one
    is another deployment.
    """
    found: list[str] = []
    for one in episodes:
        letters = "".join(c if c.isascii() and c.isalnum() else "-" for c in one.scenario.lower())
        name = wanted = f"ep-{letters[:_LETTERS]}-{one.seed}"
        again = 1
        while name in found:
            again += 1
            name = f"{wanted}-{again}"
        found.append(name)
    return found


def episode_name(number: int) -> str:
    """Return the deployment name of an episode of a batch.

    >>> episode_name(7)
    'ep-0007'
    """
    return f"ep-{number:04d}"
