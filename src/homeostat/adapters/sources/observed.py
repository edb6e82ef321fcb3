"""The replicas of a deployment that is only watched, as its Prometheus shows them.

A target that is scraped is a replica, and its label is its name. Prometheus says that a scrape
failed, not why: such a replica counts as there, and its silence is for the senses to judge.
Nothing can be changed through this: every write is refused before anything is sent.
"""

import math
from collections.abc import Mapping
from typing import Any, Final, Self

from pydantic import Field, model_validator

from homeostat.adapters.sources.prometheus_access import Access
from homeostat.adapters.sources.prometheus_answer import QueryError, Series
from homeostat.adapters.sources.prometheus_api import PrometheusApi
from homeostat.adapters.sources.prometheus_select import matchers, selector
from homeostat.base import names
from homeostat.base.errors import ActuatorError
from homeostat.base.intent import Intent, Receipt, ReceiptStatus
from homeostat.base.ports import Capabilities
from homeostat.base.units import SECOND, TimeNs
from homeostat.base.world import Replica, ReplicaState, Snapshot, Stamp

UP: Final = "up"
STARTED: Final = "process_start_time_seconds"
MEMORY: Final = "process_resident_memory_bytes"
_SAME_START_S: Final = 5.0  # starts are rounded differently by different clients
_MOST: Final = 10_000  # replicas of one deployment


class ObservedSettings(Access):
    """Where the replicas are read; hashable, as every part's settings."""

    select: tuple[tuple[str, str], ...] = Field(min_length=1, description="Labels of the series.")
    replica_label: str = Field(
        pattern=r"^[a-zA-Z_]\w{0,99}$", description="Label with a replica's name."
    )
    pool: str = Field(min_length=1, description="The pool that they serve in.")

    @model_validator(mode="after")
    def _selects_something(self) -> Self:
        matchers(dict(self.select))
        return self


class ObservedWorld:
    """Reads one deployment and changes nothing. See `homeostat.base.ports.Actuator`."""

    def __init__(self, settings: ObservedSettings, **outside: Any) -> None:
        self._settings = settings
        self._api = PrometheusApi(settings, **outside)
        self._query = selector([UP, STARTED, MEMORY], dict(settings.select))
        self._lives: dict[str, tuple[float, int]] = {}

    @property
    def name(self) -> str:
        """The name under which the core knows it."""
        return names.OBSERVED

    def capabilities(self) -> Capabilities:
        """Say that nothing can be set."""
        owner = "whoever runs it: Homeostat only watches"
        return Capabilities(compare_and_set=False, fencing=False, levers=(), owner=owner)

    async def read(self, deployment: str, now: TimeNs) -> Snapshot:
        """Return the replicas that are scraped, and how many there are.

        Raises:
            ActuatorError: The server does not answer, or scrapes nothing of the deployment.
        """
        try:
            answer = (await self._api.instant(self._query, at=now)).whole(self._api.where)
        except QueryError as error:
            raise ActuatorError(f"{self.name}: {error}") from error
        found = _by_replica(answer.series, self._settings.replica_label)
        if not found or len(found) > _MOST:
            raise ActuatorError(
                f"{self.name}: {self._api.where} scrapes {len(found)} targets with a label "
                f"{self._settings.replica_label!r} of {{{matchers(dict(self._settings.select))}}}; "
                "check select and replicaLabel"
            )
        pool = self._settings.pool
        self._lives = {name: self._life(name, said) for name, said in found.items()}
        return Snapshot(
            deployment=deployment,
            observed_at=now,
            replicas=tuple(self._replica(name, found[name]) for name in sorted(found)),
            releases=(),
            levers=((names.lever_replicas(pool), len(found)),),
            stamps=(Stamp(actuator=self.name, token=None, intent=None, epoch=None),),
        )

    async def apply(self, intent: Intent, now: TimeNs) -> Receipt:
        """Refuse: nothing is sent."""
        return Receipt(
            intent_id=intent.id,
            status=ReceiptStatus.NOT_APPLIED,
            at=now,
            token=None,
            detail="the deployment is only watched (target.observe): nothing was sent",
            conflict=False,
        )

    async def close(self) -> None:
        """Release connections."""
        await self._api.close()

    def _life(self, name: str, said: Mapping[str, float]) -> tuple[float, int]:
        """Return when a replica's process began (0: nobody says) and the number of that process."""
        began, number = self._lives.get(name, (0.0, 1))
        now = said.get(STARTED, 0.0)
        if began and now > began + _SAME_START_S:
            return now, number + 1
        return began or now, number

    def _replica(self, name: str, said: Mapping[str, float]) -> Replica:
        began, number = self._lives[name]
        memory = said.get(MEMORY)
        return Replica(
            name=name,
            pool=self._settings.pool,
            version=None,
            state=ReplicaState.READY,
            incarnation=number,
            started_at=TimeNs(round(began * SECOND)) if began else None,
            memory_bytes=None if memory is None else round(memory),
        )


def _by_replica(series: tuple[Series, ...], label: str) -> dict[str, dict[str, float]]:
    """Return what each replica's series say: the newest start, the most memory; no number is none.

    What has no `up` is no target any more: its series are what is left of it.
    """
    found: dict[str, dict[str, float]] = {}
    for one in series:
        name = one.labels.get(label, "")
        value = one.samples[-1][1] if one.samples else math.nan
        if name and math.isfinite(value) and value >= 0.0:
            said = found.setdefault(name, {})
            said[one.name] = max(said.get(one.name, 0.0), value)
    return {name: said for name, said in found.items() if UP in said}


__all__ = ["ObservedSettings", "ObservedWorld"]
