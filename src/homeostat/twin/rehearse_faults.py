"""What is suspected, as faults of the twin: a rehearsal without them would rehearse a healthy day.

Strengths come from the readings where they say them and are drawn wide where they do not. What the
twin has no word for, or nobody has understood, is said: then no rehearsal may be trusted.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import jax.numpy as jnp
import numpy as np

from homeostat.base import names
from homeostat.base.evidence import Evidence, Family, Incident
from homeostat.base.units import SECOND
from homeostat.twin.faults import Faults
from homeostat.twin.fit_frame import Floats
from homeostat.twin.primitives import INDEX
from homeostat.twin.rehearse_draw import no_faults
from homeostat.twin.rehearse_situation import Situation
from homeostat.twin.shapes import Cure, Phase

# A slow replica of which nobody has measured how slow: a diagnosis asks for half its peers' speed.
_SLOW: Final = (0.05, 0.5)
# A forecast gives the earliest credible time to the limit; the likely one is up to twice as long.
_LATER: Final = (1.0, 2.0)
_KB_PER_GIB: Final = 2.0**20
_MOST_LEAK_KB: Final = 1e5
_SLOWER: Final = (0.05, 50.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspected:
    """What is wrong, in every draw.

    Attributes:
        faults: [D, ...].
        unplayed: Why the twin cannot play it, one sentence each; empty if it can.
    """

    faults: Faults = field(repr=False)
    unplayed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wrong:
    """One fault: which, how strong in each draw, where, cured by what."""

    name: str
    magnitude: Floats
    cure: Cure
    slot: int | None = None
    variant: int | None = None


def suspected(
    incident: Incident | None,
    evidence: Evidence,
    now: Situation,
    law: Floats,
    *,
    slots: int,
    seed: int,
) -> Suspected:
    """Return what is suspected as faults.

    Args:
        incident: The open one; None = nothing is wrong.
        evidence: The latest tick's.
        now: The deployment.
        law: tau0 and alpha of each draw [D, 2].
        slots: Replica slots of the program.
        seed: Of the strengths nobody measured.
    """
    none = no_faults(len(law), slots)
    if incident is None:
        return Suspected(faults=none)
    chance = np.random.default_rng([seed, 1])
    asked = _Asked(incident=incident, evidence=evidence, now=now, law=law, chance=chance)
    wrong = asked.wrong()
    if isinstance(wrong, str):
        return Suspected(faults=none, unplayed=(wrong,))
    return Suspected(faults=_put(none, wrong))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    incident: Incident
    evidence: Evidence
    now: Situation
    law: Floats
    chance: np.random.Generator

    def wrong(self) -> "tuple[_Wrong, ...] | str":
        """Return the faults of what is suspected, or why the twin cannot play it."""
        match self.incident.family:
            case Family.REPLICA | Family.HUNG:
                return self.replica()
            case Family.MEMORY:
                return self.memory()
            case Family.RELEASE:
                return self.release()
            case Family.LOAD | Family.BATCHING:
                return ()  # the rate and the batch are measured: the twin starts from them
            case Family.OUTPUT:
                return "it does not play what answers say"
            case _:
                return f"it cannot play a fault of family {self.incident.family}"

    def replica(self) -> "tuple[_Wrong, ...] | str":
        """One that is gone needs no fault, one that fails its probes hangs, the rest are slow."""
        slot = self._slot()
        if slot is None:
            return f"{self.incident.subject} could not be read"
        if self.now.slots[slot].phase is not Phase.READY:
            return ()
        subject = self.incident.subject
        ones = np.ones(len(self.law))
        if self._value(subject, names.PROBE_FAILURES) >= 1.0:
            return (_Wrong(name="replica_hang", magnitude=ones, cure=Cure.RESTART, slot=slot),)
        low, high = _SLOW
        speed = low * (high / low) ** self.chance.random(len(self.law))
        slower = self._slower(subject)
        if slower is not None:
            speed = 1.0 / slower
        return (_Wrong(name="replica_speed_mult", magnitude=speed, cure=Cure.RESTART, slot=slot),)

    def memory(self) -> "tuple[_Wrong, ...] | str":
        """A process on its way to its limit leaks what brings it there in time."""
        slot = self._slot()
        if slot is None:
            return f"{self.incident.subject} could not be read"
        left_gib = self.now.memory_limit_gib - self.now.slots[slot].memory_gib
        until_ns = next(
            (
                one.time_to_limit_ns
                for one in self.evidence.forecasts
                if one.subject == self.incident.subject and one.signal == names.MEMORY_SHARE
            ),
            None,
        )
        if not math.isfinite(left_gib) or until_ns is None:
            return "the memory's limit or the time to it is not known"
        low, high = _LATER
        seconds = until_ns / SECOND * (low + (high - low) * self.chance.random(len(self.law)))
        served = max(self._share(slot) * self.now.rate_rps, 1e-6) * np.maximum(seconds, 1.0)
        leak = np.minimum(left_gib * _KB_PER_GIB / served, _MOST_LEAK_KB)
        return (_Wrong(name="mem_leak_per_req_kb", magnitude=leak, cure=Cure.RESTART, slot=slot),)

    def release(self) -> "tuple[_Wrong, ...] | str":
        """A bad version errs, or is slow, or both, as is measured of its pool."""
        pool = names.bare(self.incident.subject)
        if pool not in self.now.pools:
            return f"{self.incident.subject} could not be read"
        variant = self.now.pools.index(pool)
        found = []
        errors = self._value(names.pool(pool), names.ERROR_RATIO)
        if errors > 0.0:
            share = np.full(len(self.law), min(errors, 1.0))
            found.append(
                _Wrong(
                    name="variant_err_prob", magnitude=share, cure=Cure.ROLLBACK, variant=variant
                )
            )
        slower = [
            one
            for slot in self.now.slots
            if slot.variant == variant
            for one in (self._slower(names.replica(slot.name)),)
            if one is not None
        ]
        if slower:
            times = np.median(np.stack(slower), axis=0)
            found.append(
                _Wrong(
                    name="variant_service_mult",
                    magnitude=times,
                    cure=Cure.ROLLBACK,
                    variant=variant,
                )
            )
        return tuple(found) or f"how bad {self.incident.subject} is could not be read"

    def _slot(self) -> int | None:
        name = names.bare(self.incident.subject)
        return next((at for at, s in enumerate(self.now.slots) if s.name == name), None)

    def _share(self, slot: int) -> float:
        variant = self.now.slots[slot].variant
        peers = sum(s.variant == variant and s.phase is Phase.READY for s in self.now.slots)
        return self.now.weights[variant] / max(peers, 1)

    def _value(self, subject: str, signal: str) -> float:
        for one in self.evidence.readings:
            if (one.subject, one.signal) == (subject, signal) and one.value is not None:
                return one.value
        return math.nan

    def _slower(self, subject: str) -> Floats | None:
        """Return a replica's time per batch over the fitted law's at its batch, if known [D]."""
        took_ms = self._value(subject, names.DEVICE_TIME)
        batch = self._value(subject, names.BATCH_SIZE)
        if not (math.isfinite(took_ms) and math.isfinite(batch)):
            return None
        law_s = self.law[:, 0] + self.law[:, 1] * batch
        return np.clip(took_ms / 1000.0 / np.maximum(law_s, 1e-9), *_SLOWER)


def _put(none: Faults, wrong: Sequence[_Wrong]) -> Faults:
    """Return faults that have already begun and last until they are cured."""
    rows = {name: np.array(value) for name, value in vars(none).items()}
    for at, one in enumerate(wrong):
        rows["primitive"][:, at] = INDEX[one.name]
        rows["magnitude"][:, at] = one.magnitude
        rows["start_s"][:, at] = 0.0
        rows["cure"][:, at] = one.cure
        if one.slot is not None:
            rows["slots"][:, at] = np.arange(rows["slots"].shape[-1]) == one.slot
        if one.variant is not None:
            rows["variants"][:, at] = np.arange(rows["variants"].shape[-1]) == one.variant
    return Faults(**{name: jnp.asarray(value) for name, value in rows.items()})
