"""A twin that foresees what a test says, and counts what it was asked."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from controller_made import Made, S, episode, play
from typing_extensions import override

from homeostat.base import names
from homeostat.base.actions import HOLD, Action, ActionKind
from homeostat.base.events import Rehearse
from homeostat.base.rehearsal import Foreseen, Means, Prospect, Quantiles, Rehearsal, Trust
from homeostat.base.state import LoopState
from homeostat.lab.controller import Controller
from homeostat.lab.types import Episode, Move
from homeostat.twin.orders import Orders
from homeostat.twin.outputs import Scrape

WARM = 20  # scrapes until baselines are ready and a version is trusted


def full(scenario: str = "S15", seed: int = 0) -> Episode:
    """Return an episode that may have no replica more: in an overload only batches can grow."""
    one = episode(seed, scenario=scenario)
    params = one.params
    values = {name: getattr(params, name) for name in params.__dataclass_fields__}
    money = {name: getattr(params.money, name) for name in params.money.__dataclass_fields__}
    money["hard_cap"] = type(money["hard_cap"])(5.0)
    values["money"] = type(params.money)(**money)
    return replace(one, params=type(params)(**values))


class Crowded(Made):
    """A deployment whose batches are full when it is overloaded, and which larger ones help."""

    def overload(self) -> None:
        """Let more come than it serves in time."""
        self.rate, self.p95_ms = 500.0, 900.0

    @override
    def scrape(self, orders: Orders | None = None) -> Scrape:
        found = super().scrape(orders)
        if float(np.asarray(self.orders.batch_max)[0, 0]) > 8.0:
            self.p95_ms = 150.0
        return found

    @override
    def _slot(self, slot: int) -> np.ndarray:
        found = super()._slot(slot)
        if self.rate >= 500.0 and np.isfinite(found[S[names.BATCH_FULL_SHARE]]):
            found[S[names.BATCH_FULL_SHARE]] = 0.9
            found[S[names.BATCH_SIZE]] = 8.0
        return found


class Foresees:
    """Stands for `controller_twin.Twin`.

    Args:
        holds: By kind of action: in which share of the draws the objectives are met at the end.
        reasons: Why it is not to be trusted.
    """

    def __init__(self, holds: Mapping[ActionKind, float], reasons: tuple[str, ...] = ()) -> None:
        self.holds, self.reasons = holds, reasons
        self.asked: list[tuple[Rehearse, LoopState]] = []

    def __call__(self, command: Rehearse, state: LoopState) -> Rehearsal:
        self.asked.append((command, state))
        return Rehearsal(
            id=command.id,
            at=command.at,
            horizon_ns=command.horizon_ns,
            draws=command.draws,
            prospects=tuple(self._prospect(one) for one in (HOLD, *command.candidates)),
            trust=Trust(reasons=self.reasons),
        )

    def beside(self, _: Episode) -> "Foresees":
        """Return itself, whosever twin is wanted."""
        return self

    def _prospect(self, action: Action) -> Prospect:
        holds = self.holds.get(action.kind, 0.5)

        def at(value: float) -> Quantiles:
            return Quantiles(p5=value, p50=value, p95=value)

        def seen(breach: float) -> Foreseen:
            return Foreseen(
                latency_ms=at(100.0), error_ratio=at(0.0), availability=at(1.0),
                usd_per_hour=at(6.0), breach=at(breach),
            )  # fmt: skip

        return Prospect(
            action=action, foreseen=seen(1.0 - holds), against_hold=seen(0.0), holds=holds,
            means=Means(missed=1.0 - holds, failed=0.0, usd_per_hour=6.0),
        )  # fmt: skip


def overloaded(
    controller: Controller, scrapes: int = 12, one: Episode | None = None, **said: Any
) -> tuple[Made, list[Move]]:
    """Play a healthy deployment and then an overload; return the deployment and what was done."""
    made = Crowded(**said)
    controller.start([one or full()])
    moves = play(controller, made, WARM)
    made.overload()
    return made, play(controller, made, scrapes, moves[-1].orders)
