"""The autoencoder in the loop: two charted scores of a deployment; either wakes the policy.

A deployment with a model (`detect.vae`, learnt beforehand of a past believed normal) is judged on
every tick by its portrait (`detect.portrait`): by the error of reconstruction, and by the latent
divergence (HASH 3.1 and its commentary, section 5). Each is a reading, with its own onset; either
onset is a suspicion of what is unclear, confident enough to be decided on, unless a rule knows
better. What begins while a rule suspects something, or soon after an action of ours, belongs to it.

Off unless a model is named (decision 10). A frozen model does not follow a deployment that changes,
and says nothing (unknown) where a column of its is not known. Not here: learning a model; causes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from homeostat.base import names
from homeostat.base.evidence import (
    UNLIKE_ITSELF,
    Anomaly,
    Evidence,
    Family,
    Quality,
    Reading,
    Suspicion,
    Verdict,
)
from homeostat.base.units import TimeNs
from homeostat.detect import method_vae
from homeostat.detect.fused import BELONGS
from homeostat.detect.portrait import portrait
from homeostat.detect.vae_file import Loaded

DETECTOR: Final = "vae"
SIGNALS: Final = (names.RECONSTRUCTION_ERROR, names.LATENT_DIVERGENCE)
"""The two scores, in the order of `method_vae.SCORES`: -log10 p each."""
# Above UNLIKE_ITSELF, which is only watched: who names a model wants to be woken. Below every rule.
CONFIDENCE: Final = 0.15
_WORDS: Final = (
    "what goes together no longer does: reconstruction error",
    "all goes together where it never was: latent divergence",
)
_LEAST_SHARE: Final = 0.05
_TOLD: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EncodedState:
    """What is remembered, by deployment.

    Attributes:
        vae: Of those with a model.
        since: When the onset began that lasts; those without one are not in it.
        explained: Whose onset belongs to what a rule suspects or to an action of ours.
        calm: Ticks since a rule suspected something or we acted.
    """

    vae: dict[str, method_vae.State]
    since: dict[str, TimeNs]
    explained: frozenset[str]
    calm: dict[str, int]


class Encoded:
    """The autoencoders as one part; see `loop.sense_parts.EncodedPart`.

    Args:
        models: By deployment.
    """

    def __init__(self, models: Mapping[str, Loaded]) -> None:
        self.models = dict(sorted(models.items()))
        self._methods = {name: method_vae.VaeMethod(one) for name, one in self.models.items()}

    def init(self) -> EncodedState:
        """Return the state before the first tick."""
        states = {name: one.init(len(one.columns)) for name, one in self._methods.items()}
        return EncodedState(vae=states, since={}, explained=frozenset(), calm={})

    def step(
        self,
        state: EncodedState,
        evidence: Sequence[Evidence],
        learn: frozenset[str],
        busy: frozenset[str],
    ) -> tuple[EncodedState, tuple[Evidence, ...]]:
        """Judge one tick of the deployments with a model, then learn how usual it was.

        Args:
            state: From `init` or the last step.
            evidence: What is said of each deployment.
            learn: Deployments in which nothing is suspected and nothing of ours is in flight.
            busy: Deployments with an action of ours in flight.

        Returns:
            The next state, and the evidence with the scores and what is suspected because of them.
        """
        vae, since, calm = dict(state.vae), dict(state.since), dict(state.calm)
        explained, out = set(state.explained), []
        for one in evidence:
            name = one.deployment
            if name not in self._methods:
                out.append(one)
                continue
            vae[name], said, known = self._said(state.vae[name], one, name in learn)
            touched = name in busy or _ruled(one)
            calm[name] = 0 if touched else min(calm.get(name, BELONGS) + 1, BELONGS)
            if not said.active[0]:
                since.pop(name, None)
                explained.discard(name)
            elif name not in since:
                since[name] = one.at
                explained |= {name} if calm[name] < BELONGS else set()
            elif touched:
                explained.add(name)
            wakes = name in since and name not in explained
            out.append(_with(one, said, known, self.models[name].columns, wakes=wakes))
        after = EncodedState(vae=vae, since=since, explained=frozenset(explained), calm=calm)
        return after, tuple(out)

    def _said(
        self,
        state: method_vae.State,
        one: Evidence,
        learn: bool,  # noqa: FBT001 - same position as in every detector's step
    ) -> tuple[method_vae.State, Any, bool]:
        """Return the next state, what the model says, and whether it had all its columns."""
        seen = portrait(one.readings)
        columns = self._methods[one.deployment].columns
        row = np.array([[seen.get(column, np.nan) for column in columns]])
        after, said = self._methods[one.deployment].step(state, row, learn)
        return after, said, bool(np.isfinite(row).all())


def _ruled(one: Evidence) -> bool:
    """Return whether a rule suspects something, or an objective is missed."""
    known = any(suspicion.confidence > UNLIKE_ITSELF for suspicion in one.suspicions)
    return known or one.slo_met is False


def _with(
    one: Evidence,
    said: Any,
    known: bool,  # noqa: FBT001 - as `_said` returns it
    columns: Sequence[str],
    *,
    wakes: bool,
) -> Evidence:
    """Return the evidence with both scores and what follows from them."""
    readings = [_reading(signal, said.each[0, k], known) for k, signal in enumerate(SIGNALS)]
    both = sorted((*one.readings, *readings), key=lambda each: (each.subject, each.signal))
    claims = [_claim(reading) for reading in readings if reading.verdict is not Verdict.HEALTHY]
    suspicions = one.suspicions
    if wakes and not _ruled(one):
        suspicions = (_suspicion(said, columns), *suspicions)
    return replace(
        one,
        readings=tuple(both),
        anomalies=(*one.anomalies, *claims),
        suspicions=suspicions,
    )


def _reading(signal: str, part: Any, known: bool) -> Reading:  # noqa: FBT001 - as `_said` returns it
    """Return one score; `part` is score, evidence, alarm and whether an onset lasts."""
    evidence, lasts = float(part[1]), bool(part[3])
    unknown = np.isnan(evidence)
    verdict = Verdict.ANOMALOUS if lasts else Verdict.HEALTHY
    return Reading(
        subject=names.MODEL,
        signal=signal,
        value=None if unknown else evidence,
        verdict=Verdict.UNKNOWN if unknown else verdict,
        quality=Quality.GOOD if not unknown else Quality.FEW if known else Quality.MISSING,
        low=None,
        high=None,
        age_ns=0,
        samples=1.0,
    )


def _claim(reading: Reading) -> Anomaly:
    return Anomaly(
        detector=DETECTOR,
        subject=reading.subject,
        signal=reading.signal,
        verdict=reading.verdict,
        neg_log10_p=reading.value if reading.verdict is Verdict.ANOMALOUS else None,
    )


def _suspicion(said: Any, columns: Sequence[str]) -> Suspicion:
    """Return that a deployment is unlike its model, with what says so most."""
    words = [
        f"{word} as unlikely as 1e-{said.each[0, k, 1]:.0f}"
        for k, word in enumerate(_WORDS)
        if said.each[0, k, 3] and np.isfinite(said.each[0, k, 1])
    ]
    shares = np.nan_to_num(said.contributions[0])
    most = [int(k) for k in np.argsort(-shares, kind="stable")[:_TOLD] if shares[k] > _LEAST_SHARE]
    return Suspicion(
        family=Family.UNCLEAR,
        subject=names.MODEL,
        confidence=CONFIDENCE,
        because=(
            *(words or ["the autoencoder's onset lasts, and nothing of it is known at the moment"]),
            *(f"{columns[k]} {shares[k]:.0%}" for k in most),
            "no rule says why",
        ),
    )


STATE_CLASSES: Final = (EncodedState, method_vae.State, *method_vae.STATE_CLASSES)
"""What `stats.arrays.from_bytes` must know to read this part's state."""
