"""From a fit and what is seen now to draws of the twin: parameters, load, state and chance.

What the fit knows is drawn from its own draws, jointly. What neither the fit nor a person says is
drawn from a stated prior (see `rehearse_prior`), and the rehearsal names it. What nobody may guess,
the load above all, is asked for: without it there are no draws, and the rehearsal is unknown.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import jax
import jax.numpy as jnp
import numpy as np

from homeostat.twin.faults import Faults
from homeostat.twin.fit_curves import SIGNALS
from homeostat.twin.fit_estimate import Known
from homeostat.twin.fit_frame import Floats
from homeostat.twin.fit_predict import Spread
from homeostat.twin.fit_values import Fit
from homeostat.twin.primitives import INDEX
from homeostat.twin.rehearse_load import load
from homeostat.twin.rehearse_params import f32, to_params
from homeostat.twin.rehearse_play import Lanes, Limit, Scene
from homeostat.twin.rehearse_prior import PRIORS, Prior
from homeostat.twin.rehearse_situation import Situation
from homeostat.twin.rehearse_trust import ready, state_of
from homeostat.twin.shapes import FAULTS, VARIANTS, Cure, Phase, Variant
from homeostat.twin.signals import CLASSES

_SERVING: Final = (Phase.READY, Phase.DRAINING, Phase.HUNG)
_REACH: Final = 1.645  # normal quantile at the end of a 90 % interval
_OLD_S: Final = 86_400.0
_DRAIN_S: Final = 30.0  # longest time that a draining replica is given
_KB_PER_GIB: Final = 2.0**20
_MOST_LEAK_KB: Final = 1e5
_FITTED: Final = ("provision_s", "load_s")  # in the fit under the same names


@dataclass(frozen=True, slots=True, kw_only=True)
class Draws:
    """What a rehearsal is played with.

    Attributes:
        lanes: Parameters, faults, scene, objectives and chance [D, ...].
        number: D.
        errors: Of p95 latency, by load.
        notes: What was assumed, one sentence each.
    """

    lanes: Lanes
    number: int
    errors: "Errors" = field(repr=False)
    notes: tuple[str, ...] = ()

    @property
    def stretch(self) -> Floats:
        """What is seen of a p95 / what the curves say of it, where the deployment stands [D]."""
        return self.errors.stretch(self.errors.load)

    def facing(self, faults: Faults, notes: tuple[str, ...] = ()) -> "Draws":
        """Return the draws with something wrong, and with what else is to be said.

        Args:
            faults: In each draw [D, ...]; beside what the draws have already.
            notes: One sentence each.
        """
        parameters, own, scene, limit, keys = self.lanes
        lanes = (parameters, _beside(own, faults), scene, limit, keys)
        return replace(self, lanes=lanes, notes=(*self.notes, *notes))


@dataclass(frozen=True, slots=True, kw_only=True)
class Errors:
    """How far a p95 that is seen lies from what the curves say, as rows held back showed it.

    Attributes:
        factor: Log of what refinement left between the two.
        spread: The fit's errors by load; None if it has none.
        share: Which of the errors each draw has, the same at every load, 0..1 [D].
        load: Where the deployment stands; NaN = nothing serves.
    """

    factor: float
    spread: Spread | None
    share: Floats = field(repr=False)
    load: float

    def stretch(self, load: float) -> Floats:
        """Return what is seen of a p95 / what the curves say of it at a load [D].

        Where nothing serves the load is beyond all: the errors of the highest group.
        """
        if self.spread is None:
            return np.full(len(self.share), math.exp(self.factor))
        at = math.inf if math.isnan(load) else load
        group = int(np.searchsorted(np.asarray(self.spread.edges), at))
        errors = np.quantile(self.spread.errors[group], self.share, method="inverted_cdf")
        return np.asarray(np.exp(self.factor + errors))


def draw(
    found: Fit,
    now: Situation,
    *,
    number: int,
    slots: int,
    seed: int,
    assume: Mapping[str, Prior] | None = None,
) -> Draws:
    """Return draws of the deployment as it stands, nothing wrong with it but what it always leaks.

    Args:
        found: The fit.
        now: The deployment.
        number: How many draws.
        slots: Replica slots of the program, at least as many as there are replicas.
        seed: Equal seeds give equal draws.
        assume: What a person says instead of the priors.

    Raises:
        ValueError: There are more replicas than slots, or an assumption has an unknown name.
    """
    if len(now.slots) > slots:
        raise ValueError(f"{len(now.slots)} replicas do not fit into {slots} slots")
    strange = sorted(set(assume or {}) - set(PRIORS))
    if strange:
        raise ValueError(f"nothing is called {strange[0]!r}; one of {', '.join(PRIORS)}")
    chance = np.random.default_rng(seed)
    values, assumed = _values(found, assume or {}, number, chance)
    arriving = load(now, _rate_error(found, now), values["retries"], chance, seed)
    values["retries"] = arriving.retries
    errors, wider = _errors(found, now, number, chance)
    leaks, leaking = with_leak(found, now, no_faults(number, slots), seed)
    lanes = (
        to_params(values, arriving.knots_rps, now, slots),
        leaks,
        _scene(values, now, slots, chance),
        Limit(
            latency_s=f32(now.latency_ms / 1000.0 / errors.stretch(errors.load)),
            error_ratio=f32(np.full(number, now.error_ratio)),
        ),
        jnp.asarray(chance.integers(0, 2**32, (number, 2), dtype=np.uint32)),
    )
    return Draws(
        lanes=lanes,
        number=number,
        errors=errors,
        notes=(*assumed, *arriving.notes, *wider, *leaking),
    )


def no_faults(number: int, slots: int) -> Faults:
    """Return that nothing is wrong [D, ...]."""
    never, off = np.full(FAULTS, np.inf, np.float32), np.zeros(FAULTS, np.float32)
    one = Faults(
        primitive=jnp.zeros(FAULTS, jnp.int32),
        magnitude=jnp.ones(FAULTS),
        start_s=jnp.asarray(never),
        ramp_s=jnp.asarray(off),
        stop_s=jnp.asarray(never),
        period_s=jnp.ones(FAULTS),
        shape=jnp.zeros(FAULTS, jnp.int32),
        cure=jnp.zeros(FAULTS, jnp.int32),
        slots=jnp.ones((FAULTS, slots), bool),
        variants=jnp.ones((FAULTS, VARIANTS), bool),
        signals=jnp.ones((FAULTS, len(CLASSES)), bool),
    )
    return jax.tree.map(  # type: ignore[no-any-return]
        lambda leaf: jnp.broadcast_to(leaf, (number, *leaf.shape)), one
    )


def with_leak(
    found: Fit, now: Situation, faults: Faults, seed: int
) -> tuple[Faults, tuple[str, ...]]:
    """Return faults and, in their last row, the leak of every day that the fit has found.

    A leak grows with what is served: per hour, as it was fitted, at the load of now.

    Args:
        found: The fit.
        now: The deployment.
        faults: In each draw, the last row free [D, ...].
        seed: Of the strength in each draw.
    """
    if not math.isfinite(now.memory_limit_gib):
        return faults, ("no memory limit was read: running out of memory is not foreseen",)
    known = found.estimates.get("leak_gib_per_hour")
    if known is None or not math.isfinite(known.value):
        return faults, ("whether memory leaks was not recorded: no leak is played",)
    number = faults.magnitude.shape[0]
    normal = np.random.default_rng([seed, 2]).standard_normal(number)
    reach = np.where(normal > 0.0, known.high - known.value, known.value - known.low)
    hourly = np.maximum(known.value + np.nan_to_num(reach) * normal / _REACH, 0.0)
    ready = sum(s.variant == Variant.A and s.phase is Phase.READY for s in now.slots)
    each = now.rate_rps * now.weights[Variant.A] / max(ready, 1)
    if not (hourly.any() and each > 0.0):
        return faults, ()
    per_request_kb = np.minimum(hourly * _KB_PER_GIB / (3600.0 * each), _MOST_LEAK_KB)
    rows = {name: np.array(value) for name, value in vars(faults).items()}
    rows["primitive"][:, -1] = INDEX["mem_leak_per_req_kb"]
    rows["magnitude"][:, -1] = per_request_kb
    rows["start_s"][:, -1] = 0.0
    rows["cure"][:, -1] = Cure.NONE  # a new process leaks as the one before
    leaks = Faults(**{name: jnp.asarray(value) for name, value in rows.items()})
    return leaks, (f"memory leaks as it was fitted: {known.value:.3g} GiB an hour",)


def _beside(own: Faults, others: Faults) -> Faults:
    """Return faults with the rows of others put where these have begun [D, ...]."""
    begun = jnp.isfinite(others.start_s)

    def pick(mine: jax.Array, theirs: jax.Array) -> jax.Array:
        there = begun.reshape(*begun.shape, *[1] * (mine.ndim - begun.ndim))
        return jnp.where(there, theirs, mine)

    both: Faults = jax.tree.map(pick, own, others)
    return both


def _values(
    found: Fit, assume: Mapping[str, Prior], number: int, chance: np.random.Generator
) -> tuple[dict[str, Floats], tuple[str, ...]]:
    """Return the draws of every quantity by name, and what was assumed."""
    values, guessed = {}, []
    law = found.draws[chance.integers(0, len(found.draws), number)]
    for name, prior in PRIORS.items():
        share = chance.random(number)
        known = found.estimates.get(name)
        if name in assume:
            values[name] = assume[name].draw(share)
        elif name in _FITTED and known is not None and known.known is Known.IDENTIFIED:
            values[name] = _around(known.value, known.low, known.high, share)
        elif name == "cv2" and np.isfinite(found.draws[:, 2]).all():
            values[name] = law[:, 2]
        else:
            values[name] = prior.draw(share)
            guessed.append(name)
    values["tau0_s"], values["alpha_s"] = law[:, 0], law[:, 1]
    values["ca2"] = np.full(number, found.ca2)
    return values, ((f"assumed, not measured: {', '.join(guessed)}",) if guessed else ())


def _around(value: float, low: float, high: float, share: Floats) -> Floats:
    """Return lognormal draws around a value with these ends of a 90 % interval.

    A time so short that the recording shows none of it is 0: it has no log, and is drawn evenly.
    """
    if value <= 0.0:
        return np.asarray(max(low, 0.0) + (max(high, 0.0) - max(low, 0.0)) * share)
    reach = math.log(max(high, value) / max(min(low, value), 1e-3 * value)) / (2.0 * _REACH)
    normal = np.sqrt(2.0) * np.asarray(jax.scipy.special.erfinv(2.0 * share - 1.0))
    return np.asarray(value * np.exp(max(reach, 0.0) * normal))


def _rate_error(found: Fit, now: Situation) -> float:
    """Return the relative error of a counted rate: counts vary as the arrivals do."""
    return math.sqrt(max(found.ca2, 0.0) / max(now.requests, 1.0))


def _errors(
    found: Fit, now: Situation, number: int, chance: np.random.Generator
) -> tuple[Errors, tuple[str, ...]]:
    """Return the errors of p95: what refinement left, and the fit's own."""
    spread = found.spreads.get("latency_p95_s")
    errors = Errors(
        factor=found.factors[SIGNALS.index("latency_p95_s")],
        spread=spread,
        share=chance.random(number),
        load=state_of(found, now, ready(now))[0],
    )
    if spread is None:
        return errors, (
            "the fit was never compared with latencies: their intervals are too narrow",
        )
    return errors, ()


def _scene(
    values: Mapping[str, Floats], now: Situation, slots: int, chance: np.random.Generator
) -> Scene:
    """Return the replicas as they stand [D, S]; what is under way is somewhere on its way."""
    number = len(values["load_s"])
    shape = (number, slots)
    phase, variant = np.zeros(shape, np.int32), np.full(shape, VARIANTS - 1, np.int32)
    jobs, timer = np.full(shape, np.nan), np.zeros(shape)
    age, memory = np.full(shape, _OLD_S), np.zeros(shape)
    for at, slot in enumerate(now.slots):
        phase[:, at], variant[:, at] = slot.phase, slot.variant
        jobs[:, at] = slot.jobs if slot.phase in _SERVING else 0.0
        # Not known is not none: what would shrink is then not rehearsed (`rehearse_answer`).
        memory[:, at] = 0.0 if math.isnan(slot.memory_gib) else slot.memory_gib
        match slot.phase:
            case Phase.LOADING:
                timer[:, at] = chance.random(number) * values["load_s"]
            case Phase.DRAINING:
                timer[:, at] = _DRAIN_S
            case Phase.DEAD:
                timer[:, at] = np.inf  # nothing starts it again unless it is asked to
            case _:
                pass
    return Scene(
        phase=jnp.asarray(phase),
        variant=jnp.asarray(variant),
        jobs=f32(jobs),
        timer_s=f32(timer),
        age_s=f32(age),
        memory_gib=f32(memory),
    )
