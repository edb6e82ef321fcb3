"""A kubelet without containers: runs the command of every pod as a process of this machine.

    python process_kubelet.py --api URL --ca FILE --token-file FILE --network 127.64.0 --logs DIR

It is scheduler and kubelet of one node. Each pod gets an address of loopback's own (127.x.y.z), so
that all may serve on the port that their template says, and restarts, readiness probes (`httpGet`;
without one a process is ready at once), SIGTERM and the grace period are as a kubelet's. Probes are
asked ten times as often as they say. What has no `command` is never run. Kept out: images, volumes,
limits, liveness and startup probes, init containers, more than one container.
"""

import argparse
import asyncio
import contextlib
import itertools
import json
import os
import signal
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2

NODE = "local"
MERGE = {"content-type": "application/merge-patch+json"}
GRACE_S = 5.0  # the most that a process is waited for, whatever its pod says
BACK_OFF_S = 0.5  # longer by as much at each restart, up to ten times
PROBE_S = 0.1  # of a `periodSeconds` of 1
Object = dict[str, Any]


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Running:
    """One pod."""

    def __init__(self, api: httpx2.AsyncClient, pod: Object, address: str, logs: Path) -> None:
        meta = pod["metadata"]
        self.api, self.pod, self.address = api, pod, address
        self.path = f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}"
        self.log = logs / f"{meta['namespace']}.{meta['name']}.log"
        self.container = pod["spec"]["containers"][0]
        self.started, self.restarts = now(), 0
        self.unwanted = asyncio.Event()
        self.process: asyncio.subprocess.Process | None = None

    async def run(self) -> None:
        """Bind it, run its command until it is unwanted, and take it away."""
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": self.pod["metadata"]["name"]},
            "target": {"kind": "Node", "name": NODE},
        }
        await self.api.post(f"{self.path}/binding", json=binding)
        while not self.unwanted.is_set():
            with self.log.open("ab") as log:
                self.process = await asyncio.create_subprocess_exec(
                    *self.container["command"],
                    *self.container.get("args", ()),
                    env=os.environ | self.environment(),
                    stdout=log,
                    stderr=log,
                )
            await self.tend(self.process)
            if self.process.returncode is not None and not self.unwanted.is_set():
                self.restarts += 1
                await self.report(ready=False)
                with contextlib.suppress(TimeoutError):
                    pause_s = BACK_OFF_S * min(self.restarts, 10)
                    await asyncio.wait_for(self.unwanted.wait(), pause_s)
        await self.end()
        await self.take_away()

    async def tend(self, process: asyncio.subprocess.Process) -> None:
        """Report readiness until the process has ended or is unwanted."""
        over = asyncio.create_task(process.wait())
        unwanted = asyncio.create_task(self.unwanted.wait())
        ready: bool | None = None
        try:
            while not (over.done() or unwanted.done()):
                found = await self.is_ready()
                if found != ready and not over.done():
                    ready = found
                    await self.report(ready=found)
                period_s = None if self.probe() is None else PROBE_S
                await asyncio.wait(
                    (over, unwanted), timeout=period_s, return_when=asyncio.FIRST_COMPLETED
                )
        finally:
            over.cancel()
            unwanted.cancel()

    def probe(self) -> Object | None:
        found: Object | None = (self.container.get("readinessProbe") or {}).get("httpGet")
        return found

    async def is_ready(self) -> bool:
        asked = self.probe()
        if asked is None:
            return True
        ports = {one.get("name"): one["containerPort"] for one in self.container.get("ports", ())}
        port = ports.get(asked["port"], asked["port"])
        try:
            async with httpx2.AsyncClient(timeout=1.0, trust_env=False) as client:
                said = await client.get(f"http://{self.address}:{port}{asked.get('path', '/')}")
        except (httpx2.HTTPError, OSError):
            return False
        return 200 <= said.status_code < 400

    async def report(self, *, ready: bool) -> None:
        """Say on the pod how it is."""
        conditions = [
            {"type": kind, "status": str(ready), "lastTransitionTime": now()}
            for kind in ("Ready", "ContainersReady")
        ]
        running = {"running": {"startedAt": now()}}
        ended = {"waiting": {"reason": "CrashLoopBackOff"}}
        container = {
            "name": self.container["name"],
            "image": self.container["image"],
            "imageID": "",
            "ready": ready,
            "restartCount": self.restarts,
            "state": running if self.process and self.process.returncode is None else ended,
        }
        status = {
            "phase": "Running",
            "podIP": self.address,
            "podIPs": [{"ip": self.address}],
            "hostIP": "127.0.0.1",
            "startTime": self.started,
            "conditions": conditions,
            "containerStatuses": [container],
        }
        notes = {"process": str(self.process.pid if self.process else 0)}
        body = json.dumps({"metadata": {"annotations": notes}}).encode()
        await self.api.patch(self.path, content=body, headers=MERGE)
        body = json.dumps({"status": status}).encode()
        await self.api.patch(f"{self.path}/status", content=body, headers=MERGE)

    async def end(self) -> None:
        """End the process: SIGTERM, and SIGKILL after the grace period."""
        process = self.process
        if process is None or process.returncode is not None:
            return
        grace_s = self.pod["spec"].get("terminationGracePeriodSeconds", 30)
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), min(grace_s, GRACE_S))
            except TimeoutError:
                process.kill()
                await process.wait()

    async def take_away(self) -> None:
        """Delete the pod for good, if it is still this one."""
        uid = {"uid": self.pod["metadata"]["uid"]}
        gone = {"gracePeriodSeconds": 0, "preconditions": uid}
        await self.api.request("DELETE", self.path, json=gone)

    def environment(self) -> dict[str, str]:
        """Return the container's environment, with the downward API's fields of a pod."""
        meta = self.pod["metadata"]
        fields = {
            "metadata.name": meta["name"],
            "metadata.namespace": meta["namespace"],
            "status.podIP": self.address,
        }
        found = {}
        for one in self.container.get("env", ()):
            path = ((one.get("valueFrom") or {}).get("fieldRef") or {}).get("fieldPath")
            found[one["name"]] = fields[path] if path else one.get("value", "")
        return found


class Kubelet:
    """All pods of a cluster."""

    def __init__(self, api: httpx2.AsyncClient, network: str, logs: Path) -> None:
        self.api, self.network, self.logs = api, network, logs
        self.places = itertools.cycle(range(1, 255))
        self.running: dict[str, Running] = {}
        self.tasks: set[asyncio.Task[None]] = set()

    async def work(self) -> None:
        """Follow the pods until cancelled."""
        node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}}
        await self.api.post("/api/v1/nodes", json=node)
        while True:
            try:
                await self.watch()
            except (httpx2.HTTPError, OSError, ValueError) as error:
                print("watch", repr(error), flush=True)
                await asyncio.sleep(0.2)

    async def watch(self) -> None:
        """Follow one watch: it begins with all pods that there are."""
        query = {"watch": "1", "timeoutSeconds": "300"}
        async with self.api.stream("GET", "/api/v1/pods", params=query, timeout=None) as answer:
            async for line in answer.aiter_lines():
                event = json.loads(line)
                if event["type"] == "ERROR":
                    return
                self.heard(event["type"], event["object"])

    def heard(self, kind: str, pod: Mapping[str, Any]) -> None:
        meta = pod["metadata"]
        known = self.running.get(meta["uid"])
        if known is not None:
            if kind == "DELETED" or meta.get("deletionTimestamp"):
                known.unwanted.set()
            return
        command = pod["spec"]["containers"][0].get("command")
        if kind == "DELETED" or not command or meta.get("deletionTimestamp"):
            return
        one = Running(self.api, dict(pod), self.address(), self.logs)
        self.running[meta["uid"]] = one
        task = asyncio.create_task(self.kept(meta["uid"], one))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def kept(self, uid: str, one: Running) -> None:
        """Run one to its end, and forget it."""
        try:
            await one.run()
        except Exception as error:  # noqa: BLE001 - one pod's trouble is not the others'
            print(one.path, repr(error), flush=True)
            await one.end()
        finally:
            self.running.pop(uid, None)

    def address(self) -> str:
        taken = {one.address for one in self.running.values()}
        free = (f"{self.network}.{place}" for place in self.places)
        return next(address for address in free if address not in taken)

    async def end(self) -> None:
        """End every process at once."""
        for one in self.running.values():
            if one.process is not None and one.process.returncode is None:
                one.process.kill()


async def main(said: argparse.Namespace) -> None:
    """Work until told to end."""
    token = said.token_file.read_text(encoding="ascii").strip()
    over = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, over.set)
    async with httpx2.AsyncClient(
        base_url=said.api,
        verify=ssl.create_default_context(cafile=said.ca),
        headers={"authorization": f"Bearer {token}"},
        timeout=30.0,
        trust_env=False,
        limits=httpx2.Limits(max_connections=None),
    ) as api:
        kubelet = Kubelet(api, said.network, said.logs)
        work = asyncio.create_task(kubelet.work())
        await asyncio.wait(
            (work, asyncio.create_task(over.wait())), return_when=asyncio.FIRST_COMPLETED
        )
        await kubelet.end()
        if work.done():
            work.result()
        work.cancel()


if __name__ == "__main__":
    words = argparse.ArgumentParser()
    words.add_argument("--api", required=True)
    words.add_argument("--ca", required=True, type=Path)
    words.add_argument("--token-file", required=True, type=Path)
    words.add_argument("--network", required=True)
    words.add_argument("--logs", required=True, type=Path)
    asyncio.run(main(words.parse_args()))
