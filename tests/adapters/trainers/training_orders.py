"""An order and a mark that the tests of trainers share, and a server that answers anything."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx2

from homeostat.base.training import LineageState, TrainingOrder, VersionMark
from homeostat.base.units import HOUR, SECOND, TimeNs, ns

NOW = TimeNs(1_800_000_000 * SECOND)
ORDER = TrainingOrder(
    key="fraud-d-0007-1800000000",
    intent_id="d-0007.0.0",
    deployment="fraud",
    action_id="d-0007",
    incident_id="i-0003",
    at=NOW,
    reason=("inputs moved",),
    approvers=("ada", "grace"),
    data_from=TimeNs(NOW - 24 * HOUR),
    data_to=NOW,
    parent="16",
    epoch=3,
    deadline=TimeNs(NOW + ns(0.3)),
    due=TimeNs(NOW + 24 * HOUR),
)
MARK = VersionMark(
    id="fraud-d-0007-1800000000.mark.1",
    key=ORDER.key,
    deployment="fraud",
    version="17",
    verdict=LineageState.PROMOTED,
    reason="not worse than 1.2 times",
    deadline=TimeNs(NOW + ns(0.3)),
    alias_from="16",
    alias_to="17",
)


def order(**changes: Any) -> TrainingOrder:
    return replace(ORDER, **changes)


class Answers:
    """A server made of functions from a request to a status and a body."""

    def __init__(self, answer: Callable[[httpx2.Request], tuple[int, Any]]) -> None:
        self.answer = answer
        self.requests: list[httpx2.Request] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        status, said = self.answer(request)
        body = said if isinstance(said, bytes) else json.dumps(said).encode()
        return httpx2.Response(status, stream=httpx2.ByteStream(body))

    @property
    def writes(self) -> list[httpx2.Request]:
        reads = ("/runs/search",)
        return [
            one for one in self.requests if one.method != "GET" and not one.url.path.endswith(reads)
        ]


def client(answers: Answers) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(transport=httpx2.MockTransport(answers))


async def resolve(_host: str, _port: int) -> list[str]:
    return ["93.184.216.34"]


async def resolve_inside(_host: str, _port: int) -> list[str]:
    return ["169.254.169.254"]
