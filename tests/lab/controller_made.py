"""A deployment made by hand: noisy scrapes, faults as attributes, and orders that it obeys.

Eight slots: five of A, one of B, two empty. Enough of a platform to see what the controller's
writes come to; not a model of anything.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from homeostat.base import names
from homeostat.lab.baselines.levers import standing
from homeostat.lab.types import Episode, Move
from homeostat.twin import params as p
from homeostat.twin import signals
from homeostat.twin.faults import Faults
from homeostat.twin.orders import Orders
from homeostat.twin.outputs import Scrape
from homeostat.twin.shapes import SCRAPE_S, VARIANTS, Phase

SLOTS = 8
G = {name: place for place, name in enumerate(signals.GATEWAY_SIGNALS)}
V = {name: place for place, name in enumerate(signals.VARIANT_SIGNALS)}
S = {name: place for place, name in enumerate(signals.SLOT_SIGNALS)}
NAN = float("nan")


def group(kind: Any, **values: Any) -> Any:
    """Return a parameter group with zeros for what the controller never reads."""
    return kind(**(dict.fromkeys(kind.__dataclass_fields__, np.float32(0)) | values))


def episode(seed: int = 0, **changes: Any) -> Episode:
    """Return an episode whose parameters are what `Made` plays."""
    ones = np.ones(VARIANTS, np.float32)
    params = group(
        p.Params,
        service=group(
            p.Service, batch_max=8 * ones, batch_limit=np.float32(64), concurrency=np.float32(64)
        ),
        quality=group(p.Quality, floor=np.float32(0.85), label_delay_s=np.float32(60)),
        memory=group(p.Memory, limit_gib=np.float32(4)),
        money=group(
            p.Money,
            usd_per_hour=ones,
            hard_cap=np.float32(8),
            budget_usd_per_hour=np.float32(12),
        ),
        promise=group(p.Promise, p99_s=np.float32(0.5), availability=np.float32(0.999)),
        client=group(p.Client, timeout_s=np.float32(10)),
        actuation=group(p.Actuation, latency_s=np.float32(2)),
        provision=group(p.Provision, load_s=np.float32(30)),
        replicas=np.array([5.0, 1.0, 0.0], np.float32),
        weights=np.array([0.9, 0.1, 0.0], np.float32),
    )
    told: dict[str, Any] = {
        "scenario": "S05",
        "seed": seed,
        "family": "infrastructure",
        "length_s": 3600,
        "onset_s": 600.0,
        "recoverable": True,
        "benign": False,
        "slots": SLOTS,
        "params": params,
        "faults": group(Faults),
    }
    return Episode(**(told | changes))


@dataclass
class Made:
    """Plays one deployment; `scrape(orders)` obeys orders and returns a batch of one.

    Attributes:
        seed: Of the noise.
        rate: Requests per second.
        loses: Writes are lost while true.
        silent: Classes that are not reported: `gateway`, `variant`, `slot`.
        tokens: `TOKEN_SIGNALS` of every replica that serves; None = it serves no tokens.
    """

    seed: int = 0
    rate: float = 200.0
    p95_ms: float = 150.0
    errors: float = 0.0
    loses: bool = False
    silent: frozenset[str] = frozenset()
    dead: set[int] = field(default_factory=set)
    hung: set[int] = field(default_factory=set)
    age_s: float = 0.0
    loading: dict[int, int] = field(default_factory=dict)
    tokens: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(self.seed)
        self.orders = standing([episode()])
        self.variants = np.array([0, 0, 0, 0, 0, 1, 0, 0])
        self.phase = np.array([Phase.READY] * 6 + [Phase.EMPTY] * 2)
        self.version = np.array([1.0, 1.0, 1.0])
        self.foreign: dict[str, float] = {}
        self.now_s = 0.0

    def scrape(self, orders: Orders | None = None) -> Scrape:
        """Carry out orders and return the next scrape, 15 s on."""
        self.now_s += SCRAPE_S
        ok = self._obey(orders) if orders is not None else True
        for slot in list(self.loading):
            self.loading[slot] -= 1
            if self.loading[slot] <= 0:
                del self.loading[slot]
                self.phase[slot] = Phase.READY
        for slot in self.dead:
            self.phase[slot] = Phase.DEAD
        for slot in self.hung:
            self.phase[slot] = Phase.HUNG
        now = self.orders
        replicas = np.array(now.replicas)
        for name, value in self.foreign.items():
            if name == "replicas.a":
                replicas[0, 0] = value
        told: dict[str, Any] = {
            "gateway": self._gateway()[None],
            "variant": self._variant()[None],
            "slot": np.stack([self._slot(slot) for slot in range(SLOTS)])[None],
            "age_s": np.full((1, len(G)), self.age_s),
            # A platform does not know that a process hangs.
            "phase": np.where(self.phase == Phase.HUNG, Phase.READY, self.phase)[None],
            "slot_variant": self.variants[None].copy(),
            "version": self.version[None].copy(),
            "levers_ok": np.array([ok]),
            "changing": np.array([bool(self.loading)]),
            "batch_max": np.array(now.batch_max),
            "weights": np.array(now.weights),
            "replicas": replicas,
            "admit_rps": np.array(now.admit_rps),
            "tokens": self._tokens(),
        }
        return Scrape(**told)

    def _tokens(self) -> np.ndarray | None:
        if self.tokens is None:
            return None
        serves = np.isin(self.phase, (Phase.READY, Phase.DRAINING, Phase.HUNG))
        shows = serves & ("slot" not in self.silent)
        return np.where(shows[:, None], np.array(self.tokens), np.nan)[None]

    def _obey(self, orders: Orders) -> bool:
        wanted = bool(orders.by_us[0])
        if wanted and self.loses:
            return False
        self.orders = orders
        for slot in np.flatnonzero(orders.restart[0]).tolist():
            self.dead.discard(slot)
            self.hung.discard(slot)
            self.phase[slot] = Phase.LOADING
            self.loading[slot] = 2
        for variant in np.flatnonzero(orders.rollback[0]).tolist():
            self.version[variant] = 0.0
        more = int(orders.replicas[0, 0]) - int(((self.variants == 0) & (self.phase > 0)).sum())
        for slot in [s for s in (6, 7) if self.phase[s] == Phase.EMPTY][: max(more, 0)]:
            self.phase[slot] = Phase.LOADING
            self.loading[slot] = 2
        return True

    def _noisy(self, value: float, share: float = 0.02) -> float:
        return float(value * (1.0 + share * self.rng.standard_normal()))

    def _gateway(self) -> np.ndarray:
        out = np.full(len(G), NAN)
        if "gateway" not in self.silent:
            out[G[names.ARRIVAL_RATE]] = self._noisy(self.rate)
            out[G[names.ERROR_RATIO]] = self._noisy(self.errors)
            out[G[names.REFUSED_RATIO]] = 0.0
            out[G[names.LATENCY_P50]] = self._noisy(0.5 * self.p95_ms)
            out[G[names.LATENCY_P95]] = self._noisy(self.p95_ms)
            out[G[signals.LATENCY_P99]] = self._noisy(1.25 * self.p95_ms)
        return out

    def _variant(self) -> np.ndarray:
        out = np.full((VARIANTS, len(V)), NAN)
        if "variant" in self.silent:
            return out
        for variant, share in enumerate(self.orders.weights[0]):
            if share <= 0.0:
                continue
            out[variant, V[names.ARRIVAL_RATE]] = self._noisy(self.rate * share)
            out[variant, V[names.ERROR_RATIO]] = self._noisy(self.errors)
            out[variant, V[names.LATENCY_P50]] = self._noisy(0.5 * self.p95_ms)
            out[variant, V[names.LATENCY_P95]] = self._noisy(self.p95_ms)
            out[variant, V[names.PREDICTION_SHIFT]] = abs(self._noisy(0.04, 0.2))
            out[variant, V[names.FEATURE_SHIFT]] = abs(self._noisy(0.04, 0.2))
            out[variant, V[names.INVALID_SHARE]] = 0.0
            out[variant, V[names.ACCURACY]] = self._noisy(0.9, 0.002)
            out[variant, V[names.LABEL_COVERAGE]] = 0.5
        return out

    def _slot(self, slot: int) -> np.ndarray:
        out = np.full(len(S), NAN)
        phase = self.phase[slot]
        if "slot" in self.silent or phase not in {Phase.READY, Phase.HUNG, Phase.DEAD}:
            return out
        well = phase == Phase.READY
        out[S[names.PROBE_HEALTH]] = float(phase != Phase.DEAD)
        out[S[names.PROBE_INFERENCE]] = float(well)
        if not well:
            return out
        told = {
            names.PROBE_LATENCY: self._noisy(30.0),
            names.MEMORY_SHARE: self._noisy(0.4, 0.002),
            names.CPU_SHARE: self._noisy(0.4),
            names.DEVICE_TIME: self._noisy(45.0),
            names.BATCH_SIZE: self._noisy(3.0),
            names.BATCH_FULL_SHARE: 0.02,
            names.QUEUE_LENGTH: abs(self._noisy(1.0, 0.2)),
            names.ERROR_RATIO: self._noisy(self.errors),
        }
        for name, value in told.items():
            out[S[name]] = value
        return out


def play(controller: Any, made: Made, scrapes: int, orders: Orders | None = None) -> list[Move]:
    """Let a controller that was started with one episode decide over so many scrapes."""
    moves: list[Move] = []
    for _ in range(scrapes):
        scrape = made.scrape(moves[-1].orders if moves else orders)
        moves.append(controller.act(made.now_s, scrape))
    return moves
