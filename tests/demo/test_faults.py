"""Faults: what each does to the world, and that the seed alone decides which, whom and how much."""

import random
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from homeostat.base.errors import ConfigError, UnknownPartError
from homeostat.demo import faults, pipeline
from homeostat.demo.faults import FAULTS, Injected, fault_named
from homeostat.demo.place import Place

EXPECTED = {
    "killed_replica": "recovered",
    "slow_replica": "recovered",
    "hung_replica": "recovered",
    "memory_leak": "recovered",
    "bad_release_errors": "recovered",
    "bad_release_slow": "recovered",
    "bad_canary": "recovered",
    "garbage_outputs": "recovered",
    "flash_crowd": "recovered",
    "batching_misconfigured": "recovered",
    "covariate_drift": "recovered",
    "metrics_outage": "held",
    "benign_blip": "held",
}


class Answer:
    def __init__(self, plain: Any) -> None:
        self._plain = plain

    def json(self) -> Any:
        return self._plain

    def raise_for_status(self) -> None:
        return


@dataclass
class World:
    """A deployment that keeps what is done to it; stands in for host, servers, load and relay."""

    revision: int = 7
    levers: dict[str, Any] = field(default_factory=lambda: {"batch_max": 8, "version.a": "v2"})
    chaos: dict[int, dict[str, Any]] = field(default_factory=dict)
    signals: list[tuple[int, int]] = field(default_factory=list)
    commands: list[dict[str, Any]] = field(default_factory=list)
    modes: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    states: dict[str, str] = field(default_factory=dict)
    weights: list[int] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)
    refusals: int = 0

    def state(self) -> dict[str, Any]:
        version, count = self.levers.get("version.b"), self.levers.get("replicas.b", 1)
        pool = [{"pool": "b", "version": version, "state": "ready"}] * count
        return {"slots": pool, "levers": self.levers}

    def slots(self) -> list[dict[str, Any]]:
        names = [("a-3", "a"), ("a-1", "a"), ("b-1", "b"), ("a-2", "a")]  # no order to rely on
        return [
            {
                "name": name,
                "pool": pool,
                "pid": 100 + n,
                "port": 9000 + n,
                "state": self.states.get(name, "ready"),
            }
            for n, (name, pool) in enumerate(names)
        ]

    def get(self, url: str, timeout: float) -> Answer:
        assert urlsplit(url).path == "/v1/state"
        state = {"revision": self.revision, "slots": self.slots(), "levers": self.levers}
        return Answer(state)

    def patch(
        self, url: str, json: dict[str, Any], headers: dict[str, str], timeout: float
    ) -> Answer:
        assert headers["If-Match"] == str(self.revision), "a foreign write may not race either"
        self.headers.append(headers)
        self.levers |= json["levers"]
        self.revision += 1
        return Answer({})

    def post(
        self,
        url: str,
        json: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
        params: dict[str, str] | None = None,
        timeout: float = 0.0,
    ) -> Answer:
        if urlsplit(url).path == "/runtime_modify":
            self.weights.append(int((params or {})["traffic.b"]))
            return Answer({})
        if urlsplit(url).path == "/v1/deployments/credit/canary":
            assert headers == {"Authorization": "Bearer theirs"}
            self.asked.append(json or {})
            if len(self.asked) > self.refusals:
                self.weights.append(1)
            return Answer({})
        json = json or {}
        assert urlsplit(url).path == "/admin/chaos"
        assert headers == {"x-chaos-token": "secret"}
        port = urlsplit(url).port or 0
        if json.get("off"):
            self.chaos.pop(port)
        else:
            self.chaos[port] = json
        return Answer({})

    def name_of(self, port: int) -> str:
        return str(next(slot["name"] for slot in self.slots() if slot["port"] == port))


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = World()
    monkeypatch.setattr(faults, "httpx2", made)
    monkeypatch.setattr(pipeline, "httpx2", made)
    monkeypatch.setattr("os.kill", lambda pid, sig: made.signals.append((pid, sig)))
    monkeypatch.setattr(Place, "load", lambda _, command: made.commands.append(dict(command)))
    monkeypatch.setattr(Place, "state", lambda _: made.state())
    monkeypatch.setattr(Place, "weight", lambda _, pool: made.weights[-1])
    monkeypatch.setattr(faults, "ANSWERED_S", 0.0)
    monkeypatch.setattr(Place, "relay_mode", lambda _, mode: made.modes.append(mode))
    return made


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(folder=tmp_path, chaos_token="secret")


Inject = Callable[..., Injected]


@pytest.fixture
def inject(world: World, place: Place) -> Inject:
    def run(name: str, seed: int = 1) -> Injected:
        return FAULTS[name].inject(place, random.Random(seed))

    return run


def test_every_fault_has_the_outcome_that_the_documentation_promises() -> None:
    assert {fault.name: fault.expected for fault in FAULTS.values()} == EXPECTED


def test_only_what_people_must_allow_is_waited_for_longer() -> None:
    longer = {f.name: f.give_up_s for f in FAULTS.values() if f.give_up_s != faults.GIVE_UP_S}
    assert longer == {"covariate_drift": 300.0}


def test_only_three_faults_end_by_themselves() -> None:
    assert {f.name for f in FAULTS.values() if f.lasts_s is not None} == {
        "flash_crowd",
        "metrics_outage",
        "benign_blip",
    }


@pytest.mark.parametrize("name", FAULTS)
def test_the_same_seed_breaks_the_same_thing_in_the_same_way(
    name: str, inject: Inject, world: World
) -> None:
    first = inject(name, 5)
    trace = [list(world.signals), list(world.commands), dict(world.chaos), dict(world.levers)]
    world.signals.clear()
    world.commands.clear()
    world.chaos.clear()
    again = inject(name, 5)
    assert [world.signals, world.commands, world.chaos, world.levers] == trace
    assert (again.detail, again.victim, again.pid) == (first.detail, first.victim, first.pid)


@pytest.mark.parametrize(
    "name", ["killed_replica", "hung_replica", "slow_replica", "memory_leak", "benign_blip"]
)
def test_the_seed_reaches_every_replica_of_the_stable_pool_and_no_other(
    name: str, inject: Inject, world: World
) -> None:
    seen = set()
    for seed in range(60):
        world.chaos.clear()
        done = inject(name, seed)
        seen |= {done.victim} | {world.name_of(port) for port in world.chaos}
    assert seen - {""} == {"a-1", "a-2", "a-3"}


def test_a_kill_and_a_hang_go_to_the_process_that_is_named(inject: Inject, world: World) -> None:
    killed, hung = inject("killed_replica", 3), inject("hung_replica", 4)
    assert world.signals == [(killed.pid, signal.SIGKILL), (hung.pid, signal.SIGSTOP)]
    for done in (killed, hung):
        slot = next(slot for slot in world.slots() if slot["pid"] == done.pid)
        assert slot["name"] == done.victim
        assert done.victim in done.detail
        assert done.stop is None, "only healing ends it"


def test_only_ready_replicas_are_broken(inject: Inject, world: World) -> None:
    world.states = {"a-1": "starting", "a-3": "gone"}
    assert {inject("killed_replica", seed).victim for seed in range(20)} == {"a-2"}


def test_breaking_a_deployment_without_a_ready_replica_is_a_clear_error(
    inject: Inject, world: World
) -> None:
    world.states = {"a-1": "gone", "a-2": "gone", "a-3": "gone"}
    with pytest.raises(ConfigError, match="no ready replica"):
        inject("killed_replica")


def test_the_slowdown_is_6_to_10_times_and_the_leak_4_to_6_megabytes(
    inject: Inject, world: World
) -> None:
    factors, rates = set(), set()
    for seed in range(40):
        world.chaos.clear()
        inject("slow_replica", seed)
        factors.add(world.chaos.popitem()[1]["device_slowdown"])
        inject("memory_leak", seed)
        rates.add(world.chaos.popitem()[1]["leak_mb_per_s"])
    assert factors == {6.0, 8.0, 10.0}
    assert rates == {4.0, 5.0, 6.0}


@pytest.mark.parametrize(
    ("name", "lever", "values"),
    [
        ("bad_release_errors", "version.a", {"v3-errors"}),
        ("bad_release_slow", "version.a", {"v3-slow"}),
        ("garbage_outputs", "version.a", {"v3-garbage", "v3-constant"}),
        ("batching_misconfigured", "batch_max", {1}),
    ],
)
def test_a_bad_change_comes_as_a_foreign_write(
    name: str, lever: str, values: set[Any], inject: Inject, world: World
) -> None:
    seen = set()
    for seed in range(20):
        assert inject(name, seed).stop is None
        seen.add(world.levers[lever])
    assert seen == values
    assert all(set(headers) == {"If-Match"} for headers in world.headers), "no controller's stamp"


def test_a_crowd_exceeds_what_three_replicas_serve_and_ends_on_schedule(
    inject: Inject, world: World, place: Place
) -> None:
    # Three replicas serve 3 x 8 / 58 ms = 414/s, and get the nine tenths that pool b leaves.
    for seed in range(20):
        done = inject("flash_crowd", seed)
        assert 0.9 * world.commands[-1]["rate"] > 414.0
        assert done.stop is not None
        done.stop()
        assert world.commands[-1] == {"rate": place.base_rate}


def test_drift_moves_the_inputs_and_nothing_ends_it(inject: Inject, world: World) -> None:
    shifts = set()
    for seed in range(20):
        assert inject("covariate_drift", seed).stop is None
        shifts.add(world.commands[-1]["shift"])
    assert shifts == {2.0, 2.5, 3.0}


def test_an_outage_breaks_the_pages_alone_in_all_three_ways_and_ends(
    inject: Inject, world: World
) -> None:
    before = dict(world.levers)
    for seed in range(30):
        done = inject("metrics_outage", seed)
        assert done.stop is not None
        done.stop()
        assert world.modes[-1] == "ok"
    assert set(world.modes) == {"error", "frozen", "zeros", "ok"}
    assert (world.levers, world.commands, world.signals, world.chaos) == (before, [], [], {})


def test_a_blip_is_a_burst_or_a_slow_replica_and_leaves_nothing_behind(
    inject: Inject, world: World, place: Place
) -> None:
    kinds = set()
    for seed in range(20):
        world.commands.clear()
        done = inject("benign_blip", seed)
        assert done.stop is not None
        kinds.add("burst" if world.commands else "slow")
        done.stop()
        assert world.chaos == {}
        assert world.commands[-1:] in ([], [{"rate": place.base_rate}])
    assert kinds == {"burst", "slow"}


def test_an_unknown_fault_is_named_with_what_was_meant() -> None:
    with pytest.raises(UnknownPartError, match="did you mean 'killed_replica'"):
        fault_named("kiled_replica")


def test_a_canary_is_asked_for_until_it_has_traffic(
    inject: Inject, world: World, place: Place
) -> None:
    place.labels_url, place.labels_token, world.refusals = "http://127.0.0.1:1", "theirs", 2
    done = inject("bad_canary")
    assert world.weights == [0, 1], "no traffic while the version comes up"
    assert world.levers["version.b"] == "v3-errors"
    assert len(world.asked) == 3
    assert done.stop is None, "only taking the traffic back ends it"


def test_without_a_controller_a_rollout_is_given_its_traffic_blindly(
    inject: Inject, world: World
) -> None:
    inject("bad_canary")
    assert (world.weights, world.asked) == ([0, faults.UNWATCHED], [])


def test_a_version_that_does_not_come_up_is_a_clear_error(
    inject: Inject, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(faults, "TRIED_S", 0.0)
    monkeypatch.setattr(Place, "state", lambda _: {"slots": []})
    with pytest.raises(ConfigError, match="does not run v3-errors"):
        inject("bad_canary")
    assert world.weights == [0]
