"""What a scenario file asks of the local deployment, and whether that can be done to it.

One fault, at one moment, to real processes. What the twin can play and nobody can do here is
refused by line, with what is possible. Nothing is broken here (see `live_run`), and nothing is
drawn: the magnitudes that come across are those of the twin's own draw.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from homeostat.base.policy import Objective
from homeostat.demo import artefact, load, place
from homeostat.lab.live_effects import Predicted
from homeostat.lab.scenario import Basis, Fault, OnsetShape, Scenario, Target
from homeostat.lab.scenario_errors import ScenarioError, close_to
from homeostat.lab.scenario_fields import bounds
from homeostat.lab.scenario_text import Node, read
from homeostat.twin.shapes import Cure

READY_S: Final = 20.0  # by then a controller that reads every second knows what is normal
LATEST_S: Final = 300.0
_SLOWEST: Final = 1000.0  # as the model server's own limit
_NEW: Final = frozenset({Target.NEW_VERSION, Target.A})
_KB: Final = 1024.0
_MB: Final = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How one primitive is done to real processes.

    Attributes:
        fault: The demo's fault.
        targets: What it may hit.
        cure: What must remove it: there is no other way here.
        low: Least magnitude that can be done.
        high: Greatest.
        why: What the magnitude is here, for the message of a refusal.
        ends: Whether it ends by itself and needs a duration; the others must not have one.
        replica: Whether one replica is its victim.
        beside: Primitives that may stand beside it and say how things are here, with the least
            magnitude that is true.
    """

    fault: str
    targets: frozenset[Target]
    cure: Cure
    low: float
    high: float
    why: str
    ends: bool = False
    replica: bool = False
    beside: Mapping[str, float] = field(default_factory=dict)


_ONE: Final = frozenset({Target.ONE_REPLICA})
WAYS: Final[Mapping[str, Way]] = {
    "contention": Way(
        fault="slow_replica", targets=_ONE, cure=Cure.RESTART, low=1.0, high=_SLOWEST,
        why="a device sleeps 1 to 1000 times as long", replica=True,
    ),
    "replica_hang": Way(
        fault="hung_replica", targets=frozenset({Target.ONE_REPLICA, Target.COUNTED_REPLICAS}),
        cure=Cure.RESTART, low=1.0, high=1.0, why="one process is stopped", replica=True,
    ),
    "replica_kill": Way(
        fault="killed_replica", targets=_ONE, cure=Cure.RESTART, low=1.0, high=1.0,
        why="one process is killed", replica=True,
        # The proxy checks nobody's health: it sends until the slot has another process.
        beside={"endpoint_stale_s": 60.0},
    ),
    "variant_err_prob": Way(
        fault="bad_release_errors", targets=_NEW, cure=Cure.ROLLBACK,
        low=artefact.FAILURE_RATIO, high=artefact.FAILURE_RATIO,
        why=f"release v3-errors fails {artefact.FAILURE_RATIO:g} of its requests",
    ),
    "variant_service_mult": Way(
        fault="bad_release_slow", targets=_NEW, cure=Cure.ROLLBACK,
        low=artefact.DEVICE_TIME_FACTOR, high=artefact.DEVICE_TIME_FACTOR,
        why=f"release v3-slow needs {artefact.DEVICE_TIME_FACTOR:g} times the device time",
    ),
    "arrival_mult": Way(
        fault="flash_crowd", targets=frozenset({Target.DEPLOYMENT}), cure=Cure.NONE,
        low=0.0, high=load.RATE_MAX / place.BASE_RATE,
        why=f"the load generator sends up to {load.RATE_MAX:g} requests/s, "
        f"{place.BASE_RATE:g} of them usual", ends=True,
    ),
    "bmax_override": Way(
        fault="batching_misconfigured", targets=frozenset({Target.ALL_VARIANTS}),
        cure=Cure.OVERWRITE, low=1.0, high=1.0, why="the largest batch is set to 1 in every pool",
    ),
    "mem_leak_per_req_kb": Way(
        fault="memory_leak", targets=_ONE, cure=Cure.RESTART, low=0.0, high=30_000.0,
        why="a process loses up to 1000 MB/s, whatever it serves", replica=True,
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One draw of a scenario, to be done to the local deployment.

    Attributes:
        fault: The demo's fault.
        seed: Of the draw.
        onset_s: After the controller's start.
        magnitude: In the primitive's own unit, as the twin has it.
        lasts_s: When it ends by itself; None = only when healed.
        victim: The slot that is hit, empty if not one.
    """

    fault: str
    seed: int
    onset_s: float
    magnitude: float
    lasts_s: float | None = None
    victim: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """How well users must be served: what both sides are judged by."""

    p95_ms: float
    error_ratio: float

    @classmethod
    def of(cls, objective: Objective) -> "Bound":
        """Return the part of an objective that says when service is well."""
        return cls(p95_ms=objective.latency_p95_ms, error_ratio=objective.error_ratio)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """What the twin says, and what is to be done to real processes for it to be tested.

    Attributes:
        predicted: Holding and acting, for every seed.
        plans: The same draws, for the local deployment.
        bound: What both are judged by.
    """

    predicted: Predicted
    plans: tuple[Plan, ...]
    bound: Bound


def scenarios(data: bytes, file: str) -> tuple[Scenario, ...]:
    """Return a file's scenarios, all of which can be played on both sides.

    Args:
        data: The file.
        file: Its name, for messages.

    Raises:
        ScenarioError: It is no scenario file, or asks for what cannot be done to real processes.
    """
    # It needs JAX, which must not be in a process that starts others; the rest of this does not.
    from homeostat.lab import scenario_schema  # noqa: PLC0415 - see above

    found = scenario_schema.load(data, file)
    nodes = _nodes(read(data, file))
    for scenario in found:
        node = next(one for one in nodes if _said(one, "id").value == scenario.id)
        _Check(scenario, node, file).all()
    return found


def way_of(scenario: Scenario) -> Way:
    """Return how a checked scenario's one fault is done."""
    return WAYS[scenario.faults[0].primitive]


def leak_mb_per_s(kb_per_request: float, rate_of_one: float) -> float:
    """Return what a leak per request comes to in a second, at the usual load of one replica.

    >>> round(leak_mb_per_s(160.0, 30.0), 3)
    4.915
    """
    return kb_per_request * _KB * rate_of_one / _MB


def _nodes(documents: Sequence[Node]) -> list[Node]:
    found: list[Node] = []
    for node in documents:
        inner = node.value.get("scenarios") if isinstance(node.value, Mapping) else None
        several = inner.value if inner is not None else (node,)
        found += several if isinstance(several, tuple) else []
    return found


def _said(node: Node, key: str) -> Node:
    values = node.value if isinstance(node.value, Mapping) else {}
    return values.get(key, Node(value=None, line=node.line))


class _Check:
    """Holds one scenario to what can be done."""

    def __init__(self, scenario: Scenario, node: Node, file: str) -> None:
        self.scenario, self.node, self.file = scenario, node, file
        faults = _said(node, "faults").value
        self.faults = faults if isinstance(faults, tuple) else ()

    def all(self) -> None:
        """Refuse the first thing that cannot be done.

        Raises:
            ScenarioError: There is one.
        """
        self._deployment()
        fault, node = self._the_fault()
        way = self._way(fault, node)
        checks: tuple[Callable[[Fault, Node, Way], None], ...] = (
            self._target, self._magnitude, self._cure, self._when,
        )  # fmt: skip
        for check in checks:
            check(fault, node, way)

    def _refuse(self, node: Node, key: str, problem: str) -> ScenarioError:
        line = node.keys.get(key, node.line)
        return ScenarioError(self.file, line, f"{self.scenario.id}: {problem}")

    def _deployment(self) -> None:
        for key in ("deployment", "load"):
            if key in self.node.keys:
                raise self._refuse(
                    self.node,
                    key,
                    f"{key!r} cannot be chosen for the local deployment, which has its own; "
                    "remove it",
                )

    def _the_fault(self) -> tuple[Fault, Node]:
        for fault, node in zip(self.scenario.faults, self.faults, strict=True):
            if fault.ambient:
                raise self._refuse(
                    node,
                    "ambient",
                    f"{fault.primitive} would be how the deployment is; the local one has its "
                    "own settings: remove this fault",
                )
        first = self.scenario.faults[0]
        beside = WAYS[first.primitive].beside if first.primitive in WAYS else {}
        for fault, node in zip(self.scenario.faults[1:], self.faults[1:], strict=True):
            self._beside(fault, node, beside)
        return first, self.faults[0]

    def _beside(self, fault: Fault, node: Node, beside: Mapping[str, float]) -> None:
        if fault.primitive not in beside:
            raise self._refuse(
                node,
                "primitive",
                f"{fault.primitive} is a fault of its own; one at a time is done to real "
                "processes: split the file",
            )
        least = beside[fault.primitive]
        if bounds(fault.magnitude, dict(self.scenario.params))[0] < least:
            raise self._refuse(
                node,
                "magnitude",
                f"{fault.primitive} lasts until somebody acts here; write magnitude: {least:g}, "
                "or more",
            )

    def _way(self, fault: Fault, node: Node) -> Way:
        if fault.primitive not in WAYS:
            raise self._refuse(
                node,
                "primitive",
                f"{fault.primitive} cannot be done to real processes; "
                f"{close_to(fault.primitive, WAYS)}",
            )
        return WAYS[fault.primitive]

    def _target(self, fault: Fault, node: Node, way: Way) -> None:
        if fault.target not in way.targets:
            names = " or ".join(sorted(target.value for target in way.targets))
            raise self._refuse(
                node,
                "target",
                f"{fault.primitive} cannot be done to {fault.target.value} here; write "
                f"target: {names}",
            )
        if fault.share is not None:
            raise self._refuse(
                node, "share", f"{fault.primitive} cannot be done to a share here; remove 'share'"
            )

    def _magnitude(self, fault: Fault, node: Node, way: Way) -> None:
        if fault.of is not Basis.ITSELF:
            raise self._refuse(
                node,
                "of",
                f"{fault.primitive}: a multiple of {fault.of.value} is not worked out here; "
                "remove 'of' and give the magnitude itself",
            )
        low, high = bounds(fault.magnitude, dict(self.scenario.params))
        if low < way.low or high > way.high:
            wanted = f"{way.low:g}" if way.low == way.high else f"{way.low:g} to {way.high:g}"
            raise self._refuse(
                node,
                "magnitude",
                f"{fault.primitive} of {low:g} to {high:g} cannot be done: {way.why}; write "
                f"magnitude: {wanted}",
            )

    def _cure(self, fault: Fault, node: Node, way: Way) -> None:
        if fault.cure is not way.cure:
            raise self._refuse(
                node,
                "cure",
                f"{fault.primitive} is not ended by {fault.cure.name.lower()} here; write "
                f"cure: {way.cure.name.lower()}",
            )

    def _when(self, fault: Fault, node: Node, way: Way) -> None:
        if "onset" in node.keys:
            raise self._refuse(node, "onset", "a single fault has the scenario's onset; move it")
        onset, at = self.scenario.onset, _said(self.node, "onset")
        if onset.shape not in {None, OnsetShape.STEP}:
            raise self._refuse(
                at, "shape", f"shape {onset.shape} cannot be done here; write shape: step"
            )
        start = bounds(onset.start_s, dict(self.scenario.params)) if onset.start_s else (0.0, 0.0)
        if start[0] < READY_S or start[1] > LATEST_S:
            raise self._refuse(
                at,
                "start_s",
                f"start_s {start[0]:g} to {start[1]:g}: a controller knows what is normal after "
                f"{READY_S:g} s, and nobody waits longer than {LATEST_S:g} s; write a number "
                "between the two",
            )
        lasts = onset.duration_s is not None and onset.until_fixed is False
        if lasts is not way.ends:
            wanted = "so many seconds" if way.ends else "until_fixed"
            raise self._refuse(
                at,
                "duration_s",
                f"{fault.primitive} here lasts {wanted}; write duration_s accordingly",
            )
