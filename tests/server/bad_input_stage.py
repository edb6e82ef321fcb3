"""A deployment whose pages a test can spoil, watched by the real runtime, sources, senses and loop.

Sockets are real (loopback); time is a fake clock, so that a minute of ticks takes a second.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from homeostat.adapters.sources import probe, scrape
from homeostat.base import codec
from homeostat.base.events import Command, Event, Ticked, Write
from homeostat.base.evidence import Evidence, Quality, Reading
from homeostat.base.intent import Intent, Receipt, ReceiptStatus
from homeostat.base.policy import KillLevel, Managed
from homeostat.base.ports import Capabilities, Source
from homeostat.base.units import SECOND, TimeNs
from homeostat.base.world import Snapshot, Stamp
from homeostat.demo import setup
from homeostat.demo.place import Place
from homeostat.server import config, wiring
from homeostat.server.clock import Clock
from homeostat.server.plan import PartPlan
from homeostat.server.planning import plan_of
from homeostat.server.runtime import Deployment, Runtime, Shell
from homeostat.signals.codec import encode_frame
from homeostat.testing import build
from homeostat.testing.clock import START_NS, FakeClock
from homeostat.testing.hostile import HostileServer, hostile_server, response

SLOTS = ("a-1", "a-2", "a-3", "b-1")
WARM = 15  # ticks until every baseline is learnt
RATE = 25  # requests a second and replica
Spoil = Callable[[str, bytes], bytes]
"""Gets a page's name and its honest answer, and returns what is sent."""


def honest(_: str, answer: bytes) -> bytes:
    """Send what is true."""
    return answer


@dataclass
class Serving:
    """Envoy's page, the replicas' pages and the replicas themselves, on one port.

    Attributes:
        tick: Seconds since the servers started; counters follow it.
        spoil: What becomes of the pages; nothing left of one breaks the connection.
        broken: Replicas whose probes fail.
    """

    tick: int = 100
    spoil: Spoil = honest
    broken: frozenset[str] = frozenset()

    async def respond(self, request: bytes, writer: asyncio.StreamWriter) -> None:
        path = request.split(b" ", 2)[1].decode()
        name = path.split("/")[1]
        if path.endswith("/metrics"):
            body = self.envoy() if name == "envoy" else self.replica(name)
            answer = self.spoil(name, response(body.encode()))
            if answer:
                writer.write(answer)
            else:
                writer.transport.abort()
        elif name in self.broken:
            writer.write(response(b"{}", status=503))
        elif path.endswith("/infer"):
            answer = b'{"id":"","outputs":[{"name":"probability","shape":[1,1],"data":[0.4]}]}'
            writer.write(response(answer, content_type="application/json"))
        else:
            writer.write(response(b'{"ready":true}', content_type="application/json"))

    def replica(self, name: str) -> str:
        """Return one replica's page: 25 requests a second, device time 45 ms a batch of 2."""
        n, noise = RATE * self.tick, (self.tick * 7 + hash_of(name)) % 5
        fine = n * 9 // 10 + noise
        return (
            f'ml_requests_total{{code="200"}} {n}\nml_inflight 1\nml_queue_length 0\n'
            f'ml_request_seconds_bucket{{le="0.05"}} {fine}\n'
            f'ml_request_seconds_bucket{{le="0.1"}} {n}\n'
            f'ml_request_seconds_bucket{{le="+Inf"}} {n}\nml_request_seconds_sum {n * 0.045}\n'
            f"ml_batches_total {n // 2}\nml_full_batches_total 0\nml_batch_size_sum {n}\n"
            f'ml_batch_size_bucket{{le="2.0"}} {n // 2}\n'
            f'ml_batch_size_bucket{{le="+Inf"}} {n // 2}\n'
            f"ml_device_seconds_total {n // 2 * 0.037}\nml_batch_max 8\n"
            f'ml_prediction_bucket{{le="0.5"}} {n // 2 + noise}\n'
            f'ml_prediction_bucket{{le="+Inf"}} {n}\nml_prediction_sum {n * 0.4}\n'
            "ml_prediction_invalid_total 0\n"
            f'ml_feature_bucket{{feature="income",le="0.0"}} {n // 2 + noise}\n'
            f'ml_feature_bucket{{feature="income",le="+Inf"}} {n}\n'
            f'ml_info{{version="{"v1" if name[0] == "b" else "v2"}"}} 1\n'
            f"process_resident_memory_bytes {200e6 + noise}\n"
            f"process_cpu_seconds_total {self.tick * 0.1}\n"
            f"process_start_time_seconds {START_NS / 1e9 - 100:.0f}\n"
        )

    def envoy(self) -> str:
        """Return the gateway's page."""
        n = 4 * RATE * self.tick
        lines = [
            f'envoy_http_downstream_rq_total{{envoy_http_conn_manager_prefix="gateway"}} {n}',
            *_classes("envoy_http_downstream_rq", 'envoy_http_conn_manager_prefix="gateway"', n),
            "envoy_server_live 1",
            f"envoy_server_uptime {self.tick}",
        ]
        for pool, share in (("a", 3), ("b", 1)):
            label, count = f'envoy_cluster_name="{pool}"', n * share // 4
            lines.append(f"envoy_cluster_upstream_rq_total{{{label}}} {count}")
            lines += _classes("envoy_cluster_upstream_rq", label, count)
        return "\n".join(lines) + "\n"


def hash_of(name: str) -> int:
    """Return a small number that is the same in every run."""
    return sum(name.encode())


def _classes(prefix: str, label: str, n: int) -> list[str]:
    return [
        f'{prefix}_xx{{envoy_response_code_class="2",{label}}} {n}',
        f'{prefix}_xx{{envoy_response_code_class="5",{label}}} 0',
        f'{prefix}_time_bucket{{{label},le="50"}} {n * 9 // 10}',
        f'{prefix}_time_bucket{{{label},le="100"}} {n}',
        f'{prefix}_time_bucket{{{label},le="+Inf"}} {n}',
        f"{prefix}_time_sum{{{label}}} {n * 45}",
    ]


@dataclass
class Target:
    """The host: reads back four ready replicas, takes every write, and keeps it."""

    name: str
    clock: FakeClock
    port: int
    writes: list[Intent] = field(default_factory=list)

    def capabilities(self) -> Capabilities:
        return Capabilities(compare_and_set=True, fencing=True, levers=("replicas.",))

    async def read(self, deployment: str, now: TimeNs) -> Snapshot:
        stamp = Stamp(actuator=self.name, token="1", intent=None, epoch=1)
        return build.world(
            self.clock.now(),
            deployment=deployment,
            stamps=(stamp,),
            replicas=tuple(
                build.replica(name, address=f"127.0.0.1:{self.port}/{name}") for name in SLOTS
            ),
        )

    async def apply(self, intent: Intent, now: TimeNs) -> Receipt:
        if intent.post:
            self.writes.append(intent)
        return Receipt(intent_id=intent.id, status=ReceiptStatus.DONE, at=now, token="1")

    async def close(self) -> None:
        pass


@dataclass
class Stage:
    """Everything around the runtime."""

    runtime: Runtime
    clock: FakeClock
    serving: Serving
    target: Target
    seen: list[Event | Command] = field(default_factory=list)

    async def ticks(self, count: int) -> None:
        """Let so many seconds pass."""
        for _ in range(count):
            self.clock.advance(SECOND)
            self.serving.tick += 1
            await self.runtime.cycle()
            await self.runtime.settle()

    def of(self, kind: type[Any]) -> list[Any]:
        """Return what was journaled of one kind."""
        return [item for item in self.seen if isinstance(item, kind)]

    @property
    def evidence(self) -> Evidence:
        """The last tick's."""
        ticked: Ticked = self.of(Ticked)[-1]
        return ticked.evidence

    def reading(self, subject: str, signal: str) -> Reading | None:
        """Return one judged series of the last tick."""
        found = self.evidence.readings
        return next((r for r in found if (r.subject, r.signal) == (subject, signal)), None)

    def acted(self) -> bool:
        """Return whether anything was written, or would have been."""
        return bool(self.target.writes or self.of(Write))

    def qualities(self, subject: str) -> set[Quality]:
        """Return why a subject's series are not believed, or that they are."""
        return {r.quality for r in self.evidence.readings if r.subject == subject}


def demo_managed(folder: Path, **changes: Any) -> Managed:
    """Return the demo's own deployment: mode auto, everything granted, its shipped policy."""
    place = Place(folder=folder, host_port=1, envoy_port=2, admin_port=3, relay_port=4)
    controller = setup.controller(place, 7373, "t" * 43, evidence_rules=True)
    managed = plan_of(config.load(controller.files)).deployments[0].managed
    return replace(managed, traffic_actuator=None, **changes)


@asynccontextmanager
async def stage(folder: Path, **changes: Any) -> AsyncIterator[Stage]:
    """Yield a deployment that is well and whose baselines are learnt."""
    clock, serving = FakeClock(), Serving()
    async with hostile_server(serving.respond) as server:
        managed = demo_managed(folder, **changes)
        target = Target(managed.scale_actuator, clock, server.port)
        journal = wiring.build(
            "store", PartPlan(part="sqlite", settings={"path": folder / "journal.db"})
        )
        sense, sense_state = wiring.sense_step()
        made: tuple[Source, ...] = _sources(server, managed)
        shell = Shell(
            journal=journal,
            parts=wiring.loop_parts(),
            sense=sense,
            sense_state=sense_state,
            encode_frame=encode_frame,
            kill=lambda: KillLevel.OFF,
            observe=lambda _, item: ready.seen.append(item),
            notifiers=(),
            owner="me",
            deployments={
                managed.name: Deployment(
                    managed=managed,
                    actuators={target.name: cast("Any", target)},
                    sources_for=lambda _: made,
                )
            },
        )
        ready = Stage(Runtime(shell, cast("Clock", clock)), clock, serving, target)
        try:
            await ready.runtime.start()
            await ready.runtime.settle()
            await ready.ticks(WARM)
            for _ in range(WARM):  # a machine under load may miss a page
                await ready.ticks(0 if ready.evidence.ready else 1)
            assert ready.evidence.ready, "no baseline was learnt"
            assert not ready.acted()
            yield ready
        finally:
            await ready.runtime.close()
            journal.close()
    for item in ready.seen:
        assert codec.decode(codec.encode(item)) == item, "every event can be journaled and replayed"


def _sources(server: HostileServer, managed: Managed) -> tuple[Source, ...]:
    pages: list[tuple[str, str, str, tuple[str, ...]]] = [
        ("envoy", "gateway", "envoy", ("a", "b")),
        *((slot, f"replica:{slot}", "homeostat_instrument", ()) for slot in SLOTS),
    ]
    scrapes = [
        scrape.build(
            scrape.ScrapeSettings(
                name=f"page:{name}",
                url=server.url(f"/{name}/metrics"),
                deployment=managed.name,
                subject=subject,
                timeout_s=5.0,
                mapping=preset,
                pools=pools,
            )
        )
        for name, subject, preset, pools in pages
    ]
    probes = [
        probe.build(
            probe.ProbeSettings(
                name=f"probe:{slot}",
                url=server.url(f"/{slot}"),
                deployment=managed.name,
                subject=f"replica:{slot}",
                model="credit",
                features=(0.0,),
                timeout_s=5.0,
                expect_low=0.0,
                expect_high=1.0,
            )
        )
        for slot in SLOTS
    ]
    return (*scrapes, *probes)
