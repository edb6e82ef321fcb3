"""`POST /v1/judge`: the same judge for others, whole or by status alone; it fails closed."""

from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from starlette.responses import Response

from homeostat.base.units import SECOND, TimeNs
from homeostat.server.api.judge_body import ConfigBody, SampleBody
from homeostat.server.api.judge_desk import KEPT_MAX, Desk
from homeostat.server.people import DAY_NS, Role, Roster, add
from homeostat.server.people_file import People, editing

GOOD = (1000, 10, 1000, 10)
BAD = (1000, 60, 1000, 10)
NAMES = ("canary_total", "canary_bad", "stable_total", "stable_bad")
BEGAN_S = 1_700_000_000
FLAGGER = {"phase": "Progressing", "checksum": "85d557f47b", "buildId": "7", "iterations": 3}


def samples(bucket: tuple[float, ...], minutes: int, first: int = 0) -> list[dict[str, Any]]:
    """Return counters that grow by a bucket a minute."""
    return [
        {"t": BEGAN_S + 60 * m, **{name: m * one for name, one in zip(NAMES, bucket, strict=True)}}
        for m in range(first, first + minutes)
    ]


@pytest.fixture
def ask(bench: Any, client: TestClient) -> Any:
    """Ask at the moment of the newest sample at the earliest, `later` seconds on."""

    def post(later: float = 0.0, **body: Any) -> Response:
        newest = max((row["t"] for row in body.get("samples", ())), default=0)
        bench.now = TimeNs(max(bench.now, newest * SECOND) + int(later * SECOND))
        answer: Any = client.post("/v1/judge", json=body, headers=bench.auth)
        return answer  # type: ignore[no-any-return]  # httpx's, which has the same fields

    return post


def test_samples_in_the_body_are_judged_and_forgotten(ask: Any, bench: Any) -> None:
    found = ask(samples=samples(BAD, 20)).json()
    assert (found["verdict"], found["harm"], found["certified"]) == ("harm", True, False)
    assert found["counted"] == 20
    assert found["metrics"][0]["ratio"] == pytest.approx(6.0)
    assert ask(samples=samples(GOOD, 40)).json()["certified"] is True
    assert not bench.submitted


def test_samples_under_a_name_add_up_and_are_counted_once(ask: Any) -> None:
    first = ask(name="ml/fraud-v2", samples=samples(GOOD, 10)).json()
    again = ask(name="ml/fraud-v2", samples=samples(GOOD, 12)).json()
    assert (first["counted"], again["counted"]) == (10, 2)
    assert again["buckets"] == 11
    by_parts = ask(namespace="ml", name="fraud-v2", samples=samples(GOOD, 28, 12)).json()
    assert by_parts["name"] == "ml/fraud-v2"
    whole = ask(samples=samples(GOOD, 40)).json()
    assert by_parts["age_s"] == 0.0
    assert by_parts | {"name": None, "counted": 40, "age_s": None} == whole


@pytest.mark.parametrize(
    ("bucket", "certified", "no_harm", "back"),
    [(GOOD, 200, 200, 403), (BAD, 403, 403, 200), ((10, 0, 10, 0), 403, 200, 403)],
)
def test_flagger_reads_the_status_alone(
    ask: Any, bucket: Any, certified: int, no_harm: int, back: int
) -> None:
    ask(name="podinfo", namespace="test", samples=samples(bucket, 40))
    wanted = {"certified": certified, "no_harm": no_harm, "return_traffic": back}
    for wish, status in wanted.items():
        call = {"name": "podinfo", "namespace": "test", **FLAGGER, "metadata": {"require": wish}}
        answer = ask(**call)
        assert answer.status_code == status, wish
        if status == 403:
            assert len(answer.json()["detail"]) > 20  # Flagger shows it in its events


def test_a_canary_that_nobody_knows_is_no_yes(ask: Any) -> None:
    ask(name="fraud-v2", samples=samples(GOOD, 2))
    answer = ask(name="fraud-v3", require="certified")
    assert answer.status_code == 404
    assert "fraud-v2" in answer.json()["fix"]


@pytest.mark.parametrize(("later", "certified"), [(0, 200), (300, 200), (301, 403), (86_400, 403)])
def test_a_certificate_has_an_age_and_an_old_one_is_none(
    ask: Any, later: int, certified: int
) -> None:
    ask(name="a", samples=samples(GOOD, 60))
    assert ask(later, name="a", require="certified").status_code == certified
    found = ask(name="a").json()
    assert found["age_s"] == later
    assert found["certified"] is (certified == 200)
    if certified == 403:
        assert (found["verdict"], found["harm"], found["return_traffic"]) == (
            "no_evidence", False, True,
        )  # fmt: skip
        assert f"{later} s old, more than 300 s" in found["because"][0]
        assert ask(name="a", require="no_harm").status_code == 403


def test_harm_does_not_age(ask: Any) -> None:
    ask(name="a", samples=samples(BAD, 20))
    assert ask(86_400, name="a").json()["verdict"] == "harm"


def test_what_was_sent_before_makes_a_certificate_no_younger(ask: Any) -> None:
    ask(name="a", samples=samples(GOOD, 60))
    again = ask(400, name="a", samples=samples(GOOD, 60)).json()
    assert (again["counted"], again["certified"], again["age_s"]) == (0, False, 400.0)


def test_a_log_that_is_pushed_hours_later_says_nothing_of_now(ask: Any) -> None:
    late = ask(7200, name="a", samples=samples(GOOD, 60)).json()
    assert (late["counted"], late["verdict"], late["age_s"]) == (60, "no_evidence", 7200.0)


def test_the_next_version_inherits_no_certificate_after_a_silence(ask: Any) -> None:
    ask(name="a", samples=samples(GOOD, 60))
    next_one = samples(GOOD, 2, 120)
    refused = ask(name="a", samples=next_one)
    assert refused.status_code == 409
    assert "for 3660 s, more than 300 s" in refused.json()["detail"]
    assert "begin" in refused.json()["fix"]
    assert ask(name="a", require="certified").status_code == 403
    anew = ask(name="a", samples=next_one, begin=True).json()
    assert (anew["verdict"], anew["buckets"]) == ("undecided", 1)


def test_how_old_is_too_old_is_what_the_canary_began_with(ask: Any) -> None:
    ask(name="a", samples=samples(GOOD, 60), config={"missing_buckets": 1})
    assert ask(60, name="a").json()["certified"] is True
    assert ask(1, name="a").json()["verdict"] == "no_evidence"
    ask(name="b", samples=samples(GOOD, 60), config={"missing_buckets": 0})
    assert ask(1, name="b").json()["verdict"] == "no_evidence", "pushed an hour after it began"


def test_one_sample_is_no_verdict(ask: Any) -> None:
    assert ask(samples=samples(GOOD, 1)).status_code == 409
    assert ask(name="a", samples=samples(GOOD, 1)).status_code == 409
    assert ask(name="a", samples=samples(GOOD, 1, 1)).status_code == 200  # the first was kept


def test_a_canary_keeps_the_configuration_it_began_with(ask: Any) -> None:
    strict = {"alpha": 0.01}
    ask(name="a", samples=samples(GOOD, 5), config=strict)
    assert ask(name="a", samples=samples(GOOD, 6)).json()["threshold"] == pytest.approx(100.0)
    assert ask(name="a", samples=samples(GOOD, 7), config={}).status_code == 409
    anew = ask(name="a", samples=samples(GOOD, 7), config={}, begin=True).json()
    assert (anew["threshold"], anew["counted"]) == (pytest.approx(20.0), 7)


def test_histograms_are_compared(ask: Any) -> None:
    rows = samples(GOOD, 30)
    for m, row in enumerate(rows):
        canary, stable = [700 * m, 900 * m, 1000 * m], [900 * m, 980 * m, 1000 * m]
        row["histograms"] = {"ms": {"bounds": [100, 250], "canary": canary, "stable": stable}}
    found = ask(samples=rows).json()
    assert found["harm"] is True
    assert [one["metric"] for one in found["metrics"]] == ["errors", "ms"]


def test_null_is_unknown_and_never_zero(ask: Any) -> None:
    rows = samples(GOOD, 10)
    rows[4] |= {"canary_total": None, "canary_bad": None}
    found = ask(samples=rows).json()
    assert (found["buckets"], found["metrics"][0]["stable"]["total"]) == (7, 7000.0)


ROW = samples(GOOD, 1)[0]
ODD_BOUNDS = {"bounds": [2, 1], "canary": [1, 1, 1], "stable": [1, 1, 1]}
SHORT = {"bounds": [1], "canary": [1], "stable": [1, 1]}


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({}, "neither samples nor the name"),
        ({"samples": [ROW, ROW]}, "ascend"),
        ({"name": "a", "samples": [ROW, ROW]}, "ascend"),
        ({"samples": [{"t": 1}]}, "canary_total"),
        ({"samples": [ROW | {"canary_totl": 1}]}, "canary_totl"),
        ({"samples": [ROW], "config": {"alpha": 0}}, "alpha"),
        ({"samples": [ROW], "config": {"bucket_s": 0}}, "bucket_ns"),
        ({"samples": [ROW], "config": {"margin": 0.5}}, "margin"),
        ({"samples": [ROW | {"histograms": {"ms": ODD_BOUNDS}}]}, "ascend"),
        ({"samples": [ROW | {"histograms": {"ms": SHORT}}]}, "1 numbers at 1 bounds"),
        ({"samples": [ROW], "require": "luck"}, "require"),
        ({"name": "a", "metadata": {"require": "luck"}}, "luck"),
        ({"name": "../a"}, "name"),
    ],
)
def test_what_cannot_be_judged_is_named(ask: Any, body: Any, says: str) -> None:
    answer = ask(**body)
    assert answer.status_code == 422
    assert says in answer.json()["detail"]


def test_a_viewer_may_ask_and_only_an_operator_may_keep(bench: Any, tmp_path: Path) -> None:
    file, tokens = tmp_path / "people.json", {}
    roster: Roster = ()
    for role in (Role.VIEWER, Role.OPERATOR):
        roster, tokens[role] = add(
            roster, name=role.word, role=role, now=bench.now, lasts_ns=DAY_NS, by="a test"
        )
    with editing(file) as write:
        write(roster)
    with TestClient(bench.app(people=People(file))) as client:

        def post(role: Role, **body: Any) -> int:
            headers = {"authorization": f"Bearer {tokens[role]}"}
            status: int = client.post("/v1/judge", json=body, headers=headers).status_code
            return status

        assert post(Role.VIEWER, samples=samples(GOOD, 3)) == 200
        assert post(Role.VIEWER, name="a", samples=samples(GOOD, 3)) == 403
        assert post(Role.OPERATOR, name="a", samples=samples(GOOD, 3)) == 200
        assert post(Role.VIEWER, name="a") == 200


def test_the_desk_is_bounded_and_forgets_who_was_asked_about_longest_ago() -> None:
    config = ConfigBody.model_validate({}).config({})
    readings = [SampleBody.model_validate(row).reading() for row in samples(GOOD, 2)]
    desk = Desk()
    now = readings[-1].at
    for number in range(KEPT_MAX):
        desk.add(f"c{number}", readings[:1], config, now, anew=False, said=False)
    assert desk.ask("c0") is not None
    desk.add("one more", readings, config, now, anew=False, said=False)
    assert len(desk.names()) == KEPT_MAX
    assert desk.ask("c1") is None
    assert desk.ask("c0") is not None
