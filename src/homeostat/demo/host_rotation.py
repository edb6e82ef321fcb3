"""Rotation: which endpoints Envoy may send to, one endpoint-discovery file for each pool.

A file is written beside the old one and renamed over it, which is what Envoy watches for. Envoy
takes it a moment later; `until_gone` asks Envoy itself whether an endpoint has left.
"""

import asyncio
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import httpx2

from homeostat.base.errors import ConfigError

_POLL_S: Final = 0.03
_WORKER_S: Final = 0.1  # Envoy's worker thread takes what its main thread shows a moment later


def rotation_file(folder: Path, pool: str) -> Path:
    """Return the path of a pool's endpoint file."""
    return folder / f"{pool}.json"


def endpoints_text(pool: str, ports: tuple[int, ...], version: int) -> str:
    """Return a pool's endpoints as Envoy's discovery response (JSON)."""
    endpoints = [
        {"endpoint": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": port}}}}
        for port in ports
    ]
    assignment = {
        "@type": "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
        "cluster_name": pool,
        "endpoints": [{"lb_endpoints": endpoints}],
    }
    return json.dumps({"version_info": str(version), "resources": [assignment]}, indent=1)


class Rotation:
    """Writes the files, and waits until Envoy has taken them."""

    def __init__(
        self, folder: Path, envoy_admin: str | None, client: httpx2.AsyncClient, timeout_s: float
    ) -> None:
        self._folder = folder
        self._admin = envoy_admin
        self._client = client
        self._timeout_s = timeout_s
        self._version = 0
        self._now: dict[str, tuple[int, ...]] = {}

    def ports(self, pool: str) -> tuple[int, ...]:
        """Return the ports of a pool that are in rotation."""
        return self._now.get(pool, ())

    def publish(self, pools: Mapping[str, tuple[int, ...]]) -> None:
        """Write the files of those pools whose endpoints changed.

        Raises:
            ConfigError: A file cannot be written.
        """
        for pool, ports in pools.items():
            if self._now.get(pool) == ports:
                continue
            self._version += 1
            path = rotation_file(self._folder, pool)
            beside = path.with_suffix(".new")
            try:
                self._folder.mkdir(parents=True, exist_ok=True)
                beside.write_text(endpoints_text(pool, ports, self._version), encoding="utf-8")
                Path(beside).replace(path)
            except OSError as error:
                raise ConfigError(
                    f"rotation file {path} cannot be written: {error.strerror}; "
                    "give the host a folder that it may write to"
                ) from error
            self._now[pool] = ports

    async def until_gone(self, port: int) -> bool:
        """Wait until Envoy lists no endpoint with this port; False if it still does at the end.

        An Envoy that is not there sends nothing, so there is nothing to wait for.
        """
        if self._admin is None:
            await asyncio.sleep(_WORKER_S)
            return True
        give_up = time.monotonic() + self._timeout_s
        while time.monotonic() < give_up:
            try:
                answer = await self._client.get(
                    f"{self._admin}/clusters?format=json", timeout=self._timeout_s
                )
                if port not in _listed(answer.json()):
                    await asyncio.sleep(_WORKER_S)
                    return True
            except httpx2.ConnectError:
                return True
            except (httpx2.HTTPError, ValueError, KeyError, TypeError):
                pass  # not an answer; ask again until the time is over
            await asyncio.sleep(_POLL_S)
        return False


def _listed(clusters: Any) -> set[int]:
    return {
        int(host["address"]["socket_address"]["port_value"])
        for cluster in clusters["cluster_statuses"]
        for host in cluster.get("host_statuses", ())
    }
