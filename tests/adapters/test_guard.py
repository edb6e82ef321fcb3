"""Every client of an adapter judges where it connects; no other way out is left open."""

import ast
import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

import homeostat
from homeostat.adapters._cluster import Access as ClusterAccess
from homeostat.adapters._cluster import Cluster, ClusterError
from homeostat.adapters._guard import NotReachedError, base_url, kept_secret, new_client
from homeostat.adapters.actuators.envoy import EnvoyActuator, EnvoyConfig
from homeostat.adapters.actuators.kubernetes import KubernetesConfig
from homeostat.adapters.actuators.kubernetes import build as kubernetes
from homeostat.adapters.actuators.process import ProcessActuator, ProcessConfig
from homeostat.adapters.sources.probe import Prober, ProbeSettings
from homeostat.adapters.sources.scrape import Scrape, ScrapeSettings
from homeostat.base.errors import ActuatorError
from homeostat.base.ports import Actuator, Source
from homeostat.base.units import SECOND, TimeNs
from homeostat.server.labelling import Labelling
from homeostat.testing.hostile import always, hostile_server, response

SRC = Path(homeostat.__file__).parent
NOW = TimeNs(1_000 * SECOND)
METADATA = "http://169.254.169.254"

# Whatever opens a connection, and who may: all others ask these.
OPENS = {
    "AsyncClient",
    "AsyncHTTPTransport",
    "HTTPTransport",
    "create_connection",
    "open_connection",
    "urlopen",
    "HTTPConnection",
    "HTTPSConnection",
}
MAY = {
    "adapters/_guard.py": "judges",
    "adapters/actuators/_haproxy_socket.py": "judges; no HTTP",
}
NOT_ADAPTERS = ("cli/client.py", "demo/", "testing/")  # the operator's own words; our own servers


def _opened(tree: ast.AST) -> Iterator[str]:
    """Yield what is called that opens a connection."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
            name = node.func.id if isinstance(node.func, ast.Name) else name
            whose = ast.unparse(node.func).partition(".")[0]
            verbs = {"get", "post", "put", "patch", "delete", "request", "stream"}
            if name in OPENS or (whose == "httpx2" and name in verbs | {"Client"}):
                yield name


def test_nothing_connects_but_through_what_judges() -> None:
    opens = {
        file.relative_to(SRC).as_posix(): found
        for file in SRC.rglob("*.py")
        if (found := set(_opened(ast.parse(file.read_text(encoding="utf-8")))))
    }
    others = {file: found for file, found in opens.items() if not file.startswith(NOT_ADAPTERS)}
    assert set(others) == set(MAY) & set(opens), others
    assert "adapters/_guard.py" in others  # the search finds what it looks for


def _resolve(*addresses: str) -> Any:
    async def resolve(_host: str, _port: int) -> list[str]:
        return list(addresses)

    return resolve


@pytest.mark.parametrize(
    "addresses",
    [
        ["169.254.169.254"],
        ["127.0.0.1", "169.254.169.254"],
        ["fd00:ec2::254"],
        ["64:ff9b::a9fe:a9fe"],
        ["::ffff:169.254.169.254"],
        ["224.0.0.1"],
        [],
    ],
)
async def test_a_name_is_judged_by_all_of_its_addresses(addresses: list[str]) -> None:
    async with new_client(resolve=_resolve(*addresses)) as client:
        with pytest.raises(NotReachedError, match=r"refused|no address"):
            await client.get("http://inner.example/")


SPELT = [
    "169.254.169.254", "2852039166", "0xa9fea9fe", "0xa9.0xfe.0xa9.0xfe", "0251.0376.0251.0376",
    "169.254.43518", "169.16689662", "169.254.169.254.", "[::ffff:169.254.169.254]",
    "[::ffff:a9fe:a9fe]", "[64:ff9b::a9fe:a9fe]", "[2002:a9fe:a9fe::1]", "[fd00:ec2::254]",
    "[fe80::1]", "[::169.254.169.254]", "100.100.100.200", "168.63.129.16", "0.0.0.0", "[::]", "0",
]  # fmt: skip


@pytest.mark.parametrize("host", SPELT)
async def test_however_it_is_spelt_nothing_is_sent_there(host: str) -> None:
    sent: list[str] = []

    async def send(_self: Any, request: httpx2.Request) -> httpx2.Response:
        sent.append(request.url.host)
        return httpx2.Response(200)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(httpx2.AsyncHTTPTransport, "handle_async_request", send)
        async with new_client() as client:
            with pytest.raises((NotReachedError, httpx2.InvalidURL)):
                await client.get(f"http://{host}/latest/meta-data")
    assert sent == []


async def test_a_private_address_is_reached_under_its_own_name() -> None:
    async with hostile_server(always(response(b"yes"))) as server:
        async with new_client(resolve=_resolve("127.0.0.1")) as client:
            answer = await client.post(f"http://inner.example:{server.port}//x?a=1", content=b"b")
        (request,) = server.requests
    assert (answer.status_code, answer.content) == (200, b"yes")
    assert request.startswith(b"POST //x?a=1 HTTP/1.1\r\n")
    assert f"host: inner.example:{server.port}\r\n".encode() in request.lower()
    assert request.endswith(b"\r\n\r\nb")


async def test_a_host_that_is_not_at_its_first_address_is_asked_at_its_next() -> None:
    resolve = _resolve("::1", "127.0.0.1")
    async with (
        hostile_server(always(response(b"yes"))) as server,
        new_client(resolve=resolve) as client,
    ):
        answer = await client.get(f"http://inner.example:{server.port}/")
    assert answer.content == b"yes"


async def test_a_name_that_does_not_resolve_was_sent_nothing() -> None:
    async def resolve(_host: str, _port: int) -> list[str]:
        raise socket.gaierror(-2, "Name or service not known")

    async with new_client(resolve=resolve) as client:
        with pytest.raises(httpx2.ConnectError, match="does not resolve"):
            await client.get("http://nobody.example/")


async def test_each_adapter_that_takes_an_address_refuses_the_metadata_service() -> None:
    made: list[Actuator] = [
        EnvoyActuator(EnvoyConfig(url=METADATA)),
        ProcessActuator(ProcessConfig(url=METADATA)),
        kubernetes(KubernetesConfig(url=METADATA, namespace="ml", deployment="chat")),
    ]
    for actuator in made:
        with pytest.raises(ActuatorError, match="link-local or metadata"):
            await actuator.read("m", NOW)
        await actuator.close()
    usual = {"name": "s", "deployment": "m", "subject": "replica:a-1", "timeout_s": 5.0}
    scrape = {**usual, "url": f"{METADATA}/metrics", "mapping": "vllm"}
    probe = {**usual, "url": METADATA, "model": "m", "features": (1.0,)}
    sources: list[Source] = [
        Scrape(ScrapeSettings.model_validate(scrape)),
        Prober(ProbeSettings.model_validate(probe)),
    ]
    for source in sources:
        report = await source.observe(NOW)
        assert "link-local or metadata" in report.detail
        await source.close()
    labels = Labelling("m")
    labels._addresses = ("169.254.169.254:80",)
    assert "link-local or metadata" in (await labels.observe(NOW)).detail
    await labels.close()
    cluster = Cluster(ClusterAccess(url=METADATA))
    with pytest.raises(ClusterError, match="link-local or metadata"):
        await asyncio.to_thread(cluster.get, "/api")


@pytest.mark.parametrize(
    "url", ["https://h/?x=", "https://h?x", "https://h/#f", "https://a@h/", "x"]
)
def test_an_address_that_would_swallow_a_path_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"address"):
        base_url(url)


@pytest.mark.parametrize(
    "host", ["prometheus", "10.0.0.1", "127.0.0.1.example", "localhost.example"]
)
def test_a_secret_is_not_said_in_the_clear(host: str) -> None:
    with pytest.raises(ValueError, match="needs https"):
        kept_secret(f"http://{host}:9090", None, Path("token"))
    kept_secret(f"https://{host}:9090", Path("token"))
    kept_secret(f"http://{host}:9090", None, None)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.1.2.3", "[::1]"])
def test_to_this_machine_it_may_be_said(host: str) -> None:
    kept_secret(f"http://{host}:9090", Path("token"))


async def test_a_page_that_is_none_is_not_repeated() -> None:
    said = []
    for body in (b"s3cret\n", b"s3cret word\n", b"s3cret} x y z\n", b"a 1\na 1\n"):
        async with hostile_server(always(response(body, content_type="text/plain"))) as server:
            source = Scrape(
                ScrapeSettings(
                    name="s",
                    url=server.url("/metrics"),
                    deployment="m",
                    subject="gateway",
                    timeout_s=30.0,
                    mapping="vllm",
                )
            )
            said.append((await source.observe(NOW)).detail)
            await source.close()
    assert not any("s3cret" in one for one in said), said
    assert all("line " in one for one in said), said
