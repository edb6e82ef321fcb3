"""Every route, every role: who may do what is a table, and the server keeps to it."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from starlette.routing import Mount, Route

from homeostat.base.policy import Mode
from homeostat.base.units import SECOND
from homeostat.server.api import roles
from homeostat.server.people import DAY_NS, Role, Roster, add, revoke
from homeostat.server.people_file import People, editing, read

SAMPLES = [
    {"t": t, "canary_total": t, "canary_bad": 0, "stable_total": t, "stable_bad": 0}
    for t in (0, 60)
]
BODIES: dict[str, dict[str, object]] = {
    "POST /v1/alerts": {"version": "4", "status": "firing", "alerts": []},
    "POST /v1/deployments/{name}/autonomy": {
        "kind": "restart_replica",
        "given": False,
        "why": "no",
    },
    "POST /v1/deployments/{name}/confirm": {"incident": "i-0001", "real": False},
    "POST /v1/deployments/{name}/feedback/reset": {"why": "a new model"},
    "POST /v1/deployments/{name}/normal": {"incident": "i-0001", "why": "a new release"},
    "POST /v1/deployments/{name}/mode": {"mode": "shadow"},
    "POST /v1/freeze": {"level": "nothing"},
    "POST /v1/judge": {"samples": SAMPLES},
    "POST /v1/labels": {"labels": []},
}
# Where one route asks more of a caller for one thing than for another: the thing, and who may.
SPLITS: dict[str, tuple[str, dict[str, object], Role]] = {
    "to let a kind run unasked": (
        "POST /v1/deployments/{name}/autonomy",
        {"kind": "restart_replica", "given": True, "why": "seen"},
        Role.ADMIN,
    ),
    "more autonomy": ("POST /v1/deployments/{name}/mode", {"mode": "auto"}, Role.APPROVER),
    "to lift the kill switch": ("POST /v1/freeze", {"level": "off"}, Role.APPROVER),
    "to keep a canary's counters": (
        "POST /v1/judge",
        {"name": "mine", "samples": SAMPLES},
        Role.OPERATOR,
    ),
}
FILLED = {"{name}": "credit", "{path:path}": "console.css"}
CHANGES = {"POST"}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "people.json"


@pytest.fixture
def tokens(bench: Any, file: Path) -> dict[Role, str]:
    """Add one person of each role; returns their tokens."""
    made: dict[Role, str] = {}
    roster: Roster = ()
    for role in Role:
        roster, made[role] = add(
            roster, name=role.word, role=role, now=bench.now, lasts_ns=DAY_NS, by="a test"
        )
    with editing(file) as write:
        write(roster)
    return made


@pytest.fixture
def client(bench: Any, file: Path, tokens: dict[Role, str]) -> Iterator[TestClient]:
    with TestClient(bench.app(people=People(file)), follow_redirects=False) as made:
        yield made


def served(app: FastAPI) -> set[str]:
    """Return every route that the application answers, as the table writes them."""
    found = {
        f"{method.upper()} {path}"
        for path, item in app.openapi()["paths"].items()
        for method in item
    }
    for route in app.routes:
        if isinstance(route, Route) and not getattr(route, "include_in_schema", True):
            found |= {f"{method} {route.path}" for method in route.methods or ()}
        elif isinstance(route, Mount):
            found.add(f"GET {route.path}/{{path:path}}")
    return {route for route in found if not route.startswith("HEAD ")}


def url_of(route: str) -> tuple[str, str]:
    method, path = route.split(" ")
    path = path.replace("{decision_id}", "d-0001" if path.endswith("undo") else "d-0002")
    for part, value in FILLED.items():
        path = path.replace(part, value)
    return method, path


def ask(client: TestClient, route: str, token: str | None) -> int:
    method, path = url_of(route)
    headers = {} if token is None else {"authorization": f"Bearer {token}"}
    body = BODIES.get(route, {}) if method in CHANGES else None
    return int(client.request(method, path, json=body, headers=headers).status_code)


def test_every_route_has_a_least_role_and_every_role_a_route(bench: Any) -> None:
    found = served(bench.app())
    assert found - set(roles.ROUTES) == set()
    assert set(roles.ROUTES) - found == set()


def test_a_route_opens_from_its_least_role_on_and_to_nobody_below(
    bench: Any, client: TestClient, tokens: dict[Role, str]
) -> None:
    for route, least in roles.ROUTES.items():
        bench.now += SECOND  # the rate limit has its own test
        assert (ask(client, route, None) == 401) is (least is not roles.OPEN), route
        if route == "GET /v1/events":  # never ends for whoever may: see test_api_stream
            continue
        for role, token in tokens.items():
            bench.submitted.clear()
            bench.thrown.clear()
            status = ask(client, route, token)
            if least is None or role >= least:
                assert status in {200, 202, 301}, (route, role, status)
            else:
                assert (status, bench.submitted, bench.thrown) == (403, [], []), (route, role)


@pytest.mark.parametrize("thing", list(SPLITS))
@pytest.mark.parametrize("role", list(Role))
def test_what_needs_more_than_its_route_is_asked_of_every_role(
    bench: Any, client: TestClient, tokens: dict[Role, str], role: Role, thing: str
) -> None:
    route, body, least = SPLITS[thing]
    bench.level_now = bench.level_now.NOTHING
    state = bench.view.deployment("credit")
    state.managed = replace(state.managed, mode=Mode.SHADOW)
    method, path = url_of(route)
    headers = {"authorization": f"Bearer {tokens[role]}"}
    status = client.request(method, path, json=body, headers=headers).status_code
    if role >= least:
        assert status in {200, 202}
    else:
        assert (status, bench.submitted, bench.thrown) == (403, [], [])


@pytest.mark.parametrize("role", list(Role))
def test_what_is_in_no_table_is_for_an_admin_alone(
    client: TestClient, tokens: dict[Role, str], role: Role
) -> None:
    headers = {"authorization": f"Bearer {tokens[role]}"}
    refused = client.post("/v1/brand-new", json={}, headers=headers).status_code
    assert refused == (404 if role is Role.ADMIN else 403)
    assert client.get("/v1/brand-new", headers=headers).status_code == 404
    assert client.get("/v1/brand-new").status_code == 401


def test_a_page_holds_no_data_where_reading_needs_a_token(client: TestClient) -> None:
    for path in ("/", "/d/credit", "/d/no-such-deployment"):
        page = client.get(path)
        assert page.status_code == 200
        assert "latency_p95_ms" not in page.text
        assert 'href="/d/credit"' not in page.text


def test_the_shared_token_stays_an_admins(bench: Any, client: TestClient) -> None:
    assert client.get("/v1/me", headers=bench.auth).json() == {
        "name": "owner",
        "role": "admin",
        "named": False,
    }
    answer = client.post("/v1/decisions/d-0002/approve", json={"by": "ada"}, headers=bench.auth)
    assert answer.status_code == 202
    (event,) = bench.submitted
    assert (event.by, event.principal) == ("ada", "owner")


def test_reading_is_open_until_the_first_person_is_added(
    bench: Any, file: Path, tmp_path: Path
) -> None:
    late = tmp_path / "late.json"
    with TestClient(bench.app(people=People(late))) as made:
        assert made.get("/v1/deployments").status_code == 200
        assert made.get("/v1/me").status_code == 401
        with editing(late) as write:
            write(add((), name="ada", role=Role.VIEWER, now=bench.now, lasts_ns=DAY_NS, by="x")[0])
        assert made.get("/v1/deployments").status_code == 401
        late.unlink()  # nobody is left, but nobody said that all may read
        assert made.get("/v1/deployments").status_code == 401


def test_a_token_taken_back_opens_nothing_from_the_next_request_on(
    bench: Any, client: TestClient, file: Path, tokens: dict[Role, str]
) -> None:
    assert ask(client, "GET /v1/deployments", tokens[Role.VIEWER]) == 200
    with editing(file) as write:
        write(revoke(read(file), name="viewer", now=bench.now))
    assert ask(client, "GET /v1/deployments", tokens[Role.VIEWER]) == 401
    assert ask(client, "GET /v1/deployments", tokens[Role.OPERATOR]) == 200


def test_a_token_ends_when_its_time_is_over(
    bench: Any, client: TestClient, tokens: dict[Role, str]
) -> None:
    bench.now += DAY_NS
    assert ask(client, "GET /v1/deployments", tokens[Role.ADMIN]) == 401


def test_a_person_is_who_their_token_says(
    bench: Any, client: TestClient, tokens: dict[Role, str]
) -> None:
    headers = {"authorization": f"Bearer {tokens[Role.APPROVER]}"}
    path = "/v1/decisions/d-0002/approve"
    posed = client.post(path, json={"by": "admin"}, headers=headers)
    assert posed.status_code == 403
    assert "approver" in posed.json()["detail"]
    assert not bench.submitted
    assert client.post(path, json={"why": "seen"}, headers=headers).status_code == 202
    (event,) = bench.submitted
    assert (event.by, event.principal, event.why) == ("approver", "approver", "seen")
    assert event.origin == "testclient testclient"


@pytest.mark.parametrize(
    ("body", "path"),
    [({"mode": "auto"}, "/v1/deployments/credit/mode"), ({"level": "off"}, "/v1/freeze")],
)
def test_who_may_stop_may_not_therefore_start(
    bench: Any, client: TestClient, tokens: dict[Role, str], body: dict[str, str], path: str
) -> None:
    bench.level_now = bench.level_now.NOTHING
    stop = {"mode": "shadow"} if "mode" in body else {"level": "nothing"}
    operator = {"authorization": f"Bearer {tokens[Role.OPERATOR]}"}
    approver = {"authorization": f"Bearer {tokens[Role.APPROVER]}"}
    state = bench.view.deployment("credit")
    assert client.post(path, json=stop, headers=operator).status_code in {200, 202}
    bench.submitted.clear()
    bench.thrown.clear()
    if "mode" in body:
        state.managed = replace(state.managed, mode=Mode.SHADOW)
    assert client.post(path, json=body, headers=operator).status_code == 403
    assert not (bench.submitted)
    assert not (bench.thrown)
    assert client.post(path, json=body, headers=approver).status_code in {200, 202}


def test_a_person_who_asks_too_much_costs_nobody_else(
    client: TestClient, tokens: dict[Role, str]
) -> None:
    path = "GET /v1/me", "POST /v1/deployments/{name}/mode"
    busy = [ask(client, path[1], tokens[Role.OPERATOR]) for _ in range(40)]
    assert 429 in busy
    assert ask(client, path[1], tokens[Role.APPROVER]) == 202
    assert ask(client, path[0], tokens[Role.OPERATOR]) == 200


def test_a_file_that_cannot_be_trusted_opens_nothing(
    bench: Any, client: TestClient, file: Path, tokens: dict[Role, str]
) -> None:
    whole = file.read_bytes()
    file.chmod(0o622)
    assert ask(client, "GET /v1/deployments", tokens[Role.ADMIN]) == 401
    file.chmod(0o600)
    file.write_bytes(whole[:-30])
    assert ask(client, "GET /v1/deployments", tokens[Role.ADMIN]) == 401
    assert client.get("/v1/deployments", headers=bench.auth).status_code == 200
    file.write_bytes(whole)
    assert ask(client, "GET /v1/deployments", tokens[Role.ADMIN]) == 200


def test_leave_to_run_unasked_is_an_admins_to_give_and_the_policys_to_name(
    bench: Any, client: TestClient, tokens: dict[Role, str]
) -> None:
    path = "/v1/deployments/credit/autonomy"
    give = {"kind": "restart_replica", "why": "seen enough"}

    def post(role: Role, body: dict[str, Any]) -> Any:
        return client.post(path, json=body, headers={"authorization": f"Bearer {tokens[role]}"})

    assert post(Role.APPROVER, give).status_code == 403
    unnamed = post(Role.ADMIN, give | {"kind": "scale_down"})
    assert unnamed.status_code == 409
    assert "its policy names restart_replica" in unnamed.json()["detail"]
    assert post(Role.ADMIN, {"kind": "restart_replica"}).status_code == 422  # without a reason
    assert bench.submitted == []
    assert post(Role.ADMIN, give).status_code == 202
    (event,) = bench.submitted
    grant = event.grant
    assert (grant.deployment, grant.given, grant.by, grant.why) == (
        "credit", True, "admin", "seen enough",
    )  # fmt: skip
