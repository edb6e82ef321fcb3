"""When a fault's cause is gone, when service was well again, and what each fault explains."""

import json
import os
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any

import pytest
from judging import AT, deployment, host, lever, replaced, sent, spare

from homeostat.base.policy import Objective
from homeostat.demo import cause
from homeostat.demo.accesslog import NOWHERE, Ending
from homeostat.demo.faults import FAULTS, Injected
from homeostat.demo.loadlog import LoadLog

PROMISED = Objective(latency_p95_ms=250.0, error_ratio=0.01, accuracy=0.80)
NOBODY = 2**22 + 7  # above the largest process id there can be
VICTIM = Injected(detail="x", victim="a-1", pid=101)


@dataclass
class World:
    """A place whose state and log are what the test says."""

    slots: list[dict[str, Any]] = field(default_factory=list)
    levers: dict[str, Any] = field(default_factory=dict)
    log: list[dict[str, Any]] = field(default_factory=list)

    def state(self) -> dict[str, Any]:
        return {"slots": self.slots, "levers": self.levers}

    def host_log(self) -> list[dict[str, Any]]:
        return self.log


def slot(name: str, pid: int, state: str = "ready", version: str | None = "v2") -> dict[str, Any]:
    return {"name": name, "pool": name[0], "pid": pid, "state": state, "version": version}


def gone(world: World, name: str, injected: Injected = VICTIM) -> bool:
    return cause.gone(world, FAULTS[name], injected)  # type: ignore[arg-type] # a fake place


@pytest.mark.parametrize("name", ["killed_replica", "hung_replica", "slow_replica", "memory_leak"])
def test_a_broken_replica_is_mended_when_its_process_is_gone_and_its_slot_served(
    name: str,
) -> None:
    dead = Injected(detail="x", victim="a-1", pid=NOBODY)
    assert not gone(World([slot("a-1", NOBODY, "gone")]), name, dead)
    assert not gone(World([slot("a-1", 9, "starting")]), name, dead)
    assert gone(World([slot("a-1", 9)]), name, dead)
    assert gone(World([slot("a-2", 9)]), name, dead), "the slot was scaled away"


@pytest.mark.parametrize("name", ["hung_replica", "slow_replica", "memory_leak"])
def test_a_broken_process_that_lives_on_out_of_rotation_is_not_mended(name: str) -> None:
    alive = Injected(detail="x", victim="a-1", pid=os.getpid())
    assert not gone(World([slot("a-1", 9)]), name, alive)


def test_a_leak_that_the_kernel_ended_was_removed_by_nobody() -> None:
    dead = Injected(detail="x", victim="a-1", pid=NOBODY)
    world = World([slot("a-1", 9)], log=[host("oom_kill", 30.0, "a-1", pid=NOBODY)])
    assert not gone(world, "memory_leak", dead)
    assert gone(world, "killed_replica", dead)
    world.log = [host("oom_kill", 30.0, "a-2", pid=9)]
    assert gone(world, "memory_leak", dead), "another process's end says nothing of this one"


@pytest.mark.parametrize("name", ["bad_release_errors", "bad_release_slow", "garbage_outputs"])
def test_a_release_is_gone_when_the_whole_pool_serves_a_good_version(name: str) -> None:
    good, bad = slot("a-1", 1), slot("a-2", 2, version="v3-slow")
    assert not gone(World([good, bad]), name)
    assert not gone(World([good, slot("a-2", 2, version=None)]), name), "unknown is not good"
    assert gone(World([good, slot("a-2", 2, version="v1"), slot("b-1", 3, version="v1")]), name)


def test_a_batch_of_one_is_gone_when_it_is_larger() -> None:
    assert not gone(World(levers={"batch_max": 1}), "batching_misconfigured")
    assert gone(World(levers={"batch_max": 2}), "batching_misconfigured")


@pytest.mark.parametrize("name", ["metrics_outage", "benign_blip"])
def test_nothing_that_the_controller_does_removes_what_is_not_the_deployments(name: str) -> None:
    assert not gone(World([slot("a-1", 1)], {"batch_max": 8}), name)


def log_of(bad: AbstractSet[int], until: int = 60, slow: AbstractSet[int] = frozenset()) -> LoadLog:
    """Return a log of seconds after `AT`, the bad ones with every tenth request failed."""
    log, lines = LoadLog(), []
    for second in range(-5, until):
        for n in range(20):
            failed = second in bad and n % 10 == 0
            lines.append({
                "t": AT + second + n / 21, "id": f"{second}-{n}",
                "latency_ms": 400.0 if second in slow else 50.0,
                "status": 503 if failed else 200, "attempts": 1, "replica": "a-1",
                "replicas": ["a-1"], "version": "v2", "outcome": "failed" if failed else "ok",
                "finite": not failed or None, "correct": not failed or None,
            })  # fmt: skip
    lines.append({"event": "tick", "t": AT, "complete_until": AT + until})
    log.feed("".join(json.dumps(one) + "\n" for one in lines).encode())
    return log


def well_at(name: str, log: LoadLog, gone_at: float) -> float | None:
    found = cause.recovered_at(FAULTS[name], AT + 0.4, AT + gone_at, log, PROMISED)
    return None if found is None else found - AT


def test_recovery_is_stamped_at_the_start_of_ten_calm_seconds() -> None:
    assert well_at("killed_replica", log_of({2, 3, 4}), gone_at=4.2) == 5.0
    assert well_at("killed_replica", log_of({2, 3, 4}, until=15), gone_at=4.2) == 5.0
    assert well_at("killed_replica", log_of({2, 3, 4}, until=14), gone_at=4.2) is None


def test_a_lull_while_the_fault_is_in_the_world_is_no_recovery() -> None:
    assert well_at("slow_replica", log_of({2, 20}), gone_at=20.5) == 21.0
    assert well_at("slow_replica", log_of({2, 20}), gone_at=25.5) == 26.0


def test_the_ten_seconds_come_after_the_removal() -> None:
    assert well_at("hung_replica", log_of({2, 3}), gone_at=8.5) == 9.0
    assert well_at("hung_replica", log_of({2, 3}, until=19), gone_at=8.5) == 9.0
    assert well_at("hung_replica", log_of({2, 3}, until=18), gone_at=8.5) is None


def test_a_relapse_starts_the_count_again() -> None:
    assert well_at("killed_replica", log_of({2, 9}), gone_at=3.0) == 10.0


def test_a_fault_that_never_showed_is_recovered_from_when_its_cause_is_gone() -> None:
    assert well_at("killed_replica", log_of(set()), gone_at=6.3) == 7.0


def test_a_leak_is_recovered_from_when_its_process_is_gone_whatever_was_before() -> None:
    assert well_at("memory_leak", log_of({2}), gone_at=30.5) == 31.0


def test_a_crowd_that_never_hurt_was_nothing_to_recover_from() -> None:
    assert well_at("flash_crowd", log_of(set()), gone_at=0.6) is None
    assert well_at("flash_crowd", log_of(set(), slow={3, 4, 5}), gone_at=0.6) == 6.0


def explained(name: str, log: list[dict[str, Any]], ending: Ending, at: float, port: int) -> bool:
    fault = FAULTS[name]
    damages = cause.damage(fault, VICTIM, AT, log)
    return any(one.explains(sent(ending, at, port)) for one in damages)


RESTARTED = [spare(), *deployment(), lever(4.0, "incarnation.a-1", 1, 2), *replaced(4.5)]
BAD = (Ending.CUT, Ending.LATE, Ending.BUSY, Ending.ERROR)


@pytest.mark.parametrize("ending", BAD)
@pytest.mark.parametrize("name", ["killed_replica", "hung_replica"])
def test_a_dead_process_explains_everything_that_was_sent_to_it_and_nothing_else(
    name: str, ending: Ending
) -> None:
    assert explained(name, RESTARTED, ending, 4.6, 9001)
    assert not explained(name, RESTARTED, ending, 4.6, 9005), "the replacement is ours"
    assert not explained(name, RESTARTED, ending, 4.6, 9002)
    assert not explained(name, RESTARTED, ending, -3.0, 9001), "before the fault"


def test_a_slow_process_is_late_or_full_but_whoever_cuts_its_connections_is_to_blame() -> None:
    seen = {ending: explained("slow_replica", RESTARTED, ending, 4.6, 9001) for ending in BAD}
    assert seen == {
        Ending.CUT: False,
        Ending.LATE: True,
        Ending.BUSY: True,
        Ending.ERROR: False,
    }


def test_a_leak_explains_nothing_before_the_kernel_steps_in() -> None:
    assert not any(explained("memory_leak", RESTARTED, ending, 4.6, 9001) for ending in BAD)
    killed = [*RESTARTED, host("oom_kill", 30.0, "a-1", pid=101)]
    assert explained("memory_leak", killed, Ending.CUT, 30.1, 9001)
    assert not explained("memory_leak", killed, Ending.CUT, 30.1, 9002)
    assert not explained("memory_leak", killed, Ending.CUT, 20.0, 9001)


def released(version: str) -> list[dict[str, Any]]:
    """Return the log of a release to a-1 and a-2 (not yet a-3), taken back on a-1 at 9 s."""
    return [
        *deployment(),
        lever(0.1, "version.a", "v2", version, writer="foreign"),
        host("version_loaded", 0.2, "a-1", version=version),
        host("version_loaded", 0.4, "a-2", version=version),
        lever(8.5, "version.a", version, "v2"),
        host("version_loaded", 9.0, "a-1", version="v2"),
    ]


@pytest.mark.parametrize(
    ("fault", "version", "own"),
    [
        ("bad_release_errors", "v3-errors", {Ending.ERROR}),
        ("bad_release_slow", "v3-slow", {Ending.LATE, Ending.BUSY}),
        ("garbage_outputs", "v3-garbage", set()),
    ],
)
def test_a_bad_version_fails_in_its_own_way_only_where_and_while_it_serves(
    fault: str, version: str, own: set[Ending]
) -> None:
    log = released(version)
    for ending in BAD:
        assert explained(fault, log, ending, 5.0, 9001) is (ending in own)
        assert explained(fault, log, ending, 30.0, 9002) is (ending in own), "still not taken back"
        assert not explained(fault, log, ending, 5.0, 9003), "never had it"
        assert not explained(fault, log, ending, 5.0, 9004), "the other pool"
        assert not explained(fault, log, ending, 12.0, 9001), "serves the good version again"


def test_the_backlog_of_a_slow_version_outlasts_it_but_its_errors_do_not() -> None:
    assert explained("bad_release_slow", released("v3-slow"), Ending.LATE, 10.5, 9001)
    assert not explained("bad_release_errors", released("v3-errors"), Ending.ERROR, 10.5, 9001)


def test_a_batch_of_one_explains_overload_until_each_server_has_another() -> None:
    log = [
        *deployment(),
        lever(0.1, "batch_max", 8, 1, writer="foreign"),
        *(host("settings_applied", 0.2, f"a-{n}", batch_max=1) for n in (1, 2)),
        lever(6.0, "batch_max", 1, 2),
        host("settings_applied", 6.1, "a-1", batch_max=2),
        spare(),
        host("ready", 6.5, "a-4", pid=105, version="v2"),
    ]
    fault = "batching_misconfigured"
    assert explained(fault, log, Ending.LATE, 5.0, 9001)
    assert explained(fault, log, Ending.BUSY, 20.0, 9002)
    assert not explained(fault, log, Ending.LATE, 20.0, 9001)
    assert not explained(fault, log, Ending.LATE, 5.0, 9003), "never had it"
    assert not explained(fault, log, Ending.LATE, 7.0, 9005), "started with two"
    assert not explained(fault, log, Ending.CUT, 5.0, 9001)


def test_a_crowd_explains_overload_but_not_of_a_replica_that_has_just_joined() -> None:
    log = [spare(), *deployment(), lever(4.0, "replicas.a", 3, 4), *replaced(5.0, "a-4")]
    assert explained("flash_crowd", log, Ending.BUSY, 5.1, 9002)
    assert not explained("flash_crowd", log, Ending.BUSY, 5.1, 9005)
    assert explained("flash_crowd", log, Ending.BUSY, 8.0, 9005)
    assert explained("flash_crowd", log, Ending.LATE, 5.1, 9005)
    assert not explained("flash_crowd", log, Ending.CUT, 5.1, 9002)
    assert explained("flash_crowd", log, Ending.LATE, 5.1, NOWHERE)
    assert not explained("flash_crowd", log, Ending.CUT, 5.1, NOWHERE)
    assert not explained("flash_crowd", log, Ending.LATE, 103.0, 9002), "the crowd is gone"


def test_a_blip_explains_overload_for_as_long_as_it_lasts() -> None:
    assert explained("benign_blip", deployment(), Ending.LATE, 1.0, 9002)
    assert not explained("benign_blip", deployment(), Ending.LATE, 6.0, 9002)
    assert not explained("benign_blip", deployment(), Ending.CUT, 1.0, 9002)


@pytest.mark.parametrize("ending", BAD)
@pytest.mark.parametrize("name", ["covariate_drift", "metrics_outage"])
def test_what_makes_no_request_fail_explains_no_failure(name: str, ending: Ending) -> None:
    assert not explained(name, RESTARTED, ending, 4.6, 9001)


def test_a_fault_whose_victim_the_host_never_started_explains_nothing() -> None:
    fault = FAULTS["killed_replica"]
    damages = cause.damage(fault, Injected(detail="x", victim="a-1", pid=7), AT, RESTARTED)
    assert not any(one.explains(sent(Ending.CUT, 5.0, 9001)) for one in damages)


@pytest.mark.parametrize(("percent", "gone"), [(0, True), (1, False), (100, False)])
def test_what_is_tried_is_gone_once_it_has_no_traffic(percent: int, gone: bool) -> None:  # noqa: FBT001 - the answer
    class Divided:
        def weight(self, pool: str) -> int:
            assert pool == "b"
            return percent

    fault = FAULTS["bad_canary"]
    assert cause.gone(Divided(), fault, Injected(detail="")) is gone  # type: ignore[arg-type] # a fake place


@pytest.mark.parametrize(
    ("share", "versions", "gone"),
    [
        (0, ("v2", "r-1"), False),
        (50, ("v2", "r-1"), False),
        (99, ("v2", "r-1"), False),
        (100, ("v2", "r-1"), True),
        (100, ("v2", "v1"), False),
        (100, ("v2", None), False),
        (0, ("r-1", "v1"), True),
        (10, ("r-1", "v1"), False),
    ],
)
def test_a_drift_is_cured_when_only_what_was_refitted_serves(
    share: int,
    versions: tuple[str, str | None],
    gone: bool,  # noqa: FBT001 - the answer
) -> None:
    class Divided:
        def weight(self, pool: str) -> int:
            assert pool == "b"
            return share

        def state(self) -> dict[str, Any]:
            a, b = versions
            return {"slots": [{"pool": "a", "version": a}] * 3 + [{"pool": "b", "version": b}] * 2}

    fault = FAULTS["covariate_drift"]
    assert cause.gone(Divided(), fault, Injected(detail="")) is gone  # type: ignore[arg-type] # a fake place


def test_a_drift_without_any_replica_that_serves_is_not_cured() -> None:
    class Empty:
        def weight(self, pool: str) -> int:
            return 100

        def state(self) -> dict[str, Any]:
            return {"slots": [{"pool": "a", "version": "r-1"}]}

    fault = FAULTS["covariate_drift"]
    assert not cause.gone(Empty(), fault, Injected(detail=""))  # type: ignore[arg-type] # a fake place
