"""The faults: each injected for real, with a cause that persists until it is removed.

A fault is told where the local deployment is and nothing else; the controller is told nothing.
What each looks like from outside is in docs/reference/faults.md.
"""

import os
import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx2

from homeostat.base.errors import ConfigError, UnknownPartError
from homeostat.demo import pipeline
from homeostat.demo.place import Place

Undo = Callable[[], None]
ANSWERED_S = 3.0  # a ramp that the guards allow writes its first rung within a tick or two
GIVE_UP_S = 90.0  # a cure that moves levers shows sooner
RETRAIN_S = 300.0  # a question, two answers, a training, a ramp of five rungs and its watch
UNWATCHED = 25  # percent, of a rollout that nobody watches
TRIED_S = 30.0  # so long a version may take to come up, and a canary to get its first request


@dataclass(frozen=True, slots=True, kw_only=True)
class Injected:
    """A fault that is now in the world.

    Attributes:
        detail: For a person: what was broken and how.
        victim: The slot it was done to, empty if not one slot.
        pid: The victim's process, 0 if not one process.
        stop: Ends the fault, for those that end on schedule; None if only healing ends it.
    """

    detail: str
    victim: str = ""
    pid: int = 0
    stop: Undo | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One kind of fault.

    Attributes:
        name: What the command line calls it.
        expected: `recovered` or `held`.
        inject: Breaks the deployment.
        lasts_s: For faults that end on schedule, when; None for those that only healing ends.
        give_up_s: What is not healed by then is not healed.
        summary: One sentence for `homeostat demo --list`.
    """

    name: str
    expected: str
    inject: Callable[[Place, random.Random], Injected]
    lasts_s: float | None = None
    give_up_s: float = GIVE_UP_S
    summary: str = ""


def _slots(place: Place) -> list[dict[str, Any]]:
    state = httpx2.get(f"{place.host_url}/v1/state", timeout=5.0).json()
    return [slot for slot in state["slots"] if slot["pool"] == "a" and slot["state"] == "ready"]


def _victim(place: Place, chance: random.Random) -> dict[str, Any]:
    slots = _slots(place)
    if not slots:
        raise ConfigError("there is no ready replica to break; is the deployment up?")
    return chance.choice(sorted(slots, key=lambda slot: str(slot["name"])))


def _chaos(place: Place, slot: dict[str, Any], body: dict[str, Any]) -> None:
    url = f"http://127.0.0.1:{slot['port']}/admin/chaos"
    headers = {"x-chaos-token": place.chaos_token}
    httpx2.post(url, json=body, headers=headers, timeout=5.0).raise_for_status()


def _foreign_change(place: Place, levers: dict[str, Any]) -> None:
    """Change the deployment as a delivery pipeline or a person would."""
    pipeline.change(place.host_url, levers)


def slot_named(place: Place, name: str) -> dict[str, Any]:
    """Return a ready replica by its slot's name.

    Raises:
        ConfigError: There is none of that name, or it is not ready.
    """
    slots = _slots(place)
    found = next((slot for slot in slots if slot["name"] == name), None)
    if found is None:
        there = ", ".join(sorted(slot["name"] for slot in slots)) or "none"
        raise ConfigError(f"there is no ready replica {name!r} to break; ready are {there}")
    return found


def slow(place: Place, slot: dict[str, Any], factor: float) -> Injected:
    """Make one replica's device so many times slower."""
    _chaos(place, slot, {"device_slowdown": factor})
    detail = f"{slot['name']} slowed {factor:g}x"
    return Injected(detail=detail, victim=slot["name"], pid=slot["pid"])


def hang(slot: dict[str, Any]) -> Injected:
    """Stop one replica's process, which stays."""
    os.kill(slot["pid"], signal.SIGSTOP)
    return Injected(detail=f"{slot['name']} hung (SIGSTOP)", victim=slot["name"], pid=slot["pid"])


def kill(slot: dict[str, Any]) -> Injected:
    """End one replica's process."""
    os.kill(slot["pid"], signal.SIGKILL)
    return Injected(detail=f"{slot['name']} killed (SIGKILL)", victim=slot["name"], pid=slot["pid"])


def leak(place: Place, slot: dict[str, Any], mb_per_s: float) -> Injected:
    """Let one replica's process lose memory."""
    _chaos(place, slot, {"leak_mb_per_s": mb_per_s})
    detail = f"{slot['name']} leaks {mb_per_s:.3g} MB/s"
    return Injected(detail=detail, victim=slot["name"], pid=slot["pid"])


def release(place: Place, version: str) -> Injected:
    """Roll a version out to the stable pool."""
    _foreign_change(place, {"version.a": version})
    return Injected(detail=f"release {version} rolled out to pool a")


def crowd(place: Place, times: float) -> Injected:
    """Let so many times the usual requests arrive, until it is stopped."""
    rate = place.base_rate * times
    place.load({"rate": rate})
    return Injected(
        detail=f"arrivals {place.base_rate:.0f}/s -> {rate:.0f}/s",
        stop=lambda: place.load({"rate": place.base_rate}),
    )


def misconfigure(place: Place) -> Injected:
    """Set the largest batch to one, as another client would."""
    _foreign_change(place, {"batch_max": 1})
    return Injected(detail="largest batch set to 1 by a configuration change")


def canary(place: Place, version: str) -> Injected:
    """Bring a version to the pool without traffic, and ask the controller to try it.

    Raises:
        ConfigError: The version did not come up, or nothing gave it any traffic.
    """
    pipeline.weigh(place.envoy_admin, pipeline.TRIED_IN, 0)
    _foreign_change(place, {"version.b": version, "replicas.b": pipeline.TRIED_ON})
    _until(lambda: _runs(place, "b", version), f"pool b does not run {version}")
    if not place.labels_url:  # nobody to ask: a rollout as it is done without a controller
        pipeline.weigh(place.envoy_admin, pipeline.TRIED_IN, UNWATCHED)
        return Injected(detail=f"release {version} given {UNWATCHED} % of the traffic in pool b")
    _until(lambda: _asked(place, version), "the canary got no traffic")
    return Injected(detail=f"release {version} tried in pool b, from no traffic on")


def _runs(place: Place, pool: str, version: str) -> bool:
    slots = [slot for slot in place.state()["slots"] if slot["pool"] == pool]
    up = [slot for slot in slots if slot["version"] == version and slot["state"] == "ready"]
    return len(up) == len(slots) == pipeline.TRIED_ON


def _asked(place: Place, version: str) -> bool:
    """Ask for the canary, as a pipeline would again and again; return whether it has traffic."""
    answer = httpx2.post(
        f"{place.labels_url}/v1/deployments/credit/canary",
        json={"by": "the delivery pipeline", "why": version},
        headers={"Authorization": f"Bearer {place.labels_token}"},
        timeout=15.0,
    )
    answer.raise_for_status()
    end = time.monotonic() + ANSWERED_S
    while place.weight("b") == 0 and time.monotonic() < end:
        time.sleep(0.2)
    return place.weight("b") > 0


def _until(so: Callable[[], bool], problem: str) -> None:
    end = time.monotonic() + TRIED_S
    while not so():
        if time.monotonic() >= end:
            raise ConfigError(f"{problem} after {TRIED_S:g} s; see the logs of the host and Envoy")
        time.sleep(0.2)


def _canary(place: Place, _: random.Random) -> Injected:
    return canary(place, "v3-errors")


def _slow(place: Place, chance: random.Random) -> Injected:
    return slow(place, _victim(place, chance), chance.choice([6.0, 8.0, 10.0]))


def _hung(place: Place, chance: random.Random) -> Injected:
    return hang(_victim(place, chance))


def _killed(place: Place, chance: random.Random) -> Injected:
    return kill(_victim(place, chance))


def _leak(place: Place, chance: random.Random) -> Injected:
    return leak(place, _victim(place, chance), chance.choice([4.0, 5.0, 6.0]))


def _release(*versions: str) -> Callable[[Place, random.Random], Injected]:
    return lambda place, chance: release(place, chance.choice(versions))


def _crowd(place: Place, chance: random.Random) -> Injected:
    return crowd(place, chance.choice([5.4, 5.7, 6.0]))


def _misconfigured(place: Place, _: random.Random) -> Injected:
    return misconfigure(place)


def _drift(place: Place, chance: random.Random) -> Injected:
    shift = chance.choice([2.0, 2.5, 3.0])
    place.load({"shift": shift})
    return Injected(detail=f"inputs shifted by {shift} standard deviations")


def _outage(place: Place, chance: random.Random) -> Injected:
    mode = chance.choice(["error", "frozen", "zeros"])
    place.relay_mode(mode)
    return Injected(detail=f"every metrics page: {mode}", stop=lambda: place.relay_mode("ok"))


def _blip(place: Place, chance: random.Random) -> Injected:
    if chance.random() < 0.5:  # noqa: PLR2004 - a fair coin
        rate = place.base_rate * 5.5
        place.load({"rate": rate})
        return Injected(
            detail=f"a short burst of {rate:.0f}/s",
            stop=lambda: place.load({"rate": place.base_rate}),
        )
    slot = _victim(place, chance)
    _chaos(place, slot, {"device_slowdown": 12.0})
    return Injected(
        detail=f"{slot['name']} slow for a moment",
        stop=lambda: _chaos(place, slot, {"off": True}),
    )


_ALL = (
    Fault(
        name="killed_replica",
        expected="recovered",
        inject=_killed,
        summary="a replica's process is killed",
    ),
    Fault(
        name="slow_replica",
        expected="recovered",
        inject=_slow,
        summary="one replica's device turns slow",
    ),
    Fault(
        name="hung_replica",
        expected="recovered",
        inject=_hung,
        summary="a replica's process stops answering but stays",
    ),
    Fault(
        name="bad_release_errors",
        expected="recovered",
        inject=_release("v3-errors"),
        summary="a new version fails three requests in ten",
    ),
    Fault(
        name="bad_release_slow",
        expected="recovered",
        inject=_release("v3-slow"),
        summary="a new version needs far more device time",
    ),
    Fault(
        name="garbage_outputs",
        expected="recovered",
        inject=_release("v3-garbage", "v3-constant"),
        summary="a new version answers 200 with nonsense",
    ),
    Fault(
        name="bad_canary",
        expected="recovered",
        inject=_canary,
        summary="a new version is tried by degrees, and fails three requests in ten",
    ),
    Fault(
        name="memory_leak",
        expected="recovered",
        inject=_leak,
        summary="one process grows towards its memory limit",
    ),
    Fault(
        name="batching_misconfigured",
        expected="recovered",
        inject=_misconfigured,
        summary="somebody sets the largest batch to 1",
    ),
    Fault(
        name="flash_crowd",
        expected="recovered",
        inject=_crowd,
        lasts_s=100.0,
        summary="more requests arrive than the deployment can serve",
    ),
    Fault(
        name="covariate_drift",
        expected="recovered",
        inject=_drift,
        give_up_s=RETRAIN_S,
        summary="the inputs really change; people allow a retrain, and a canary tries what comes",
    ),
    Fault(
        name="metrics_outage",
        expected="held",
        inject=_outage,
        lasts_s=20.0,
        summary="metrics are gone, frozen or zero; the deployment is well",
    ),
    Fault(
        name="benign_blip",
        expected="held",
        inject=_blip,
        lasts_s=1.5,
        summary="a short disturbance that ends by itself",
    ),
)
FAULTS = {fault.name: fault for fault in _ALL}


def fault_named(name: str) -> Fault:
    """Return a fault by name.

    Raises:
        UnknownPartError: There is none of that name.
    """
    if name not in FAULTS:
        raise UnknownPartError("fault", name, FAULTS)
    return FAULTS[name]
