"""The twin beside an episode's deployment: what a controller in the lab rehearses in.

A real controller has a twin that was fitted to a recording of its own deployment. An episode has no
week before it, so its twin is made from what the deployment was drawn with, off by as much as a fit
is off, and no better informed than one: of the service law, of how long a start takes and of the
region that was seen. It is never shown a fault, a seed of the episode's chance or the load to come;
what the controller suspects is all that it knows of trouble. Clients, the fallback pool's speed and
the load's noise come from the same priors as anybody's (`twin.rehearse_prior`).

Whatever is assumed in its favour is said here: the deployment was once seen at every size and up to
a fifth above its capacity, and the fit is a day old and passed its check.
"""

import math
from functools import cache
from statistics import NormalDist
from typing import Final

import numpy as np

from homeostat.base.events import Rehearse
from homeostat.base.policy import TwinPolicy
from homeostat.base.rehearsal import Rehearsal
from homeostat.base.state import LoopState
from homeostat.base.units import HOUR
from homeostat.lab.chance import stream
from homeostat.lab.controller_names import time_ns
from homeostat.lab.types import Episode
from homeostat.twin.fit_estimate import Estimate, Known
from homeostat.twin.fit_frame import Floats
from homeostat.twin.fit_predict import Spread
from homeostat.twin.fit_region import Region
from homeostat.twin.fit_values import KEPT_DRAWS, Fit
from homeostat.twin.rehearse_answer import Asked, Theatre, answer
from homeostat.twin.rehearse_play import Stage
from homeostat.twin.rehearse_trust import Standing
from homeostat.twin.shapes import Variant

DRAWS: Final = 24
"""Fewer than the product's 64: the fewest eights of which a 90 % interval has both of its ends
(order statistics 1 and 24 of 25 places). A question then takes some 0.4 s of a core."""
TWIN: Final = TwinPolicy(draws=DRAWS)

# How far a fit is off, as deviations of logs. The law: on real vLLM logs a fit's throughput at
# loads that it had not seen was off by up to 5.5 %, single observations by 12 % in the middle
# (research on the simulator, section 4). The other two are stated, not measured.
_LAW: Final = 0.05
_OBSERVED: Final = 0.12
_CV2: Final = 0.3
_START: Final = 0.2

_SEEN_LOAD: Final = 1.2  # of capacity: once there was a rush
_NORMAL: Final = 1.645  # quantile at the end of a 90 % interval
_ERRORS: Final = 199  # quantiles of the errors, as a fit keeps them
_AGE_S: Final = 86_400.0
_STANDARD: Final = NormalDist()
_OLDEST_NS: Final = 30 * 24 * HOUR


def fitted(episode: Episode) -> Fit:
    """Return the twin of one episode's deployment, as a fit to its past might have it.

    What it is off by depends on scenario and seed alone, so that every policy has the same twin.

    Args:
        episode: Its parameters are read, its faults are not.
    """
    chance = stream(episode.scenario, episode.seed, "twin")
    service, provision = episode.params.service, episode.params.provision
    law = [
        _estimate(name, "s", float(np.asarray(value)[Variant.A]), _LAW, chance)
        for name, value in (("tau0_s", service.tau0_s), ("alpha_s", service.alpha_s))
    ]
    cv2 = _estimate("cv2", "", float(np.asarray(service.cv2)[Variant.A]), _CV2, chance)
    starts = [
        _estimate("provision_s", "s", float(provision.delay_s), _START, chance),
        _estimate("load_s", "s", float(provision.load_s), _START, chance),
    ]
    ca2 = _estimate("ca2", "", float(episode.params.demand.ca2), 0.0, chance)
    known = (*law, cv2, ca2, *starts)
    widths = (_LAW, _LAW, _CV2)
    return Fit(
        source=f"the deployment of {episode.scenario}, seed {episode.seed}",
        sha256="",
        unit="request",
        rows=0,
        span_s=0.0,
        step_s=0.0,
        estimates={one.name: one for one in known},
        draws=np.stack(
            [
                one.value * np.exp(wide * _normal(chance, KEPT_DRAWS))
                for one, wide in zip((*law, cv2), widths, strict=True)
            ],
            axis=1,
        ),
        batch_limit=float(service.batch_limit),
        law=None,
        factors=(0.0, 0.0, 0.0, 0.0),
        refined=0,
        spreads={"latency_p95_s": _spread()},
        naive={},
        region=_region(episode),
        plans=(),
        notes=("made from what the deployment was drawn with, off by what a fit is off by",),
    )


def _estimate(
    name: str, unit: str, true: float, wide: float, chance: np.random.Generator
) -> Estimate:
    """Return a number as a fit has it: off by a draw, with an interval that knows how far."""
    value = true * math.exp(wide * float(_normal(chance, 1)[0]))
    reach = math.exp(_NORMAL * wide)
    return Estimate(
        name=name, unit=unit, value=value, low=value / reach, high=value * reach,
        known=Known.IDENTIFIED, why="as drawn, off by what a fit is off by",
    )  # fmt: skip


def _normal(chance: np.random.Generator, count: int) -> Floats:
    return np.array([_STANDARD.inv_cdf(u) for u in 1e-12 + chance.random(count) * (1.0 - 2e-12)])


def _spread() -> Spread:
    """Return how far observed p95 lie from the curves': the same at every load."""
    places = (np.arange(_ERRORS) + 0.5) / _ERRORS
    errors = tuple(round(_OBSERVED * _STANDARD.inv_cdf(float(place)), 6) for place in places)
    return Spread(signal="latency_p95_s", edges=(), errors=(errors,), number=_ERRORS)


def _region(episode: Episode) -> Region:
    """Return where the deployment was seen: at every size that its bounds allow, and in a rush."""
    most = max(int(episode.params.money.hard_cap), 1)
    largest = max(float(episode.params.service.batch_limit), 1.0)
    corners = tuple((load, batch) for load in (0.0, _SEEN_LOAD) for batch in (1.0, largest))
    return Region(
        rho=(0.0, _SEEN_LOAD), batch=(1.0, largest), replicas=(1, most),
        layers=dict.fromkeys((1, most), corners),
    )  # fmt: skip


@cache
def _stages() -> dict[int, Stage]:
    """Return the programs that this process has compiled, by slots: all twins share them."""
    return {}


class Twin:
    """Answers the questions of one episode's controller, in its process and at once.

    Args:
        episode: Whose deployment.
    """

    def __init__(self, episode: Episode) -> None:
        self._theatre = Theatre(
            found=fitted(episode),
            standing=Standing(made_at=time_ns(-_AGE_S), good=True, oldest_ns=_OLDEST_NS),
            draws=DRAWS,
            stages=_stages(),
        )
        # Questions are numbered from 1 in every episode; their chance is not to be the same.
        first = stream(episode.scenario, episode.seed, "twin's questions").random()
        self._first = int(first * (1 << 30))

    def __call__(self, command: Rehearse, state: LoopState) -> Rehearsal:
        """Return the answer to a question of the loop.

        Args:
            command: The question.
            state: Of the loop that asks.
        """
        asked = Asked(
            id=command.id,
            at=command.at,
            managed=state.managed,
            evidence=state.evidence,
            incident=state.incident,
            candidates=command.candidates,
            horizon_ns=command.horizon_ns,
            draws=command.draws,
            seed=self._first + command.seed,
        )
        return answer(self._theatre, asked)
