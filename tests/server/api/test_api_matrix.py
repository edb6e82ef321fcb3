"""Every route, every kind of caller: a route that is not in the table fails the test."""

import itertools
import json
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from starlette.responses import Response
from starlette.routing import Route

READS = {
    "/": "/",
    "/approvals": "/approvals",
    "/audit": "/audit",
    "/d/{name}": "/d/credit",
    "/d/{name}/{decision_id}": "/d/credit/d-0001",
    "/favicon.ico": "/favicon.ico",
    "/metrics": "/metrics",
    "/policy": "/policy",
    "/openapi.json": "/openapi.json",
    "/v1/actions": "/v1/actions?deployment=credit&limit=5",
    "/v1/alerts": "/v1/alerts?deployment=credit",
    "/v1/audit": "/v1/audit?kind=person&words=x",
    "/v1/autonomy": "/v1/autonomy",
    "/v1/decisions": "/v1/decisions?pending=true",
    "/v1/decisions/{decision_id}": "/v1/decisions/d-0001",
    "/v1/deployments": "/v1/deployments",
    "/v1/deployments/{name}": "/v1/deployments/credit?recent=3",
    "/v1/deployments/{name}/feedback": "/v1/deployments/credit/feedback",
    "/v1/deployments/{name}/lineage": "/v1/deployments/credit/lineage",
    "/v1/deployments/{name}/series": "/v1/deployments/credit/series?signal=latency_p95_ms",
    "/v1/events": "/v1/events",  # never ends: see test_api_stream
    "/v1/health": "/v1/health",
    "/v1/incidents": "/v1/incidents",
    "/v1/policies": "/v1/policies",
    "/v1/shared": "/v1/shared",
}
OF_THE_TOKEN = "/v1/me"  # needs one always: see test_api_roles
CHANGES: dict[str, tuple[str, dict[str, object], int]] = {
    "/v1/decisions/{decision_id}/approve": ("/v1/decisions/d-0002/approve", {}, 202),
    "/v1/decisions/{decision_id}/reject": ("/v1/decisions/d-0002/reject", {"why": "no"}, 202),
    "/v1/decisions/{decision_id}/undo": ("/v1/decisions/d-0001/undo", {"by": "ada"}, 202),
    "/v1/deployments/{name}/canary": ("/v1/deployments/credit/canary", {"why": "v3"}, 202),
    "/v1/deployments/{name}/autonomy": (
        "/v1/deployments/credit/autonomy",
        {"kind": "restart_replica", "given": False, "why": "no"},
        202,
    ),
    "/v1/deployments/{name}/confirm": (
        "/v1/deployments/credit/confirm",
        {"incident": "i-0001", "real": True, "family": "replica"},
        202,
    ),
    "/v1/deployments/{name}/feedback/reset": (
        "/v1/deployments/credit/feedback/reset",
        {"why": "a new model"},
        202,
    ),
    "/v1/deployments/{name}/normal": (
        "/v1/deployments/credit/normal",
        {"incident": "i-0001", "why": "a new release"},
        202,
    ),
    "/v1/deployments/{name}/mode": ("/v1/deployments/credit/mode", {"mode": "shadow"}, 202),
    "/v1/freeze": ("/v1/freeze", {"level": "no_new"}, 200),
    "/v1/labels": ("/v1/labels", {"labels": [{"prediction_id": "p-1", "label": 1}]}, 200),
}
SAMPLES = [
    {"t": t, "canary_total": t, "canary_bad": 0, "stable_total": t, "stable_bad": 0}
    for t in (0, 60)
]
ASKS: dict[str, tuple[str, dict[str, object], int]] = {  # with a token, and change nothing
    "/v1/judge": ("/v1/judge", {"samples": SAMPLES}, 200),
    "/v1/alerts": ("/v1/alerts", {"version": "4", "status": "firing", "alerts": []}, 200),
}
CONTENT = {"content-type": "application/json"}
CALLERS: dict[str, tuple[dict[str, str], int | None]] = {
    "nobody": ({**CONTENT}, 401),
    "wrong token": ({**CONTENT, "authorization": "Bearer " + "x" * 43}, 401),
    "empty token": ({**CONTENT, "authorization": "Bearer "}, 401),
    "token as basic": ({**CONTENT, "authorization": "Basic TOKEN"}, 401),
    "odd bytes": ({**CONTENT, "authorization": "Bearer \udcff\udc80"}, 401),
    "token": ({**CONTENT, "authorization": "Bearer TOKEN"}, None),
    "token, own page": (
        {**CONTENT, "authorization": "bearer TOKEN", "origin": "http://testserver"},
        None,
    ),
    "token, other page": (
        {**CONTENT, "authorization": "Bearer TOKEN", "origin": "https://evil.example"},
        403,
    ),
    "token, null origin": ({**CONTENT, "authorization": "Bearer TOKEN", "origin": "null"}, 403),
    "token, same host other port": (
        {**CONTENT, "authorization": "Bearer TOKEN", "origin": "http://testserver:81"},
        403,
    ),
    "token, cross-site fetch": (
        {**CONTENT, "authorization": "Bearer TOKEN", "sec-fetch-site": "cross-site"},
        403,
    ),
    "token, form": (
        {"authorization": "Bearer TOKEN", "content-type": "application/x-www-form-urlencoded"},
        415,
    ),
    "token, no type": ({"authorization": "Bearer TOKEN", "content-type": ""}, 415),
    "token, compressed": (
        {**CONTENT, "authorization": "Bearer TOKEN", "content-encoding": "gzip"},
        415,
    ),
    "token, foreign host": (
        {**CONTENT, "authorization": "Bearer TOKEN", "host": "rebound.example"},
        421,
    ),
}


def routes(app: FastAPI) -> set[tuple[str, str]]:
    """Return every (method, path) the application answers."""
    found = set()
    for path, item in app.openapi()["paths"].items():
        found |= {(method.upper(), path) for method in item}
    for route in app.routes:
        if isinstance(route, Route) and not getattr(route, "include_in_schema", True):
            found |= {(method, route.path) for method in route.methods or ()}
    return {(method, path) for method, path in found if method != "HEAD"}


def test_every_route_is_in_the_table(bench: Any) -> None:
    wanted = {("GET", path) for path in (*READS, OF_THE_TOKEN)} | {
        ("POST", path) for path in (*CHANGES, *ASKS)
    }
    assert routes(bench.app()) == wanted


@pytest.mark.parametrize("path", [p for p in READS if p != "/v1/events"])
def test_reads_need_no_token_and_only_a_host_of_ours(client: TestClient, path: str) -> None:
    answer = client.get(READS[path], follow_redirects=False)
    assert answer.status_code in {200, 301}
    assert client.get(READS[path], headers={"host": "rebound.example"}).status_code == 421
    assert client.get(READS[path], headers={"host": "10.0.0.8:7373"}).status_code in {200, 301}


@pytest.mark.parametrize(("caller", "path"), list(itertools.product(CALLERS, [*CHANGES, *ASKS])))
def test_a_change_is_open_only_to_the_token_from_our_own_pages(
    bench: Any, client: TestClient, caller: str, path: str
) -> None:
    headers, expected = CALLERS[caller]
    url, body, accepted = (CHANGES | ASKS)[path]
    raw = {
        k.encode(): v.replace("TOKEN", bench.token).encode("utf-8", "surrogateescape")
        for k, v in headers.items()
    }
    answer = client.post(url, content=json.dumps(body).encode(), headers=raw)
    assert answer.status_code == (expected or accepted), answer.text
    done = bool(bench.submitted or bench.thrown or bench.labels)
    assert done is (expected is None and path in CHANGES)
    if expected is not None:
        problem = answer.json()
        assert answer.headers["content-type"] == "application/problem+json"
        assert problem["status"] == expected
        assert problem["fix"]
        assert bench.token not in answer.text


@pytest.mark.parametrize("path", CHANGES)
def test_a_read_only_server_changes_nothing_for_anybody(bench: Any, path: str) -> None:
    url, body, _ = CHANGES[path]
    with TestClient(bench.app(read_only=True)) as client:
        answer = client.post(url, json=body, headers=bench.auth)
    assert answer.status_code == 403
    assert not (bench.submitted)
    assert not (bench.thrown)
    assert not (bench.labels)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"])
@pytest.mark.parametrize(
    "path", [*READS.values(), "/nowhere", "/static/console.css", "/static/../../app.py"]
)
def test_no_method_but_get_passes_without_the_token(
    shared: TestClient, method: str, path: str
) -> None:  # fmt: skip
    assert shared.request(method, path).status_code == 401


def all_answers(bench: Any, client: TestClient) -> dict[str, Response]:
    """One answer of each kind, by a name."""
    app = bench.app()

    async def broken() -> None:
        raise RuntimeError("planted")

    app.add_api_route("/broken", broken)
    answers: dict[str, Any] = {
        path: client.get(url, follow_redirects=False)
        for path, url in READS.items()
        if path != "/v1/events"
    }
    for path, (url, body, _) in CHANGES.items():
        answers[f"POST {path}"] = client.post(url, json=body, headers=bench.auth)
        answers[f"401 {path}"] = client.post(url, json=body)
    with TestClient(app, raise_server_exceptions=False) as breaking:
        answers["500"] = breaking.get("/broken")
    answers["404"] = client.get("/nowhere")
    answers["404 page"] = client.get("/d/nobody")
    answers["404 static"] = client.get("/static/nothing.js")
    answers["static"] = client.get("/static/console.css")
    answers["405"] = client.post("/v1/health", json={}, headers=bench.auth)
    answers["421"] = client.get("/", headers={"host": "rebound.example"})
    answers["422"] = client.get("/v1/deployments/UPPER")
    return answers


def test_every_answer_carries_the_headers_and_no_cookie(bench: Any, client: TestClient) -> None:
    policy = (
        "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "object-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'"
    )
    for name, answer in all_answers(bench, client).items():
        headers = answer.headers
        assert headers.get("content-security-policy") == policy, name
        assert headers.get("x-content-type-options") == "nosniff", name
        assert headers.get("referrer-policy") == "no-referrer", name
        assert headers.get("cache-control") == ("no-cache" if name == "static" else "no-store"), (
            name
        )
        assert "set-cookie" not in headers, name
        assert "access-control-allow-origin" not in headers, name
        assert "server" not in headers, name


def test_every_error_is_a_problem_that_says_what_to_do(bench: Any, client: TestClient) -> None:
    answers: Any = all_answers(bench, client)
    for name in ("404", "405", "421", "422", "500"):
        answer = answers[name]
        problem = answer.json()
        assert answer.status_code == int(name)
        assert set(problem) == {"type", "title", "status", "detail", "fix"}, name
        assert problem["status"] == int(name)
        assert len(problem["fix"]) > 10, name
        assert "planted" not in answer.text  # an exception's text is for the log
