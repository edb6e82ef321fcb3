"""The pages for kubelets and scrapers: three of them, without credentials, and nothing behind."""

from types import SimpleNamespace
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI, Request, Response

from homeostat.base.errors import ConfigError
from homeostat.server import open_pages

TOKEN = "t" * 43


def inner(seen: list[Any]) -> FastAPI:
    app = FastAPI()

    @app.get("/metrics")
    async def metrics(request: Request) -> Response:
        seen.append(dict(request.headers))
        return Response("homeostat_decisions_total 1\n", media_type="text/plain; version=1.0.0")

    return app


def client(ready: tuple[bool, str], seen: list[Any]) -> httpx2.AsyncClient:
    app = open_pages.create_pages(inner(seen), TOKEN, lambda: ready)
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://10.0.0.7")


async def test_the_metrics_are_the_apis_own_whatever_the_caller_sends() -> None:
    seen: list[Any] = []
    async with client((True, "leads"), seen) as browser:
        found = await browser.get(
            "/metrics?name[]=x", headers={"authorization": "Bearer stolen", "cookie": "a=b"}
        )
    assert (found.status_code, found.text) == (200, "homeostat_decisions_total 1\n")
    assert found.headers["content-type"] == "text/plain; version=1.0.0; charset=utf-8"
    assert seen == [{"host": "localhost", "authorization": f"Bearer {TOKEN}"}]
    assert TOKEN not in found.text + str(found.headers)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/v1/deployments"),
        ("GET", "/v1/me"),
        ("GET", "/openapi.json"),
        ("GET", "/metrics/../v1/me"),
        ("GET", "//metrics"),
        ("POST", "/metrics"),
        ("POST", "/v1/freeze"),
        ("PUT", "/readyz"),
        ("DELETE", "/livez"),
    ],
)
async def test_nothing_else_is_there(method: str, path: str) -> None:
    seen: list[Any] = []
    async with client((True, "leads"), seen) as browser:
        found = await browser.request(method, path)
    assert found.status_code in {404, 405}
    assert seen == []


@pytest.mark.parametrize(
    ("epoch", "leader", "status", "text"),
    [
        (0, "", 503, "nobody knows yet who leads"),
        (0, "pod-b:1", 200, "standby; pod-b:1 leads"),
        (7, "pod-a:1", 200, "leads under epoch 7"),
    ],
)
async def test_ready_is_who_knows_its_place(
    epoch: int, leader: str, status: int, text: str
) -> None:
    runtime: Any = SimpleNamespace(epoch=epoch)
    lead: Any = SimpleNamespace(leader=leader)
    async with client(open_pages.place(runtime, lead), []) as browser:
        found = await browser.get("/readyz")
        alive = await browser.get("/livez")
    assert (found.status_code, found.text) == (status, f"{text}\n")
    assert alive.status_code == 200


async def test_it_is_served_where_it_is_said_and_nowhere_else() -> None:
    async with open_pages.served(inner([]), TOKEN, lambda: (True, "leads"), None) as url:
        assert url == ""
    with pytest.raises(ConfigError, match="no address of this machine"):
        async with open_pages.served(inner([]), TOKEN, lambda: (True, ""), ("192.0.2.1", 7374)):
            pass


@pytest.mark.live
async def test_a_scraper_on_another_address_reads_it() -> None:
    where = ("127.0.0.2", 0)
    async with (
        open_pages.served(inner([]), TOKEN, lambda: (True, "leads"), where) as url,
        httpx2.AsyncClient() as browser,
    ):
        assert (await browser.get(f"{url}/metrics")).status_code == 200
