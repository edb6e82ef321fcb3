"""What a delivery pipeline or a person does to the local deployment, by its own pages.

Nothing here is the controller's: it sees these as changes of somebody else's.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import httpx2

from homeostat.base.errors import ConfigError

TRIED_IN: Final = "b"
"""The pool that a new version is tried in."""
TRIED_ON: Final = 2
"""Its replicas: one could not carry all of the traffic, nor be told from its machine."""
TRIED_S: Final = 30.0  # so long a version may take to come up
MOST: Final = 50  # percent of the traffic: a pool with more is what serves, and none to try in
_CALL_S: Final = 5.0
_PAUSE_S: Final = 0.2
_TRIES: Final = 5  # of a write that another one came before


def weigh(envoy_admin: str, pool: str, percent: int) -> None:
    """Give a pool its share of the traffic, by Envoy's own page."""
    httpx2.post(
        f"{envoy_admin}/runtime_modify", params={f"traffic.{pool}": str(percent)}, timeout=_CALL_S
    ).raise_for_status()


def weight(envoy_admin: str, pool: str) -> int:
    """Return a pool's share of the traffic in percent, as Envoy has it."""
    answer = httpx2.get(f"{envoy_admin}/runtime", params={"format": "json"}, timeout=_CALL_S)
    answer.raise_for_status()
    return int(answer.json()["entries"][f"traffic.{pool}"]["final_value"])


def change(host_url: str, levers: Mapping[str, Any]) -> None:
    """Write levers, if nobody else wrote since they were read."""
    revision = httpx2.get(f"{host_url}/v1/state", timeout=_CALL_S).json()["revision"]
    httpx2.patch(
        f"{host_url}/v1/state",
        json={"levers": dict(levers)},
        headers={"If-Match": str(revision)},
        timeout=_CALL_S,
    ).raise_for_status()


def bring(
    host_url: str,
    envoy_admin: str,
    version: str,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Bring a version to the pool that versions are tried in, without traffic, and see it run.

    Args:
        host_url: The process host's API.
        envoy_admin: Envoy's admin page.
        version: One that the host has.
        clock: Monotonic seconds.
        sleep: Waits so many seconds.

    Raises:
        ConfigError: That pool carries the traffic, or the version did not come up; the host or
            Envoy refused, or did not answer.
    """
    try:
        if (share := weight(envoy_admin, TRIED_IN)) > MOST:
            raise ConfigError(f"pool {TRIED_IN} carries {share} % of the traffic: it serves")
        weigh(envoy_admin, TRIED_IN, 0)
        levers = {f"version.{TRIED_IN}": version, f"replicas.{TRIED_IN}": TRIED_ON}
        _insist(lambda: change(host_url, levers), sleep)
        end = clock() + TRIED_S
        while not _runs(host_url, version):
            if clock() >= end:
                raise ConfigError(f"pool {TRIED_IN} does not run {version} after {TRIED_S:g} s")
            sleep(_PAUSE_S)
    except (httpx2.HTTPError, ValueError, KeyError) as error:
        raise ConfigError(f"{version} could not be brought to pool {TRIED_IN}: {error}") from error


def _insist(write: Callable[[], None], sleep: Callable[[float], None]) -> None:
    """Write again where somebody else wrote first.

    Raises:
        HTTPStatusError: Any other refusal, or this one again and again.
    """
    for tries_left in range(_TRIES - 1, -1, -1):
        try:
            write()
        except httpx2.HTTPStatusError as error:
            if error.response.status_code != httpx2.codes.CONFLICT or not tries_left:
                raise
            sleep(_PAUSE_S)
        else:
            return


def _runs(host_url: str, version: str) -> bool:
    slots = httpx2.get(f"{host_url}/v1/state", timeout=_CALL_S).json()["slots"]
    there = [slot for slot in slots if slot["pool"] == TRIED_IN]
    up = [slot for slot in there if slot["version"] == version and slot["state"] == "ready"]
    return len(up) == len(there) == TRIED_ON
