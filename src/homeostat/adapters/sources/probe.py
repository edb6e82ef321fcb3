"""Active probes of one replica: is it ready, and does it still answer a question right?

Speaks the Open Inference Protocol v2: `GET /v2/health/ready`, and one canned inference whose answer
must be a finite number, in a range if one is given. Every probe opens its own connection, so that
neither a full connection pool nor a stuck one is shared with traffic. A failed probe is an
observation (value 0): only a prober that could not even try would report nothing.
"""

import asyncio
import json
import math
import time
from dataclasses import dataclass
from typing import Annotated, Any, Final, Self

import httpx2
from pydantic import BaseModel, ConfigDict, Field, model_validator

from homeostat.adapters.sources._fetch import Answer, HttpUrl, RefusedError, fetch, new_client
from homeostat.base import names, raw
from homeostat.base.evidence import Kind, Observation, Quality, SeriesKey, SourceReport
from homeostat.base.part import Part
from homeostat.base.units import MILLISECOND, SECOND, TimeNs

_HEADERS: Final = {
    "accept": "application/json",
    "accept-encoding": "gzip",
    "user-agent": "homeostat",
    "x-homeostat-probe": "1",  # lets a server keep probes out of its prediction statistics
}
_ANSWER_MAX: Final = 64 * 1024  # one number in its envelope is under 1 KiB
_INPUT: Final = "features"


class ProbeSettings(BaseModel):
    """Settings of one replica's probes; hashable, so that an unchanged source can be kept."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1, description="The source's name.")
    url: HttpUrl = Field(description="The replica, http(s)://HOST:PORT, without a path.")
    deployment: str = Field(min_length=1, description="The managed model's name.")
    subject: str = Field(min_length=1, description="The replica: replica:a-1.")
    model: str = Field(pattern=r"^[\w.\-]{1,100}$", description="The model's name on the server.")
    features: tuple[float, ...] = Field(min_length=1, description="The canned input, one row.")
    timeout_s: Annotated[float, Field(gt=0, le=60)] = Field(
        description="Deadline of each probe, in seconds; both run at once."
    )
    expect_finite: bool = Field(default=True, description="The answer must be a finite number.")
    expect_low: float | None = Field(default=None, description="Smallest right answer.")
    expect_high: float | None = Field(default=None, description="Largest right answer.")

    @model_validator(mode="after")
    def _numbers_make_sense(self) -> Self:
        if not all(math.isfinite(feature) for feature in self.features):
            raise ValueError("features must be finite numbers; JSON has no others")
        low, high = self.expect_low, self.expect_high
        if low is not None and high is not None and not low <= high:
            raise ValueError(f"expect_low {low} is above expect_high {high}; swap them")
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class _Probe:
    """What one probe found: a failed one says why."""

    passed: bool
    answered: bool
    elapsed_ms: float
    why: str = ""


class Prober:
    """The probes of one replica. See `homeostat.base.ports.Source`."""

    def __init__(
        self, settings: ProbeSettings, *, client: httpx2.AsyncClient | None = None
    ) -> None:
        self._settings = settings
        self._client = client or new_client(keep_alive=False)
        self._owns_client = client is None
        self._answered = 0
        self._epoch: float | None = None

    @property
    def name(self) -> str:
        """The source's name in the configuration."""
        return self._settings.name

    async def observe(self, now: TimeNs) -> SourceReport:
        """Probe once, health and inference side by side; failures are observations."""
        if self._epoch is None:
            self._epoch = now / SECOND
        started = time.monotonic_ns()
        health, inference = await asyncio.gather(self._health(), self._inference())
        self._answered += inference.answered
        why = [
            f"{what}: {p.why}"
            for what, p in (("health", health), ("inference", inference))
            if p.why
        ]
        return SourceReport(
            source=self.name,
            at=TimeNs(now + time.monotonic_ns() - started),
            observations=(
                self._seen(names.PROBE_HEALTH, float(health.passed), now),
                self._seen(names.PROBE_INFERENCE, float(inference.passed), now),
                self._seen(names.PROBE_LATENCY, inference.elapsed_ms, now),
                self._seen(raw.PROBES_ANSWERED, float(self._answered), now, Kind.COUNTER),
            ),
            subjects=(self._settings.subject,),
            quality=Quality.GOOD,
            detail="; ".join(why) or f"passed in {inference.elapsed_ms:.1f} ms",
        )

    async def close(self) -> None:
        """Release connections, unless they are shared."""
        if self._owns_client:
            await self._client.aclose()

    def _seen(self, signal: str, value: float, now: TimeNs, kind: Kind = Kind.GAUGE) -> Observation:
        settings = self._settings
        return Observation(
            source=self.name,
            key=SeriesKey(deployment=settings.deployment, subject=settings.subject, signal=signal),
            kind=kind,
            value=value,
            observed_at=now,
            epoch=self._epoch if kind is Kind.COUNTER else None,
        )

    async def _health(self) -> _Probe:
        return await self._ask("GET", "/v2/health/ready", None)

    async def _inference(self) -> _Probe:
        settings = self._settings
        question = {
            "id": "homeostat-probe",
            "inputs": [
                {
                    "name": _INPUT,
                    "shape": [1, len(settings.features)],
                    "datatype": "FP64",
                    "data": list(settings.features),
                }
            ],
        }
        return await self._ask("POST", f"/v2/models/{settings.model}/infer", question)

    async def _ask(self, method: str, path: str, question: Any) -> _Probe:
        settings = self._settings
        started = time.monotonic_ns()
        try:
            answer = await fetch(
                self._client,
                self._client.build_request(
                    method, settings.url.rstrip("/") + path, headers=_HEADERS, json=question
                ),
                timeout_s=settings.timeout_s,
                max_bytes=_ANSWER_MAX,
            )
        except RefusedError as refused:
            # No answer: the latency is at least the deadline; a quick refusal is not a fast answer.
            return _Probe(
                passed=False,
                answered=False,
                elapsed_ms=settings.timeout_s * 1000.0,
                why=str(refused),
            )
        elapsed_ms = (time.monotonic_ns() - started) / MILLISECOND
        why = _wrong(answer, settings) if question is not None else _not_ok(answer)
        return _Probe(passed=not why, answered=True, elapsed_ms=elapsed_ms, why=why)


def _not_ok(answer: Answer) -> str:
    return "" if answer.status == httpx2.codes.OK else f"status {answer.status}"


def _wrong(answer: Answer, settings: ProbeSettings) -> str:
    """Return what is wrong with an inference's answer, empty if nothing is."""
    if why := _not_ok(answer):
        return why
    try:
        said = json.loads(answer.body)["outputs"][0]["data"][0]
    except (ValueError, KeyError, IndexError, TypeError, RecursionError):
        return "the answer is not an inference response"
    if said is None and not settings.expect_finite:
        return ""
    if isinstance(said, bool) or not isinstance(said, int | float):
        return f"answered {said!r:.40}, not a number"
    try:
        said = float(said)
    except OverflowError:  # JSON integers have no end
        said = math.inf
    if settings.expect_finite and not math.isfinite(said):
        return f"answered {said}, not a finite number"
    if settings.expect_low is not None and not said >= settings.expect_low:
        return f"answered {said:g}, below {settings.expect_low:g}"
    if settings.expect_high is not None and not said <= settings.expect_high:
        return f"answered {said:g}, above {settings.expect_high:g}"
    return ""


def build(settings: ProbeSettings, *, client: httpx2.AsyncClient | None = None) -> Prober:
    """Return a prober; a shared `client` stays the caller's to close and must not keep alive."""
    return Prober(settings, client=client)


PART = Part(
    kind="source",
    name="probe",
    summary="Asks one replica whether it is ready, and one canned question.",
    config=ProbeSettings,
    build=build,
)
