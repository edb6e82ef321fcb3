"""Joins labels to predictions for one deployment, and reports accuracy as a source does.

Predictions are read from the replicas themselves (`GET /predictions`), labels come through the
API. Accuracy without labels is unknown, never good; it is reported with its coverage.
"""

import asyncio
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import httpx2

from homeostat.adapters._guard import new_client
from homeostat.base import names, raw
from homeostat.base.evidence import Kind, Observation, Quality, SeriesKey, SourceReport
from homeostat.base.units import MINUTE, SECOND, TimeNs
from homeostat.base.world import Snapshot
from homeostat.learn.labels import LabelJoin, LabelSeen, PredictionSeen

HORIZON_NS: Final = 1 * MINUTE  # the window over which accuracy is stated
CAPACITY: Final = 60_000  # predictions kept: 1,000 a second for the horizon, 15 MB
LABELLED_MIN: Final = 30  # fewer say nothing: a half-width of 18 points at 95 %
_TIMEOUT_S: Final = 0.5
_BYTES_MAX: Final = 4 << 20
_AHEAD_NS: Final = 10 * SECOND  # clocks of two machines; later ones would never be forgotten
_PLAIN: Final = {"accept-encoding": "identity"}  # a packed page may be a bomb
# What a page that is not as agreed may raise; the replicas' own words are never trusted.
_HOSTILE: Final = (
    httpx2.HTTPError,
    ValueError,
    KeyError,
    TypeError,
    OverflowError,
    RecursionError,
)


class Labelling:
    """One deployment's predictions and labels; also a `Source`.

    Args:
        deployment: The managed model's name.
        path: Path of the page of recent predictions on every replica.
    """

    def __init__(self, deployment: str, path: str = "/predictions") -> None:
        self._deployment, self._path = deployment, path
        self._join = LabelJoin(horizon_ns=HORIZON_NS, capacity=CAPACITY)
        self._read: dict[str, tuple[str, int]] = {}
        self._addresses: tuple[str, ...] = ()
        self._pools: dict[str, str] = {}  # of each address
        self._since = TimeNs(0)
        # Told and right, by joins that were thrown away: of all, and of each pool's predictions.
        self._before = (0, 0)
        self._before_of: dict[str, tuple[int, int]] = {}
        self._epoch: float | None = None  # since when this process counts
        self._client = new_client(keep_alive=True)

    @property
    def name(self) -> str:
        """The source's name."""
        return f"labels:{self._deployment}"

    def follow(self, world: Snapshot | None) -> None:
        """Read from the replicas that this snapshot shows."""
        if world is None:
            return
        since = max((release.since for release in world.releases), default=TimeNs(0))
        if since > self._since:
            # Accuracy is that of the versions that serve: what another one said is not theirs.
            self._since = since
            self._before, self._before_of = self._counted(), self._counted_of()
            self._join = LabelJoin(horizon_ns=HORIZON_NS, capacity=CAPACITY)
        self._addresses = tuple(r.address for r in world.replicas if r.address is not None)
        self._pools = {r.address: r.pool for r in world.replicas if r.address is not None}
        known = set(self._addresses)
        self._read = {where: at for where, at in self._read.items() if where in known}

    def add(self, rows: Sequence[Mapping[str, Any]], now: TimeNs) -> dict[str, int]:
        """Take labels as the API checked them, and say what became of them."""
        seen = [
            LabelSeen(
                id=str(row["prediction_id"]),
                label=row["label"],
                at=TimeNs(round(row["observed_at"] * SECOND)) if "observed_at" in row else now,
            )
            for row in rows
        ]
        joined = self._join.add_labels(seen)
        return {field: getattr(joined, field) for field in joined.__slots__}

    async def observe(self, now: TimeNs) -> SourceReport:
        """Read new predictions and report accuracy and coverage, if enough labels say so."""
        fetched = await asyncio.gather(*(self._fetch(one, now) for one in self._addresses))
        problems = [problem for problem in fetched if problem]
        self._join.forget(now)
        quality = self._join.window(now)
        found: list[Observation] = []
        if quality.n >= LABELLED_MIN and quality.accuracy is not None:
            found.append(self._seen(names.ACCURACY, quality.accuracy, now))
            found.append(self._seen(raw.LABELLED, float(quality.n), now))
        if quality.coverage is not None:
            found.append(self._seen(names.LABEL_COVERAGE, quality.coverage, now))
        if self._read:  # from the first page on: a count of nothing before the first label
            found += self._counters(now)
        return SourceReport(
            source=self.name,
            at=now,
            observations=tuple(found),
            subjects=(names.MODEL, *map(names.model_of, self._counted_of())),
            quality=Quality.GOOD,
            detail="; ".join(problems),
        )

    async def close(self) -> None:
        """Release connections."""
        await self._client.aclose()

    def _counters(self, now: TimeNs) -> list[Observation]:
        if self._epoch is None:
            self._epoch = now / SECOND
        counted = {names.MODEL: self._counted()}
        # One beside the other from the first page on: what a pool was never told of is a zero.
        counted |= {names.model_of(pool): two for pool, two in self._counted_of().items()}
        return [
            self._seen(name, float(value), now, subject=subject, epoch=self._epoch)
            for subject, two in counted.items()
            for name, value in zip((raw.LABELS_TOLD, raw.LABELS_RIGHT), two, strict=True)
        ]

    def _counted(self) -> tuple[int, int]:
        """Return how many labels were ever told, and how many predictions of theirs were right."""
        told, right = self._before
        return told + self._join.told, right + self._join.right

    def _counted_of(self) -> dict[str, tuple[int, int]]:
        """Return the same of each pool that was ever there, sorted."""
        now, before = self._join.by_pool, self._before_of
        pools = {pool for pool in (*self._pools.values(), *now, *before) if pool}
        none = (0, 0)
        return {
            pool: (
                now.get(pool, none)[0] + before.get(pool, none)[0],
                now.get(pool, none)[1] + before.get(pool, none)[1],
            )
            for pool in sorted(pools)
        }

    def _seen(
        self,
        signal: str,
        value: float,
        now: TimeNs,
        *,
        subject: str = names.MODEL,
        epoch: float | None = None,
    ) -> Observation:
        """Return a gauge, or with an epoch a counter that counts since then."""
        key = SeriesKey(deployment=self._deployment, subject=subject, signal=signal)
        return Observation(
            source=self.name, key=key, kind=Kind.GAUGE if epoch is None else Kind.COUNTER,
            value=value, observed_at=now, epoch=epoch,
        )  # fmt: skip

    async def _fetch(self, address: str, now: TimeNs) -> str:
        process, after = self._read.get(address, ("", 0))
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                page = await self._page(address, after)
                if page["process"] != process and after:
                    page = await self._page(address, 0)  # numbers belong to one process
            self._take(address, page, now)
        except TimeoutError:
            return f"{address}: no whole page within {_TIMEOUT_S} s"
        except _HOSTILE as error:
            return f"{address}: {error!r:.200}"
        return ""

    async def _page(self, address: str, after: int) -> dict[str, Any]:
        url, data = f"http://{address}{self._path}?after={after}", b""
        async with self._client.stream("GET", url, headers=_PLAIN) as answer:
            if answer.status_code != httpx2.codes.OK or "content-encoding" in answer.headers:
                raise ValueError(f"status {answer.status_code}, or packed though asked not to be")
            async for chunk in answer.aiter_bytes():
                data += chunk
                if len(data) > _BYTES_MAX:
                    raise ValueError(f"more than {_BYTES_MAX} bytes")
        page: dict[str, Any] = json.loads(data)
        return page

    def _take(self, address: str, page: dict[str, Any], now: TimeNs) -> None:
        rows = [dict(zip(page["columns"], row, strict=True)) for row in page["rows"]]
        pool = self._pools.get(address, "")
        seen = [_prediction(row, pool, now) for row in rows]
        last = int(rows[-1]["seq"] if rows else page["last"])
        self._join.add_predictions(one for one in seen if one.at >= self._since)
        self._read[address] = (str(page["process"]), last)


def _prediction(row: Mapping[str, Any], pool: str, now: TimeNs) -> PredictionSeen:
    """Return one row's prediction.

    Raises:
        ValueError: It has no id, or was not made before now.
    """
    made, name = row["at_ns"], row["id"]
    if not isinstance(made, int) or made > now + _AHEAD_NS or not isinstance(name, str):
        raise ValueError(f"a prediction with id {name!r:.80} and time {made!r:.80}")
    value = _number(row["prediction"])
    return PredictionSeen(id=name, prediction=value, at=TimeNs(made), pool=pool)


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else math.nan
