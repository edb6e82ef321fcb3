"""Facts about what can be seen: which readings count, for how long, and of whom."""

from dataclasses import replace

import pytest

from homeostat.base import names
from homeostat.base.actions import Action, ActionKind
from homeostat.base.evidence import Family, Forecast, Quality, Verdict
from homeostat.base.guard import GuardState
from homeostat.base.intent import ActionState
from homeostat.base.units import MINUTE, SECOND
from homeostat.base.world import ReplicaState
from homeostat.safety.facts import facts
from homeostat.safety.fields import show
from homeostat.safety.sight import look
from homeostat.safety.tree import Value
from homeostat.testing import guard_scene as g
from homeostat.testing.guard_cases import aged, flying, known, quality, young

K = ActionKind
BATCH = g.act(K.BATCH_UP, names.pool("a"), batch_max=16)
DOWN = g.scale(2, K.SCALE_DOWN)
SHIFT = g.act(K.SHIFT_TRAFFIC, names.pool("b"), weight__b=50.0)


def fact(name: str, state: GuardState, action: Action = BATCH, *, undo: bool = False) -> Value:
    return facts(action, look(state, g.NOW), undo=undo)[name]


def seen(signal: str, value: float, age_ns: int, **changes: object) -> GuardState:
    one = replace(g.reading("replica:a-1", signal, value), age_ns=age_ns, **changes)  # type: ignore[arg-type]
    return g.told(young(g.scene()), one)


def test_a_reading_is_believed_for_two_scrapes_with_the_ticks_own_age() -> None:
    for age_s, late_s, heard in (
        (2.0, 0.0, True), (2.001, 0.0, False), (1.0, 1.0, True), (1.001, 1.0, False),
        (-0.001, 0.0, False),
    ):  # fmt: skip
        state = aged(seen(names.PROBE_FAILURES, 1.0, round(age_s * SECOND)), evidence_s=late_s)
        assert fact("probe_failures", state, g.restart("a-1")) == (1 if heard else None), age_s
    few = seen(names.PROBE_FAILURES, 1.0, 0, quality=Quality.FEW)
    assert fact("probe_failures", few, g.restart("a-1")) is None
    odd = seen(names.PROBE_FAILURES, -1.0, 0)
    assert fact("probe_failures", odd, g.restart("a-1")) is None
    none = seen(names.PROBE_FAILURES, 0.0, 0)
    assert fact("probe_failures", none, g.restart("a-1")) == 0


def test_what_the_host_says_of_a_process_does_not_make_its_replica_heard() -> None:
    page = (names.LATENCY_P95, names.DEVICE_TIME, names.BATCH_FULL_SHARE, names.PROBE_FAILURES)
    quiet = g.without(g.scene(), [("replica:a-1", one) for one in page])
    assert fact("silent", quiet) == 1, "it still says how full its memory is"
    up = g.told(quiet, g.reading("replica:a-1", names.PROCESS_UP, 1.0))
    assert fact("silent", up) == 1
    assert fact("process_gone", up, g.restart("a-1")) is False
    down = g.told(quiet, g.reading("replica:a-1", names.PROCESS_UP, 0.0))
    assert fact("process_gone", down, g.restart("a-1")) is True
    heard = g.told(quiet, g.reading("replica:a-1", names.LATENCY_P95, 60.0))
    assert fact("silent", heard) == 0


@pytest.mark.parametrize("signal", [names.ARRIVAL_RATE, names.ERROR_RATIO, names.LATENCY_P95])
def test_each_of_the_gateways_counters_is_needed(signal: str) -> None:
    assert fact("gateway_fresh", g.scene()) is True
    assert fact("gateway_fresh", g.without(g.scene(), [(names.GATEWAY, signal)])) is None
    for what in (Quality.UNREACHABLE, Quality.STALE, Quality.ABSURD):
        assert fact("gateway_fresh", quality(g.scene(), signal, what)) is False
    assert fact("gateway_fresh", quality(g.scene(), signal, Quality.FEW)) is True


def test_the_gateways_counters_age_with_the_tick() -> None:
    state = g.scene()
    _, evidence = known(state)
    for age_ns, fresh in ((2 * SECOND, True), (2 * SECOND + 1, None), (-1, None)):
        readings = tuple(
            replace(one, age_ns=age_ns) if one.subject == names.GATEWAY else one
            for one in evidence.readings
        )
        old = replace(state, evidence=replace(evidence, readings=readings))
        assert fact("gateway_fresh", old) is fresh
    assert fact("gateway_fresh", aged(young(state), evidence_s=-0.5)) is None


def test_a_suspicion_of_a_replica_needs_something_odd_about_it() -> None:
    action = g.restart("a-1")
    assert fact("suspected", g.slow(g.scene()), action) is True
    assert fact("suspected", g.slow(g.scene(), family=Family.MEMORY), action) is True
    assert fact("suspected", g.slow(g.scene(), family=Family.RELEASE), action) is False
    assert fact("suspected", g.slow(g.scene(), "a-2"), action) is False
    alone = g.suspect(g.scene(), Family.REPLICA, "replica:a-1")
    assert fact("suspected", alone, action) is False
    full = g.filling(g.suspect(g.scene(), Family.MEMORY, "replica:a-1"))
    assert fact("suspected", full, action) is True
    unseen = g.without(full, [("replica:a-1", names.MEMORY_SHARE)])
    assert fact("suspected", unseen, action) is False


def device(state: GuardState, share: float | None) -> GuardState:
    """Return the state with a replica's device so full, and on its way to its end."""
    one = Forecast(
        subject="replica:a-1", signal=names.DEVICE_MEMORY_SHARE, limit=1.0, time_to_limit_ns=MINUTE
    )
    _, evidence = known(state)
    state = replace(state, evidence=replace(evidence, forecasts=(*evidence.forecasts, one)))
    if share is None:
        return state
    return g.told(state, g.reading("replica:a-1", names.DEVICE_MEMORY_SHARE, share))


def test_a_device_that_fills_bears_out_what_is_said_of_the_device_alone() -> None:
    action = g.restart("a-1")
    said = g.suspect(g.scene(), Family.DEVICE_MEMORY, "replica:a-1")
    assert fact("suspected", device(said, 0.8), action) is True
    assert fact("suspected", device(said, None), action) is False  # nobody sees it
    assert fact("suspected", said, action) is False
    full = g.told(said, g.reading("replica:a-1", names.DEVICE_MEMORY_SHARE, 0.99))
    assert fact("suspected", full, action) is False
    for family in (Family.REPLICA, Family.HUNG, Family.MEMORY):
        other = g.suspect(g.scene(), family, "replica:a-1")
        assert fact("suspected", device(other, 0.8), action) is False


def test_a_busy_device_bears_out_nothing() -> None:
    busy = g.reading("replica:a-1", names.DEVICE_SHARE, 1.0, Verdict.ANOMALOUS)
    said = g.told(g.suspect(g.scene(), Family.REPLICA, "replica:a-1"), busy)
    assert fact("suspected", said, g.restart("a-1")) is False


def test_a_device_that_fills_or_fell_silent_keeps_its_pool_from_shrinking() -> None:
    assert fact("filling", device(g.scene(), 0.8), DOWN) == 1
    assert fact("memory_seen", device(g.scene(), 0.8), DOWN) is True
    silent = replace(
        g.reading("replica:a-1", names.DEVICE_MEMORY_SHARE, 0.8), value=None, quality=Quality.STALE
    )
    assert fact("memory_seen", g.told(g.scene(), silent), DOWN) is None


def test_what_an_exporter_says_of_a_device_does_not_make_its_replica_heard() -> None:
    page = (names.LATENCY_P95, names.DEVICE_TIME, names.BATCH_FULL_SHARE, names.PROBE_FAILURES)
    quiet = g.without(g.scene(), [("replica:a-1", signal) for signal in page])
    before = fact("silent", quiet)
    assert fact("silent", device(quiet, 0.8)) == before
    assert isinstance(before, int)
    assert before >= 1


def forecast(state: GuardState, **changes: object) -> GuardState:
    """Return the state with a forecast of a replica's memory, changed."""
    one = Forecast(
        subject="replica:a-1", signal=names.MEMORY_SHARE, limit=1.0, time_to_limit_ns=MINUTE
    )
    _, evidence = known(state)
    told = (replace(one, **changes),)  # type: ignore[arg-type]
    return replace(state, evidence=replace(evidence, forecasts=told))


def test_who_is_on_the_way_to_a_limit_of_memory() -> None:
    assert fact("filling", g.scene(), DOWN) == 0
    assert fact("filling", forecast(g.scene()), DOWN) == 1
    assert fact("filling", forecast(g.scene(), subject="replica:b-1"), DOWN) == 0
    assert fact("filling", forecast(g.scene(), signal=names.LATENCY_P95), DOWN) == 0
    assert fact("filling", forecast(g.scene(), time_to_limit_ns=None), DOWN) == 0
    assert fact("filling", aged(forecast(g.scene()), evidence_s=2.1), DOWN) == 0
    assert fact("filling", aged(forecast(g.scene()), evidence_s=2.0), DOWN) == 1
    assert fact("filling", forecast(g.scene())) is None, "only who shrinks is asked"
    unseen = g.without(g.scene(), [("replica:a-2", names.MEMORY_SHARE)])
    assert fact("memory_seen", unseen, DOWN) is None
    starting = g.with_slot(unseen, "a-2", ReplicaState.STARTING)
    assert fact("memory_seen", starting, DOWN) is True


def test_the_others_must_be_seen_and_well() -> None:
    action = g.restart("a-1")
    assert fact("others_seen", g.scene(), action) is True
    for other in ("a-2", "b-1"):
        unseen = g.without(g.scene(), [(f"replica:{other}", names.PROBE_FAILURES)])
        assert fact("others_seen", unseen, action) is False
    assert fact("others_seen", g.without(g.scene(), [("replica:a-1", names.PROBE_FAILURES)]),
                action) is True  # fmt: skip
    assert fact("others_remain", g.scene(), action) is True
    assert fact("others_remain", g.hung(g.scene(), "a-2"), action) is False
    assert fact("others_remain", g.hung(g.scene(), "b-1"), action) is True
    starting = g.with_slot(g.scene(), "a-2", ReplicaState.STARTING)
    assert fact("others_remain", starting, action) is False
    assert fact("others_seen", starting, action) is True


def test_a_load_that_is_only_foreseen() -> None:
    def loaded(
        subject: str, family: Family = Family.LOAD, *, met: bool | None = True
    ) -> GuardState:
        state = g.suspect(g.scene(), family, subject)
        _, evidence = known(state)
        return replace(state, evidence=replace(evidence, slo_met=met))

    assert fact("foreseen", g.scene()) is False
    assert fact("foreseen", loaded("pool:a")) is True
    assert fact("foreseen", loaded("pool:a", met=None)) is True
    assert fact("foreseen", loaded("pool:a", met=False)) is False
    assert fact("foreseen", loaded(names.GATEWAY)) is False
    assert fact("foreseen", loaded("pool:a", Family.RELEASE)) is False
    both = g.suspect(loaded("pool:a"), Family.RELEASE, "pool:a")
    assert fact("foreseen", both) is False
    assert fact("foreseen", loaded("pool:a"), replace(SHIFT, beside="a")) is False
    for begun in ({"stage": 1}, {"attempt": 1}):
        flown = flying(loaded("pool:a"), BATCH, ActionState.INTENT)
        assert flown.in_flight is not None
        assert fact("foreseen", flown) is True
        later = replace(flown, in_flight=replace(flown.in_flight, **begun))  # type: ignore[arg-type]
        assert fact("foreseen", later) is False


def test_a_pool_is_clean_when_it_serves_as_promised_and_nothing_is_suspected() -> None:
    for signal, limit in ((names.ERROR_RATIO, 0.01), (names.LATENCY_P95, 250.0)):
        at = g.told(g.scene(), g.reading("pool:b", signal, limit, Verdict.UNKNOWN))
        assert fact("older_clean", at, g.rollback()) is True
        beyond = g.told(g.scene(), g.reading("pool:b", signal, limit * 1.001))
        assert fact("older_clean", beyond, g.rollback()) is None
        odd = g.told(g.scene(), g.reading("pool:b", signal, 0.0, Verdict.ANOMALOUS))
        assert fact("older_clean", odd, g.rollback()) is False
        unseen = g.without(g.scene(), [("pool:b", signal)])
        assert fact("older_clean", unseen, g.rollback()) is None
    for subject in ("pool:b", "replica:b-1"):
        assert (
            fact("older_clean", g.suspect(g.scene(), Family.LOAD, subject), g.rollback()) is False
        )
    assert fact("older_clean", g.suspect(g.scene(), Family.LOAD, "pool:a"), g.rollback()) is True


def test_full_batches_are_those_that_half_of_the_stable_pool_reaches() -> None:
    def full(*shares: float) -> GuardState:
        told = [
            g.reading(f"replica:a-{n}", names.BATCH_FULL_SHARE, share)
            for n, share in enumerate(shares, 1)
        ]
        return g.told(g.scene(len(shares)), *told)

    assert fact("batches_full_milli", full(0.9, 0.1, 0.5)) == 500
    assert fact("batches_full_milli", full(0.9, 0.1, 0.5, 0.4)) == 400
    assert fact("batches_full_milli", full(0.9)) == 900
    assert fact("batches_full_milli", full(0.9, -0.1, 0.5)) is None
    assert fact("batches_full_milli", full(0.9, 0.0, 0.0)) == 0
    assert fact("batches_full_milli", full(0.9), SHIFT) is None


def test_numbers_are_shown_as_people_read_them() -> None:
    assert show("since_ms", 10**15 - 1000) == "1e+12 s"
    assert show("since_ms", 10**15) == f"{10**15} ms"
    assert show("since_ms", -(10**15)) == f"-{10**15} ms"
    assert show("util_max_milli", 10**15) == f"{10**15}/1000"
    assert show("util_max_milli", 12_345_678) == "1.235e+04"
    assert show("since_ms", 12_345) == "12.3 s"
    assert (show("hour", 3), show("undo", value=True), show("kind", None)) == (
        "3", "True", "unknown",
    )  # fmt: skip
