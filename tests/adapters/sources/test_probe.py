"""The prober: a failed probe is an observation, never a gap."""

import asyncio
import json
import math

import pytest
from pydantic import ValidationError

from homeostat.adapters.sources.probe import ProbeSettings, build
from homeostat.base import names, raw
from homeostat.base.evidence import Quality, SourceReport
from homeostat.base.units import TimeNs, ns
from homeostat.testing.hostile import HostileServer, Respond, hostile_server, never, response
from homeostat.testing.source import check_source

NOW = TimeNs(1_800_000_000_000_000_000)


def settings(url: str, **more: object) -> ProbeSettings:
    base: dict[str, object] = {
        "name": "probe-a-1", "url": url, "deployment": "credit", "subject": "replica:a-1",
        "model": "credit", "features": (1.0, 2.5), "timeout_s": 0.2,
    }  # fmt: skip
    return ProbeSettings.model_validate(base | more)


def server(*, ready: bytes | None = None, answer: bytes | None = None, hang: str = "") -> Respond:
    ready = response(b"") if ready is None else ready
    answer = inference("0.25") if answer is None else answer

    async def respond(request: bytes, writer: asyncio.StreamWriter) -> None:
        path = "health" if b"/health/" in request.partition(b"\r\n")[0] else "infer"
        if hang in {path, "both"}:
            await never(request, writer)
        writer.write(ready if path == "health" else answer)

    return respond


def inference(number: str) -> bytes:
    body = f'{{"outputs":[{{"name":"p","shape":[1,1],"datatype":"FP64","data":[{number}]}}]}}'
    return response(body.encode(), content_type="application/json")


async def probed(respond: Respond, **more: object) -> tuple[SourceReport, HostileServer]:
    async with hostile_server(respond) as target:
        conf = settings(target.url(), **more)
        report = await check_source(lambda: build(conf), now=NOW, within_s=conf.timeout_s)
    return report, target


def values(report: SourceReport) -> dict[str, float]:
    return {o.key.signal: o.value for o in report.observations}


async def test_a_well_replica_passes_both_probes() -> None:
    report, target = await probed(server())
    seen = values(report)
    assert report.quality is Quality.GOOD
    assert (seen[names.PROBE_HEALTH], seen[names.PROBE_INFERENCE]) == (1.0, 1.0)
    assert 0.0 < seen[names.PROBE_LATENCY] < 200.0
    assert seen[raw.PROBES_ANSWERED] == 2.0  # the kit runs two rounds
    assert target.connections == 4  # one a probe, none shared
    infer = next(r for r in target.requests if r.startswith(b"POST /v2/models/credit/infer"))
    assert b"x-homeostat-probe: 1" in infer.lower()
    question = json.loads(infer.partition(b"\r\n\r\n")[2])
    assert question["inputs"][0]["shape"] == [1, 2]
    assert question["inputs"][0]["data"] == [1.0, 2.5]


@pytest.mark.parametrize(
    ("respond", "health", "inferred", "answered"),
    [
        (server(ready=response(b"", status=503)), 0.0, 1.0, 2.0),
        (server(answer=response(b"", status=500)), 1.0, 0.0, 2.0),
        (server(answer=response(b"", status=302, extra="location: /\r\n")), 1.0, 0.0, 2.0),
        (server(hang="infer"), 1.0, 0.0, 0.0),
        (server(hang="health"), 0.0, 1.0, 2.0),
        (server(hang="both"), 0.0, 0.0, 0.0),
        (server(answer=b"garbage\r\n\r\n"), 1.0, 0.0, 0.0),
        (server(answer=response(b"x" * 100_000)), 1.0, 0.0, 0.0),
    ],
)
async def test_a_failed_probe_is_a_zero_of_good_quality(
    respond: Respond, health: float, inferred: float, answered: float
) -> None:
    report, _ = await probed(respond)
    seen = values(report)
    assert report.quality is Quality.GOOD
    assert (seen[names.PROBE_HEALTH], seen[names.PROBE_INFERENCE]) == (health, inferred)
    assert seen[raw.PROBES_ANSWERED] == answered
    assert report.detail
    assert "passed" not in report.detail


@pytest.mark.parametrize(
    "number",
    ["null", "NaN", "Infinity", "1e999", "true", '"0.5"', "[0.5]", "0.11", "0.91", "9" * 400],
)
async def test_a_wrong_answer_fails_the_inference(number: str) -> None:
    report, _ = await probed(server(answer=inference(number)), expect_low=0.2, expect_high=0.8)
    assert values(report)[names.PROBE_INFERENCE] == 0.0
    assert "inference: answered" in report.detail


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"outputs":[]}', b"[" * 9999, b"\xff"])
async def test_an_answer_of_another_shape_fails_the_inference(body: bytes) -> None:
    report, _ = await probed(server(answer=response(body)))
    assert values(report)[names.PROBE_INFERENCE] == 0.0


@pytest.mark.parametrize("number", ["0.2", "0.8", "0"])
async def test_edges_of_the_range_are_right(number: str) -> None:
    low = min(float(number), 0.2)
    report, _ = await probed(server(answer=inference(number)), expect_low=low, expect_high=0.8)
    assert values(report)[names.PROBE_INFERENCE] == 1.0


async def test_a_replica_that_is_gone_is_never_fast() -> None:
    async with hostile_server(never) as gone:
        url = gone.url()
    report = await check_source(lambda: build(settings(url)), now=NOW, within_s=0.2)
    seen = values(report)
    assert (seen[names.PROBE_HEALTH], seen[names.PROBE_INFERENCE]) == (0.0, 0.0)
    assert seen[names.PROBE_LATENCY] == 200.0


async def test_the_witness_counts_on_and_keeps_its_epoch() -> None:
    async with hostile_server(server()) as target:
        prober = build(settings(target.url()))
        rounds = [await prober.observe(TimeNs(NOW + ns(n))) for n in range(3)]
        await prober.close()
    counted = [next(o for o in r.observations if o.le is None and o.epoch) for r in rounds]
    assert [o.value for o in counted] == [1.0, 2.0, 3.0]
    assert {o.epoch for o in counted} == {NOW / 1e9}


@pytest.mark.parametrize(
    "wrong",
    [
        {"features": ()},
        {"features": (math.nan,)},
        {"expect_low": 2.0, "expect_high": 1.0},
        {"model": "../../admin"},
        {"url": "http://user@h/"},
    ],
)
def test_wrong_settings_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        settings(**({"url": "http://h/"} | wrong))  # type: ignore[arg-type]
