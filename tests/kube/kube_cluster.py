"""Starts a real Kubernetes control plane, and speaks to it as its administrator would.

etcd, kube-apiserver with RBAC, the controllers that matter here, and `process_kubelet`, each on
free ports of loopback. Nothing of it is a container.
"""

import asyncio
import contextlib
import itertools
import json
import os
import shutil
import ssl
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "demo"))
import host_harness as harness

sys.path.insert(0, str(Path(__file__).parent))
import kube_binaries

START_S: Final = 90.0  # 7 s of an idle machine
SOON_S: Final = 30.0
BYE_S: Final = 1.0  # until the far end of TLS says that it has closed
ADMIN: Final = "an-administrator"
CONTROLLERS: Final = (
    "deployment", "replicaset", "endpoint", "endpointslice", "disruption", "garbagecollector",
    "horizontalpodautoscaling", "namespace",
)  # fmt: skip
MERGE: Final = "application/merge-patch+json"
APPLY: Final = "application/apply-patch+yaml"
Object = dict[str, Any]
Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]
_numbers = itertools.count(1)


@dataclass
class Kube:
    """A cluster that runs.

    Attributes:
        folder: Its certificate, tokens and logs.
        port: The API server's.
        processes: What it is made of, by name.
    """

    folder: Path
    port: int
    processes: "dict[str, subprocess.Popen[bytes]]" = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._client: httpx2.Client | None = None

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    @property
    def ca(self) -> Path:
        return self.folder / "pki" / "apiserver.crt"

    def token_file(self, token: str = ADMIN) -> Path:
        """Return a file that holds a token."""
        found = self.folder / f"token-{abs(hash(token)):x}"
        found.write_text(f"{token}\n", encoding="ascii")
        return found

    def ask(
        self,
        method: str,
        path: str,
        body: Object | None = None,
        *,
        token: str = ADMIN,
        kind: str = "",
    ) -> tuple[int, Object]:
        """Return status and object of one request.

        Args:
            method: HTTP's.
            path: With its query.
            body: What is sent; a merge patch for PATCH unless `kind` says otherwise.
            token: Who asks.
            kind: The content type.
        """
        headers = {"authorization": f"Bearer {token}"}
        if body is not None:
            headers["content-type"] = kind or (MERGE if method == "PATCH" else "application/json")
        sent = None if body is None else json.dumps(body).encode()
        said = self.client().request(method, path, content=sent, headers=headers)
        plain = not said.headers.get("content-type", "").startswith("application/json")
        return said.status_code, {"message": said.text} if plain else said.json()

    def serves(self, path: str) -> bool:
        return self.ask("GET", path)[0] == 200

    def get(self, path: str) -> Object:
        return self._done("GET", path, None)

    def create(self, path: str, obj: Object) -> Object:
        return self._done("POST", path, obj)

    def patch(self, path: str, change: Object, *, manager: str = "kubectl-edit") -> Object:
        return self._done("PATCH", f"{path}?fieldManager={manager}", change)

    def apply(self, path: str, obj: Object, *, manager: str) -> Object:
        """Apply on the server's side, as `kubectl apply --server-side` does."""
        query = f"?fieldManager={manager}&force=true"
        return self._done("PATCH", path + query, obj, kind=APPLY)

    def status(self, path: str, status: Object) -> Object:
        """Write an object's status as its controller would."""
        return self._done("PATCH", f"{path}/status", {"status": status})

    def delete(self, path: str) -> None:
        self._done("DELETE", path, None)

    def namespace(self) -> str:
        """Return a new namespace of its own."""
        name = f"ml-{os.getpid()}-{next(_numbers)}"
        self.create("/api/v1/namespaces", {"metadata": {"name": name}})
        return name

    def until(self, holds: Callable[[], bool], what: str, within_s: float = SOON_S) -> None:
        end = time.monotonic() + within_s
        while not holds():
            self.alive()
            assert time.monotonic() < end, f"not within {within_s:g} s: {what}"
            time.sleep(0.05)

    def alive(self) -> None:
        """Fail with its last words if a part has ended."""
        for name, process in self.processes.items():
            assert process.poll() is None, f"{name} ended: {self.words(name)}"

    def words(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")[-3000:]

    def trusted(self) -> ssl.SSLContext:
        """Return the context of TLS that trusts its certificate and no other."""
        return ssl.create_default_context(cafile=self.ca)

    def client(self) -> httpx2.Client:
        if self._client is None:
            self._client = httpx2.Client(
                base_url=self.url,
                verify=self.trusted(),
                timeout=30.0,
                trust_env=False,
            )
        return self._client

    def close(self) -> None:
        if self._client is not None:
            self._client.close()

    def _done(self, method: str, path: str, body: Object | None, *, kind: str = "") -> Object:
        status, said = self.ask(method, path, body, kind=kind)
        assert status in {200, 201, 202}, (method, path, status, said)
        return said


@contextmanager
def running_kube(folder: Path) -> Iterator[Kube]:
    """Run a cluster in an empty folder; its logs lie there afterwards."""
    if why := kube_binaries.missing():
        pytest.skip(why)
    first = harness.free_block(4)
    made = Kube(folder, first)
    (folder / "pki").mkdir()
    (folder / "pods").mkdir()
    key = folder / "pki" / "accounts.key"
    subprocess.run(
        ["openssl", "genrsa", "-out", str(key), "2048"], check=True, capture_output=True, timeout=60
    )
    (folder / "tokens.csv").write_text(f'{ADMIN},admin,1,"system:masters"\n', encoding="ascii")
    try:
        _start(made, "etcd", _etcd(folder, first + 1))
        _start(made, "kube-apiserver", _apiserver(made, first + 1, key))
        made.until(lambda: _is_ready(made), "an API server", START_S)
        _start(made, "kube-controller-manager", _controllers(made, first + 3))
        _start(made, "kubelet", _kubelet(made))
        yield made
    finally:
        for process in reversed(made.processes.values()):
            process.terminate()
            try:
                process.wait(timeout=20.0)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(timeout=20.0)
        made.close()
        shutil.rmtree(folder / "etcd", ignore_errors=True)


def _start(made: Kube, name: str, command: list[str]) -> None:
    with (made.folder / f"{name}.log").open("wb") as log:
        made.processes[name] = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=made.folder
        )


def _etcd(folder: Path, port: int) -> list[str]:
    mine, peers = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{port + 1}"
    return [
        str(shutil.which("etcd")),
        f"--data-dir={folder / 'etcd'}",
        f"--listen-client-urls={mine}",
        f"--advertise-client-urls={mine}",
        f"--listen-peer-urls={peers}",
        f"--initial-advertise-peer-urls={peers}",
        f"--initial-cluster=default={peers}",
        "--unsafe-no-fsync",  # nothing of it is to outlive the machine
    ]


def _apiserver(made: Kube, etcd: int, key: Path) -> list[str]:
    return [
        str(kube_binaries.folder() / "kube-apiserver"),
        f"--etcd-servers=http://127.0.0.1:{etcd}",
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        f"--secure-port={made.port}",
        f"--cert-dir={made.folder / 'pki'}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={key}",
        f"--service-account-signing-key-file={key}",
        f"--token-auth-file={made.folder / 'tokens.csv'}",
        "--authorization-mode=RBAC",
        "--service-cluster-ip-range=10.96.0.0/24",
        # No pod here mounts an account's token, and nobody makes the Secrets that it waits for.
        "--disable-admission-plugins=ServiceAccount",
        "--enable-priority-and-fairness=false",
        "--endpoint-reconciler-type=none",
    ]


def _controllers(made: Kube, port: int) -> list[str]:
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": "c",
                "cluster": {"server": made.url, "certificate-authority": str(made.ca)},
            }
        ],
        "users": [{"name": "u", "user": {"token": ADMIN}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    file = made.folder / "kubeconfig"
    file.write_text(json.dumps(config), encoding="utf-8")  # JSON is YAML
    return [
        str(kube_binaries.folder() / "kube-controller-manager"),
        f"--kubeconfig={file}",
        f"--controllers={','.join(CONTROLLERS)}",
        "--leader-elect=false",
        "--bind-address=127.0.0.1",
        f"--secure-port={port}",
        "--port=0",
        f"--cert-dir={made.folder / 'pki-controllers'}",
        "--horizontal-pod-autoscaler-sync-period=1s",
        "--kube-api-qps=100",
        "--kube-api-burst=200",
    ]


def _kubelet(made: Kube) -> list[str]:
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])
    return [
        sys.executable,
        str(Path(__file__).with_name("process_kubelet.py")),
        f"--api={made.url}",
        f"--ca={made.ca}",
        f"--token-file={made.token_file()}",
        f"--network=127.{64 + worker % 64}.{os.getpid() % 255}",
        f"--logs={made.folder / 'pods'}",
    ]


def _is_ready(made: Kube) -> bool:
    if not made.ca.exists():
        return False
    headers = {"authorization": f"Bearer {ADMIN}"}
    with contextlib.suppress(httpx2.HTTPError, OSError, ssl.SSLError):
        return made.client().get("/readyz", headers=headers).status_code == 200
    return False


@asynccontextmanager
async def in_the_clear(made: Kube) -> AsyncIterator[int]:
    """Serve the API server without TLS on a port of loopback, as `kubectl proxy` does.

    Byte for byte, for the conformance kit, whose wire reads what passes. Who asks still says so.
    """
    trusted = made.trusted()
    open_now: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        open_now.add(task)
        task.add_done_callback(open_now.discard)
        with contextlib.suppress(OSError, ssl.SSLError, asyncio.CancelledError):
            up_reader, up = await asyncio.open_connection("127.0.0.1", made.port, ssl=trusted)
            await exchange((reader, writer), (up_reader, up))
        writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()
        for task in tuple(open_now):
            task.cancel()
        await asyncio.gather(*open_now, return_exceptions=True)
        await server.wait_closed()


async def exchange(near: Ends, far: Ends) -> None:
    """Pass everything on between two connections until one ends; close the far one in any case."""
    both = (asyncio.create_task(pump(near[0], far[1])), asyncio.create_task(pump(far[0], near[1])))
    try:
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    finally:  # cancelled in the midst of any wait, too: so it is closed before the next one
        far[1].close()
        for one in both:
            one.cancel()
        try:
            with contextlib.suppress(OSError, ssl.SSLError, TimeoutError):
                await asyncio.wait_for(far[1].wait_closed(), BYE_S)
        finally:
            far[1].transport.abort()
            await asyncio.gather(*both, return_exceptions=True)


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError, ssl.SSLError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
