"""The runbook names the right candidates, in the right order, and nothing it cannot know."""

import math
from dataclasses import replace

import pytest

from homeostat.base.actions import HOLD, ActionKind, UndoKind
from homeostat.base.decisions import Ask
from homeostat.base.events import FleetView
from homeostat.base.evidence import LOOKBACK_SCRAPES, Family, Incident
from homeostat.base.guard import GuardState, Setting
from homeostat.base.policy import KillLevel, LeverLimit, Mode
from homeostat.base.world import Release, ReplicaState
from homeostat.govern.decide import decide
from homeostat.policy.runbook import ESCALATE, candidates, choose
from homeostat.safety.permit import permit
from homeostat.testing import build
from homeostat.testing.guard_first import apart
from homeostat.testing.guard_lately import replaced
from homeostat.testing.guard_scene import NOW, scene

CURES = {
    ActionKind.RESTART_REPLICA,
    ActionKind.DRAIN_REPLICA,
    ActionKind.ROLLBACK,
    ActionKind.SHIFT_TRAFFIC,
}


def incident(family: Family, subject: str) -> Incident:
    return Incident(
        id="i-0001", deployment="m", family=family, subject=subject, opened_at=build.START,
        confirmed_at=build.START, tries=0, escalated=False, because=("why",),
    )  # fmt: skip


def state(**changes: object) -> GuardState:
    settings: dict[str, object] = {
        "managed": build.managed(), "evidence": build.evidence(), "world": build.world(),
        "fleet": FleetView(), "kill": KillLevel.OFF, "in_flight": None, "past": (), "tries": 0,
        "peak_replicas": 3, "observe_until": None, "verified": (("a", "v2"), ("b", "v1")),
    }  # fmt: skip
    return GuardState(**{**settings, **changes})  # type: ignore[arg-type]


def kinds(
    family: Family, subject: str, seen: GuardState, tried: tuple[tuple[str, str], ...] = ()
) -> list[ActionKind]:
    wanted, _ = candidates(incident(family, subject), seen, tried)
    return [action.kind for action in wanted]


@pytest.mark.parametrize("family", [Family.REPLICA, Family.MEMORY, Family.DEVICE_MEMORY])
def test_a_failing_replica_is_restarted_with_its_replacement_first(family: Family) -> None:
    wanted, _ = candidates(incident(family, "replica:a-2"), state(), ())
    assert wanted[0].kind is ActionKind.RESTART_REPLICA
    assert wanted[0].change == (("incarnation.a-2", 2),)
    assert wanted[0].undo is UndoKind.COMPENSATING
    assert wanted[-1] == ESCALATE


@pytest.mark.parametrize("stands", list(ReplicaState))
def test_only_a_replica_that_gets_requests_is_drained(stands: ReplicaState) -> None:
    """What is down gets nothing new, and a drain would keep it out when it is well again."""
    world = build.world()
    replicas = tuple(
        replace(one, state=stands) if one.name == "a-2" else one for one in world.replicas
    )
    seen = state(world=replace(world, replicas=replicas))
    drains = ActionKind.DRAIN_REPLICA in kinds(Family.REPLICA, "replica:a-2", seen)
    assert drains is (stands is ReplicaState.READY)


@pytest.mark.parametrize(
    ("family", "subject"),
    [
        (Family.REPLICA, "replica:a-2"),
        (Family.MEMORY, "replica:a-2"),
        (Family.RELEASE, "pool:a"),
        (Family.OUTPUT, "pool:a"),
    ],
)
def test_a_cure_is_not_judged_by_windows_that_hold_the_time_before_it(
    family: Family, subject: str
) -> None:
    world = build.world(
        levers={"version.a": "v3"},
        releases=tuple(Release(pool="a", version=v, since=build.START) for v in ("v2", "v3")),
    )
    seen = state(world=world)
    wanted, _ = candidates(incident(family, subject), seen, ())
    cures = [action for action in wanted if action.kind in CURES]
    assert cures
    for action in cures:
        assert action.settle_ns >= LOOKBACK_SCRAPES * seen.managed.scrape_ns, action.kind


def test_a_restart_that_did_not_help_is_not_named_again() -> None:
    tried = (("restart_replica", "replica:a-2"),)
    assert kinds(Family.REPLICA, "replica:a-2", state(), tried)[0] is ActionKind.DRAIN_REPLICA


def test_a_bad_release_goes_back_to_the_last_version_that_served_well() -> None:
    releases = tuple(
        Release(pool="a", version=v, since=build.START) for v in ("v1", "v2", "v2b", "v3")
    )
    world = build.world(levers={"version.a": "v3"}, releases=releases)
    wanted, _ = candidates(incident(Family.RELEASE, "pool:a"), state(world=world), ())
    assert wanted[0].kind is ActionKind.ROLLBACK
    assert wanted[0].change == (("version.a", "v2"),)  # v2b never served well; v3 is current


def test_without_a_verified_version_traffic_is_shifted_in_stages_instead() -> None:
    seen = state(verified=())
    assert kinds(Family.RELEASE, "pool:a", seen) == [ActionKind.SHIFT_TRAFFIC, ActionKind.ESCALATE]
    wanted, _ = candidates(incident(Family.RELEASE, "pool:a"), seen, ())
    assert wanted[0].ramp == (25.0, 50.0, 100.0)
    assert wanted[0].change == (("weight.b", 100.0),)


def test_load_is_shed_only_when_no_capacity_is_left_to_add() -> None:
    assert kinds(Family.LOAD, "gateway", state())[:2] == [ActionKind.SCALE_UP, ActionKind.BATCH_UP]
    full = build.world(levers={"replicas.a": 6, "batch_max": 32})
    assert kinds(Family.LOAD, "gateway", state(world=full)) == [
        ActionKind.SHED_LOAD,
        ActionKind.ESCALATE,
    ]


@pytest.mark.parametrize(
    ("refused", "asked"),
    [
        (None, 1),  # nobody knows
        (0.0, 1),  # what one can serve was not seen
        (0.10, 2),  # 3 / 0.9 / 0.8 = 4.2
        (0.24, 2),  # 4.9
        (0.35, 3),  # 5.8
        (0.80, 3),  # 18.8, and the policy's step is a doubling
        (1.00, 3),
    ],
)
def test_a_crowd_that_is_refused_is_met_by_as_many_as_it_asks_for(
    refused: float | None, asked: int
) -> None:
    seen = state(evidence=build.evidence(values={("gateway", "refused_ratio"): refused}))
    wanted, _ = candidates(incident(Family.LOAD, "gateway"), seen, ())
    ups = [one for one in wanted if one.kind is ActionKind.SCALE_UP]
    assert [one.change for one in ups] == [
        (("replicas.a", 3 + by),) for by in dict.fromkeys((asked, 1))
    ]
    assert [one.exempt for one in ups] == [by == 1 for by in dict.fromkeys((asked, 1))]
    assert ups[0].cost_usd_per_hour == asked * seen.managed.replica_usd_per_hour


def test_several_replicas_are_never_more_than_the_policy_has_room_for() -> None:
    world = build.world(levers={"replicas.a": 5})  # of 6
    refused = build.evidence(values={("gateway", "refused_ratio"): 0.5})
    wanted, _ = candidates(
        incident(Family.LOAD, "gateway"), state(world=world, evidence=refused), ()
    )
    assert [one.change for one in wanted if one.kind is ActionKind.SCALE_UP] == [
        (("replicas.a", 6),)
    ]


def test_replicas_that_start_are_counted_as_on_their_way() -> None:
    """What was added and is not ready yet is not added again."""
    world = build.world(levers={"replicas.a": 5})
    refused = build.evidence(values={("replica:a-1", "refused_ratio"): 0.3})
    seen = state(
        world=world,
        evidence=refused,
        managed=build.managed(
            guard=build.guard(limits=(LeverLimit(lever="replicas.a", low=2, high=20),))
        ),
    )
    wanted, _ = candidates(incident(Family.LOAD, "gateway"), seen, ())
    # 3 ready / 0.7 / 0.8 = 5.4: one more than the five that are wanted already
    assert [one.change for one in wanted if one.kind is ActionKind.SCALE_UP] == [
        (("replicas.a", 6),)
    ]


def test_several_are_held_to_the_cooldown_and_one_is_not() -> None:
    seen = scene()
    assert seen.evidence is not None
    told = (*seen.evidence.readings, build.reading("gateway", "refused_ratio", 0.24))
    seen = replace(seen, evidence=replace(seen.evidence, readings=told))
    wanted, because = candidates(incident(Family.LOAD, "gateway"), seen, ())
    assert choose(wanted, permit(wanted, seen, NOW), because).action.replicas_touched == 2
    just = replace(build.past("scale_up", "pool:a", at=0.0), at=NOW)
    seen = replace(seen, past=(just,))
    chosen = choose(wanted, permit(wanted, seen, NOW), because).action
    assert (chosen.kind, chosen.replicas_touched) == (ActionKind.SCALE_UP, 1)


def test_what_nobody_is_asked_for_comes_before_more_of_it_that_is_asked_for() -> None:
    """One more is within the budget, and a second one is not."""
    managed = build.managed(guard=build.guard(budget_usd_per_hour=10.5), replica_usd_per_hour=2.0)
    refused = build.evidence(values={("gateway", "refused_ratio"): 0.24}, slo_met=False)
    seen = state(managed=managed, evidence=refused)
    wanted, because = candidates(incident(Family.LOAD, "gateway"), seen, ())
    safe_set = permit(wanted, seen, build.START)
    assert [one.replicas_touched for one in safe_set.approvals] == [2]
    chosen = choose(wanted, safe_set, because).action
    assert (chosen.kind, chosen.replicas_touched) == (ActionKind.SCALE_UP, 1)


def test_whoever_is_asked_is_told_what_their_yes_is_to() -> None:
    managed = build.managed(guard=build.guard(budget_usd_per_hour=9.0))
    seen = state(managed=managed, evidence=build.evidence(slo_met=False))
    wanted, because = candidates(incident(Family.LOAD, "gateway"), seen, ())
    proposal = choose(wanted, permit(wanted, seen, build.START), because)
    decision = decide(proposal, managed, build.START)
    assert isinstance(decision, Ask)
    (asked,) = [one for one in decision.because if one.startswith("a yes is needed: G8")]
    assert "10" in asked
    assert "9" in asked


@pytest.mark.parametrize("refused", [math.nan, math.inf, -math.inf, -1.0, 2.0, 1e308])
@pytest.mark.parametrize("live", [3, 0, -3, 10**400])
def test_absurd_numbers_ask_for_no_more_than_the_policy_has(refused: float, live: int) -> None:
    world = build.world(levers={"replicas.a": live})
    evidence = build.evidence(values={("gateway", "refused_ratio"): refused})
    wanted, _ = candidates(
        incident(Family.LOAD, "gateway"), state(world=world, evidence=evidence), ()
    )
    ups = [dict(one.change)["replicas.a"] for one in wanted if one.kind is ActionKind.SCALE_UP]
    assert all(isinstance(up, int) and 2 <= up <= 6 for up in ups)


def test_a_shed_limit_is_worked_out_from_what_is_in_flight() -> None:
    full = build.world(levers={"replicas.a": 6, "batch_max": 32})
    busy = build.evidence(
        values={("gateway", "arrival_rate"): 600.0, ("gateway", "latency_p50_ms"): 800.0}
    )
    wanted, _ = candidates(incident(Family.LOAD, "gateway"), state(world=full, evidence=busy), ())
    assert wanted[0].change == (("gateway_limit", 432),)  # 0.9 * 600/s * 0.8 s


def test_a_batch_grows_by_doubling() -> None:
    world = build.world(levers={"batch_max": 1})
    wanted, _ = candidates(incident(Family.BATCHING, "pool:a"), state(world=world), ())
    assert wanted[0].change == (("batch_max", 2),)


def batch(value: float, *, served: bool) -> Setting:
    return Setting(
        lever="batch_max", value=value, version="v2", since=build.START, until=build.START,
        served=served,
    )  # fmt: skip


def test_a_batch_that_served_is_gone_back_to_in_one_step() -> None:
    seen = state(
        world=build.world(levers={"batch_max": 1}),
        settings=(batch(8, served=True), batch(1, served=False)),
    )
    wanted, _ = candidates(incident(Family.BATCHING, "pool:a"), seen, ())
    assert [one.change for one in wanted[:2]] == [(("batch_max", 8),), (("batch_max", 2),)]


def test_going_back_needs_no_trial_on_some_replicas_and_a_new_size_does() -> None:
    """Of three replicas one would try it, and what one tries is never certified."""
    back = replaced(apart(scene()), 16)
    for seen, change in ((back, (("batch_max", 16),)), (replace(back, settings=()), None)):
        wanted, because = candidates(incident(Family.BATCHING, "pool:a"), seen, ())
        chosen = choose(wanted, permit(wanted, seen, NOW), because).action
        assert chosen.kind is ActionKind.BATCH_UP
        assert bool(chosen.first) is (change is None)
        assert change in {None, chosen.change}


@pytest.mark.parametrize(
    "settings",
    [
        (batch(8, served=False), batch(1, served=False)),  # it never served
        (batch(8, served=True), batch(1, served=True)),  # so does the live one
        (batch(8, served=True), batch(2, served=False)),  # the live one is another
        (batch(4096, served=True), batch(1, served=False)),  # beyond the policy's bounds
        (batch(0.5, served=True), batch(1, served=False)),  # a smaller one: no cure of full batches
        (batch(1, served=False),),
    ],
)
def test_nothing_but_what_served_and_fits_the_trouble_is_gone_back_to(
    settings: tuple[Setting, ...],
) -> None:
    seen = state(world=build.world(levers={"batch_max": 1}), settings=settings)
    wanted, _ = candidates(incident(Family.BATCHING, "pool:a"), seen, ())
    assert wanted[0].change == (("batch_max", 2),)


@pytest.mark.parametrize("family", [Family.DRIFT, Family.SENSOR, Family.UNCLEAR])
def test_what_no_action_mends_is_only_told_to_a_person(family: Family) -> None:
    assert kinds(family, "model", state()) == [ActionKind.ESCALATE]


def test_without_a_reading_of_the_world_nothing_is_named() -> None:
    assert candidates(incident(Family.REPLICA, "replica:a-1"), state(world=None), ())[0] == ()


def test_when_calm_a_replica_is_given_back_only_if_the_rest_stays_idle() -> None:
    assert candidates(None, state(), ())[0] == ()  # 25 % on three is 38 % on two
    idle = build.evidence(values={("pool:a", "utilisation"): 0.10})
    wanted, _ = candidates(None, state(evidence=idle), ())
    assert [action.kind for action in wanted] == [ActionKind.SCALE_DOWN]
    unknown = build.evidence(values={("pool:a", "utilisation"): None})
    assert candidates(None, state(evidence=unknown), ())[0] == ()


def test_hold_is_not_a_candidate_because_it_is_always_there() -> None:
    wanted, _ = candidates(incident(Family.REPLICA, "replica:a-1"), state(), ())
    assert HOLD not in wanted


def test_a_refusal_that_passes_by_itself_is_waited_for_instead_of_waking_a_person() -> None:
    seen = state(past=(build.past("batch_up", "pool:a", at=-2.0),))
    wanted, because = candidates(incident(Family.BATCHING, "pool:a"), seen, ())
    batch_only = (wanted[0], wanted[-1])
    safe = permit(batch_only, seen, build.START)
    assert [r.reasons[0][:11] for r in safe.refused] == ["G3 cooldown"]
    assert choose(batch_only, safe, because).action == HOLD


def test_a_refusal_for_good_is_told_to_a_person() -> None:
    seen = state(managed=build.managed(mode=Mode.SHADOW))
    wanted, because = candidates(incident(Family.REPLICA, "replica:a-2"), seen, ())
    safe = permit(wanted, seen, build.START)
    assert choose(wanted, safe, because).action == ESCALATE
