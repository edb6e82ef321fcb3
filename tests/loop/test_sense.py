"""From reports to evidence, end to end, on a simulated fleet: every fault, and none at all."""

import copy
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from random import Random

import pytest
from fleet_sim import FleetSim, managed
from hypothesis import given, settings
from hypothesis import strategies as st

from homeostat.base import codec, names
from homeostat.base.evidence import Evidence, Family, Quality, Reading, SourceReport, Verdict
from homeostat.base.policy import Managed
from homeostat.base.world import Snapshot
from homeostat.detect import diagnose, forecast, panel, shift, slo, utilisation, verdicts
from homeostat.detect.ewma import Config, Ewma, State
from homeostat.detect.panel import Panel
from homeostat.detect.shift import Shift
from homeostat.loop import incidents, sense
from homeostat.signals import fleet
from homeostat.signals.fleet import Fleet
from homeostat.stats.arrays import from_bytes, to_bytes

WARM = 60
PAGES = ("envoy", "scrape-a-0", "scrape-a-1", "scrape-a-2", "scrape-b-0")


def parts() -> sense.SenseParts:
    return sense.SenseParts(
        signals=Fleet(),
        panel=Panel({"ewma": Ewma(Config())}),
        judge=verdicts.judge,
        shift=Shift(),
        forecasts=forecast.forecasts,
        utilisation=utilisation.utilisation,
        slo_met=slo.slo_met,
        diagnose=diagnose.diagnose,
    )


@dataclass
class Run:
    """A simulated fleet being sensed; copies share nothing."""

    sim: FleetSim
    state: sense.SenseState
    parts: sense.SenseParts
    managed: Managed
    tick: int = 0

    @classmethod
    def fresh(cls, seed: int = 7, *, evidence_rules: bool = True) -> "Run":
        built = parts()
        return cls(FleetSim(seed), sense.init(built), built, managed(evidence_rules=evidence_rules))

    def feed(
        self,
        reports: Sequence[SourceReport],
        world: Sequence[Snapshot],
        busy: frozenset[str] = frozenset(),
    ) -> Evidence:
        self.tick += 1
        self.state, _, evidence = sense.step(
            self.parts, self.state, reports, world, (self.managed,), busy, self.sim.now, self.tick
        )
        return evidence[0]

    def play(self, ticks: int) -> list[Evidence]:
        return [self.feed(*self.sim.tick()) for _ in range(ticks)]

    def branch(self) -> "Run":
        return Run(copy.deepcopy(self.sim), self.state, self.parts, self.managed, self.tick)


@pytest.fixture(scope="module")
def warm() -> Run:
    run = Run.fresh()
    run.play(WARM)
    return run


@pytest.fixture(scope="module")
def naive() -> Run:
    run = Run.fresh(evidence_rules=False)
    run.play(WARM)
    return run


def top(evidence: Evidence) -> tuple[Family, str] | None:
    return (evidence.suspicions[0].family, evidence.suspicions[0].subject) if (
        evidence.suspicions
    ) else None  # fmt: skip


def found(evidence: Evidence, subject: str, signal: str) -> Reading:
    return next(r for r in evidence.readings if (r.subject, r.signal) == (subject, signal))


def slow_replica(sim: FleetSim) -> None:
    sim.server("a-1").slowdown = 6.0


def hung_replica(sim: FleetSim) -> None:
    sim.server("a-2").hung = True


def killed_replica(sim: FleetSim) -> None:
    sim.server("a-0").gone = True


def memory_leak(sim: FleetSim) -> None:
    sim.server("a-1").leak = 6e6


def bad_release_errors(sim: FleetSim) -> None:
    sim.release("v3-errors", failure_ratio=0.3)


def bad_release_slow(sim: FleetSim) -> None:
    sim.release("v3-slow", slowdown=8.0)


def mildly_slow_release(sim: FleetSim) -> None:
    sim.release("v3-slower", slowdown=3.0)


def garbage_nan(sim: FleetSim) -> None:
    sim.release("v3-garbage", output="nan")


def garbage_constant(sim: FleetSim) -> None:
    sim.release("v3-constant", output="constant")


def flash_crowd(sim: FleetSim) -> None:
    sim.rate = 450.0


def crowd_within_capacity(sim: FleetSim) -> None:
    sim.rate = 320.0


def batching_misconfigured(sim: FleetSim) -> None:
    sim.cap = 1


def covariate_drift(sim: FleetSim) -> None:
    sim.feature_shift, sim.accuracy = 2.0, 0.7


def drift_without_labels(sim: FleetSim) -> None:
    sim.feature_shift = 2.0


Fault = Callable[[FleetSim], None]


@pytest.mark.parametrize(
    ("fault", "family", "subject", "within"),
    [
        (slow_replica, Family.REPLICA, "replica:a-1", 2),
        (hung_replica, Family.REPLICA, "replica:a-2", 4),
        (killed_replica, Family.REPLICA, "replica:a-0", 1),
        (memory_leak, Family.MEMORY, "replica:a-1", 16),
        (bad_release_errors, Family.RELEASE, "pool:a", 4),
        (bad_release_slow, Family.RELEASE, "pool:a", 4),
        (mildly_slow_release, Family.RELEASE, "pool:a", 4),
        (garbage_nan, Family.OUTPUT, "pool:a", 3),
        (garbage_constant, Family.OUTPUT, "pool:a", 3),
        (flash_crowd, Family.LOAD, "gateway", 3),
        (crowd_within_capacity, Family.LOAD, "gateway", 3),
        (batching_misconfigured, Family.BATCHING, "pool:a", 4),
        (covariate_drift, Family.DRIFT, "model", 3),
        (drift_without_labels, Family.DRIFT, "model", 4),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_fault_is_named_with_its_subject_and_stays_named_while_it_lasts(
    warm: Run, fault: Fault, family: Family, subject: str, within: int
) -> None:
    run = warm.branch()
    fault(run.sim)
    evidence = run.play(within + 12)
    named = [top(one) for one in evidence]
    first = named.index((family, subject))
    assert first < within, named
    assert set(named[first:]) == {(family, subject)}, named
    # Nothing else may collect the persistence that an action needs, not even on the way there.
    others = Counter(one for one in named if one not in {None, (family, subject)})
    assert all(count < run.managed.guard.persist_scrapes for count in others.values()), named
    assert all(any(char.isdigit() for char in "".join(one.suspicions[0].because))
               for one in evidence[first:])  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "family"),
    [
        (flash_crowd, Family.LOAD),
        (batching_misconfigured, Family.BATCHING),
        (bad_release_errors, Family.RELEASE),
        (bad_release_slow, Family.RELEASE),
        (garbage_nan, Family.OUTPUT),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_fault_left_alone_for_a_minute_goes_on_being_named_through_retries_and_failed_probes(
    warm: Run, fault: Fault, family: Family
) -> None:
    run = warm.branch()
    fault(run.sim)
    run.play(4)
    assert {one.suspicions[0].family for one in run.play(60)} == {family}


def test_a_killed_process_is_urgent_and_failed_probes_are_not(warm: Run) -> None:
    killed, hung = warm.branch(), warm.branch()
    killed_replica(killed.sim)
    hung_replica(hung.sim)
    assert killed.play(1)[-1].suspicions[0].urgent
    assert not hung.play(5)[-1].suspicions[0].urgent


@pytest.mark.parametrize("how", ["503", "html", "frozen", "zero", "nan"])
def test_an_outage_of_all_pages_is_the_sensors_fault_and_every_reading_of_them_is_unknown(
    warm: Run, how: str
) -> None:
    run = warm.branch()
    run.sim.outage = dict.fromkeys(PAGES, how)
    evidence = run.play(12)
    assert [top(one) for one in evidence[4:]] == [(Family.SENSOR, "model")] * 8
    assert [len(one.suspicions) for one in evidence[:4]] in ([0, 0, 0, 1], [0, 0, 1, 1])
    from_pages = {
        names.ARRIVAL_RATE, names.ERROR_RATIO, names.LATENCY_P95, names.DEVICE_TIME,
        names.BATCH_SIZE, names.PREDICTION_SHIFT, names.FEATURE_SHIFT, names.INVALID_SHARE,
        names.UTILISATION, names.QUEUE_LENGTH,
    }  # fmt: skip
    touched = [reading for reading in evidence[-1].readings if reading.signal in from_pages]
    assert len(touched) > 30
    assert {(r.verdict, r.value) for r in touched} == {(Verdict.UNKNOWN, None)}
    assert Quality.GOOD not in {r.quality for r in touched}
    assert evidence[-1].slo_met is None
    # What does not come from pages goes on being seen.
    assert found(evidence[-1], "replica:a-0", names.PROBE_FAILURES).verdict is Verdict.HEALTHY
    assert found(evidence[-1], "replica:a-0", names.PROCESS_UP).verdict is Verdict.HEALTHY


@pytest.mark.parametrize("how", ["503", "frozen", "zero"])
def test_when_pages_come_back_nothing_is_suspected_of_the_gap(warm: Run, how: str) -> None:
    run = warm.branch()
    run.sim.outage = dict.fromkeys(PAGES, how)
    run.play(20)
    run.sim.outage = {}
    after = run.play(15)
    assert [one.suspicions for one in after] == [()] * 15
    assert {one.slo_met for one in after} == {True}


@pytest.mark.parametrize("how", ["503", "frozen", "zero"])
def test_with_the_evidence_rules_off_the_same_outage_looks_like_a_reason_to_act(
    naive: Run, how: str
) -> None:
    run = naive.branch()
    run.sim.outage = dict.fromkeys(PAGES, how)
    evidence = run.play(8)
    assert (Family.OUTPUT, "pool:a") in {top(one) for one in evidence}
    assert Family.SENSOR not in {one.family for e in evidence for one in e.suspicions}
    p95 = found(evidence[-1], names.GATEWAY, names.LATENCY_P95)
    assert (p95.value, p95.quality) == (0.0, Quality.GOOD)


def test_the_gateway_alone_or_half_the_pages_are_enough_for_the_sensor(warm: Run) -> None:
    gateway, half, one = warm.branch(), warm.branch(), warm.branch()
    gateway.sim.outage = {"envoy": "frozen"}
    half.sim.outage = dict.fromkeys(PAGES[1:], "frozen")
    one.sim.outage = {"scrape-a-1": "503"}
    assert top(gateway.play(6)[-1]) == (Family.SENSOR, "gateway")
    assert top(half.play(6)[-1]) == (Family.SENSOR, "model")
    assert [e.suspicions for e in one.play(8)] == [()] * 8


def test_a_dead_process_is_named_even_while_every_page_is_out(warm: Run) -> None:
    run = warm.branch()
    run.sim.outage = dict.fromkeys(PAGES, "503")
    killed_replica(run.sim)
    last = run.play(6)[-1]
    assert [(one.family, one.subject) for one in last.suspicions] == [
        (Family.REPLICA, "replica:a-0"),
        (Family.SENSOR, "model"),
    ]


@pytest.mark.parametrize("kind", ["burst", "slow", "stopped"])
def test_a_blip_never_collects_the_persistence_that_an_action_needs(warm: Run, kind: str) -> None:
    run = warm.branch()
    if kind == "burst":
        run.sim.rate = 300.0
    elif kind == "slow":
        run.sim.server("a-1").slowdown = 6.0
    else:
        run.sim.server("a-1").hung = True
    named = [top(one) for one in run.play(2)]
    run.sim.rate, run.sim.server("a-1").slowdown = 100.0, 1.0
    run.sim.server("a-1").hung = False
    named += [top(one) for one in run.play(20)]
    # What is named by exclusion is given three times as long, and nobody acts on it.
    causes = Counter(one for one in named if one and one[0] not in incidents.PATIENT)
    assert all(count < run.managed.guard.persist_scrapes for count in causes.values()), named
    # An objective missed without a cause is given three times as long.
    assert sum(one is not None and one[0] is Family.UNCLEAR for one in named) < 12
    assert named[-8:] == [None] * 8


def healthy(seed: int, ticks: int) -> tuple[int, float]:
    """Return the longest run of one suspicion, and the share of unknown gateway readings."""
    run, longest, current, unknown = Run.fresh(seed), 0, 0, 0
    before: tuple[Family, str] | None = None
    for _ in range(ticks):
        evidence = run.feed(*run.sim.tick())
        now = top(evidence)
        current = current + 1 if now is not None and now == before else int(now is not None)
        longest, before = max(longest, current), now
        unknown += found(evidence, names.GATEWAY, names.LATENCY_P95).verdict is Verdict.UNKNOWN
    return longest, unknown / ticks


@pytest.mark.slow
def test_healthy_traffic_is_left_alone() -> None:
    longest, unknown = healthy(seed=3, ticks=300)
    assert longest == 0
    assert unknown < 0.1  # it is not quiet because it sees nothing


@pytest.mark.long
@pytest.mark.parametrize("seed", range(5))
def test_healthy_traffic_is_left_alone_for_long(seed: int) -> None:
    longest, _ = healthy(seed=seed, ticks=2_000)
    assert longest < 4


def test_a_restarted_replica_is_well_again_and_its_counters_made_no_negative_rate(
    warm: Run,
) -> None:
    run = warm.branch()
    killed_replica(run.sim)
    run.play(5)
    run.sim.server("a-0").restart(float(run.sim.second))
    after = run.play(15)
    assert top(after[-1]) is None
    rates = [found(one, "replica:a-0", names.ARRIVAL_RATE).value for one in after]
    assert all(rate is None or rate >= 0.0 for rate in rates)
    assert rates[-1] == pytest.approx(32.0, rel=0.5)


def test_a_rollback_is_not_blamed_for_the_errors_before_it(warm: Run) -> None:
    run = warm.branch()
    bad_release_errors(run.sim)
    run.play(8)
    run.sim.release("v2", failure_ratio=0.0)
    named = {top(one) for one in run.play(15)}
    assert named <= {None, (Family.UNCLEAR, "model")}
    assert top(run.play(1)[-1]) is None


def test_errors_without_known_versions_are_unclear_and_never_a_release(warm: Run) -> None:
    run = warm.branch()
    bad_release_errors(run.sim)
    last = None
    for _ in range(10):
        reports, worlds = run.sim.tick()
        blind = tuple(replace(one, version=None) for one in worlds[0].replicas)
        last = run.feed(reports, (replace(worlds[0], replicas=blind),))
    assert last is not None
    assert [one.family for one in last.suspicions] == [Family.UNCLEAR]
    assert "versions cannot be read back" in " ".join(last.suspicions[0].because)


def test_errors_on_every_version_are_no_release(warm: Run) -> None:
    run = warm.branch()
    for server in run.sim.servers:
        server.failure_ratio = 0.3
    families = Counter(one.family for e in run.play(40) for one in e.suspicions)
    assert families[Family.UNCLEAR] > 25
    assert not {Family.RELEASE, Family.LOAD, Family.BATCHING} & set(families)


def test_nothing_is_learnt_from_a_deployment_that_is_busy(warm: Run) -> None:
    def usual(run: Run) -> float:
        slots = run.state.panel.slots
        key = next(k for k in slots.index if (k.subject, k.signal) == ("gateway", "arrival_rate"))
        return float(run.state.panel.usual.count[slots.index[key]])

    calm, busy = warm.branch(), warm.branch()
    for _ in range(10):
        calm.feed(*calm.sim.tick())
        busy.feed(*busy.sim.tick(), frozenset({"credit"}))
    assert usual(calm) == usual(warm) + 10
    assert usual(busy) == usual(warm)


@pytest.mark.slow
def test_a_fault_never_becomes_usual_however_long_it_lasts(warm: Run) -> None:
    run = warm.branch()
    slow_replica(run.sim)
    named = [top(one) for one in run.play(150)]
    assert named[-1] == (Family.REPLICA, "replica:a-1")


def test_it_is_ready_only_once_the_baselines_hold_enough() -> None:
    ready = [one.ready for one in Run.fresh().play(20)]
    assert ready.index(True) in range(10, 18)
    assert ready == sorted(ready)


def test_without_read_back_nothing_of_it_is_claimed_and_pages_are_still_judged(warm: Run) -> None:
    run = warm.branch()
    last = [run.feed(run.sim.tick()[0], ()) for _ in range(5)][-1]
    assert last.world is None
    assert last.slo_met is True
    assert last.suspicions == ()
    assert not [r for r in last.readings if r.signal in {names.PROCESS_UP, names.MEMORY_SHARE}]


def test_without_labels_accuracy_is_unknown_and_so_are_the_objectives(warm: Run) -> None:
    run = warm.branch()
    run.play(1)
    evidence = []
    for _ in range(70):
        reports, world = run.sim.tick()
        evidence.append(run.feed([one for one in reports if one.source != "labels"], world))
    last = evidence[-1]
    assert found(last, names.MODEL, names.ACCURACY).verdict is Verdict.UNKNOWN
    assert last.slo_met is None


def test_a_slot_that_is_no_more_leaves_the_evidence(warm: Run) -> None:
    run = warm.branch()
    evidence = []
    for _ in range(6):
        reports, worlds = run.sim.tick()
        fewer = tuple(one for one in worlds[0].replicas if one.name != "a-2")
        kept = [one for one in reports if not one.source.endswith("a-2")]
        world = replace(worlds[0], replicas=fewer, levers=(("replicas.a", 2),))
        evidence.append(run.feed(kept, (world,)))
    assert not [r for r in evidence[-1].readings if r.subject == "replica:a-2"]
    assert evidence[-1].suspicions == ()


def test_the_same_inputs_give_the_same_bytes() -> None:
    def play() -> list[bytes]:
        run = Run.fresh(seed=11)
        first = run.play(15)
        bad_release_slow(run.sim)
        return [codec.encode(one) for one in (*first, *run.play(10))]

    assert play() == play()


CLASSES = (
    *sense.STATE_CLASSES,
    *fleet.STATE_CLASSES,
    *panel.STATE_CLASSES,
    *shift.STATE_CLASSES,
    State,
)


def test_a_checkpoint_goes_on_bit_for_bit_where_the_state_left_off(warm: Run) -> None:
    straight, restored = warm.branch(), warm.branch()
    saved = to_bytes(straight.state)
    restored.state = from_bytes(saved, CLASSES)
    assert to_bytes(restored.state) == saved
    slow_replica(straight.sim)
    slow_replica(restored.sim)
    for one, other in zip(straight.play(8), restored.play(8), strict=True):
        assert codec.encode(one) == codec.encode(other)
    assert to_bytes(restored.state) == to_bytes(straight.state)


def test_evidence_survives_the_journal(warm: Run) -> None:
    run = warm.branch()
    run.sim.outage = {"scrape-a-1": "503"}
    for one in run.play(4):
        assert codec.decode(codec.encode(one)) == one


@pytest.mark.slow
@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_order_of_reports_and_of_observations_changes_nothing(seed: int) -> None:
    shuffle = Random(seed).shuffle  # a seed is small enough to draw, thousands of places are not
    straight, shuffled = Run.fresh(seed=5), Run.fresh(seed=5)
    for _ in range(8):
        reports, world = straight.sim.tick()
        shuffled.sim.second = straight.sim.second
        mixed = []
        for report in reports:
            seen = list(report.observations)
            shuffle(seen)
            mixed.append(replace(report, observations=tuple(seen)))
        shuffle(mixed)
        a, b = straight.feed(reports, world), shuffled.feed(mixed, world)
        assert codec.encode(a) == codec.encode(b)


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(st.lists(st.sets(st.integers(0, 9), max_size=10), min_size=1, max_size=6))
def test_taking_reports_away_never_turns_unknown_into_healthy(lost: list[set[int]]) -> None:
    full, less = _recorded().branch(), _recorded().branch()
    for gone in lost:
        reports, world = full.sim.tick()
        less.sim.second = full.sim.second
        kept = [one for place, one in enumerate(reports) if place not in gone]
        whole, part = full.feed(reports, world), less.feed(kept, world)
        unknown = {(r.subject, r.signal) for r in whole.readings if r.verdict is Verdict.UNKNOWN}
        healthy_now = {(r.subject, r.signal) for r in part.readings if r.verdict is Verdict.HEALTHY}
        assert not unknown & healthy_now
        for reading in part.readings:
            assert (reading.value is None) == (reading.quality is not Quality.GOOD)
            assert reading.value is None or math.isfinite(reading.value)


_RECORDED: list[Run] = []


def _recorded() -> Run:
    """Return a fleet with an outage in progress, played once."""
    if not _RECORDED:
        run = Run.fresh(seed=9)
        run.play(25)
        run.sim.outage = {"scrape-a-1": "frozen", "envoy": "zero"}
        run.play(5)
        _RECORDED.append(run)
    return _RECORDED[0]


def test_many_deployments_are_judged_apart() -> None:
    run = Run.fresh(seed=2)
    other = replace(run.managed, name="fraud")
    evidence: tuple[Evidence, ...] = ()
    keys: list[str] = []
    for _ in range(30):
        reports, worlds = run.sim.tick()
        twins = [_renamed(report) for report in reports]
        run.tick += 1
        if run.tick == 26:
            run.sim.server("a-0").gone = True
        run.state, signals, evidence = sense.step(
            run.parts,
            run.state,
            (*reports, *twins),
            (*worlds, replace(worlds[0], deployment="fraud")),
            (run.managed, other),
            frozenset(),
            run.sim.now,
            run.tick,
        )
        keys = [str(key) for key in signals.keys]
    assert [one.deployment for one in evidence] == ["credit", "fraud"]
    plain = [[(r.subject, r.signal, r.value, r.verdict) for r in one.readings] for one in evidence]
    assert plain[0] == plain[1]
    assert len(keys) == len(set(keys))


def _renamed(report: SourceReport) -> SourceReport:
    return replace(
        report,
        source=f"fraud-{report.source}",
        observations=tuple(
            replace(one, key=replace(one.key, deployment="fraud")) for one in report.observations
        ),
    )
