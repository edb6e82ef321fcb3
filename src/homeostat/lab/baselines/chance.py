"""Draws uniformly from every action there is, the unsafe ones included: what no guard prevents.

Each decision is one action on one target, drawn from the episode's own generator, so that an
episode's actions do not depend on its neighbours. Nobody is ever told.
"""

import hashlib
from collections.abc import Callable, Sequence

import numpy as np

from homeostat.lab.baselines.levers import changed, move, quiet, standing
from homeostat.lab.types import Episode, Move
from homeostat.twin.outputs import Scrape

DECISION_S = 30.0  # the catalogue's default

Draft = dict[str, np.ndarray]  # the orders' fields of one episode, changed in place


def _scale_up(draft: Draft, v: int, _slot: int) -> None:
    draft["replicas"][v] += 1


def _scale_down(draft: Draft, v: int, _slot: int) -> None:
    draft["replicas"][v] = max(draft["replicas"][v] - 1, 0)


def _scale_to_zero(draft: Draft, v: int, _slot: int) -> None:
    draft["replicas"][v] = 0


def _batch_up(draft: Draft, v: int, _slot: int) -> None:
    draft["batch_max"][v] *= 2


def _batch_down(draft: Draft, v: int, _slot: int) -> None:
    draft["batch_max"][v] = max(np.floor(draft["batch_max"][v] / 2), 1)


def _resize_up(draft: Draft, _v: int, _slot: int) -> None:
    draft["concurrency"] *= 2


def _resize_down(draft: Draft, _v: int, _slot: int) -> None:
    np.maximum(np.floor(draft["concurrency"] / 2), 1, out=draft["concurrency"])


def _shift_all(draft: Draft, v: int, _slot: int) -> None:
    draft["weights"][:] = np.arange(len(draft["weights"])) == v


def _shift_some(draft: Draft, v: int, _slot: int) -> None:
    draft["weights"] *= 0.8
    draft["weights"][v] += 0.2


def _rollback(draft: Draft, v: int, _slot: int) -> None:
    draft["rollback"][v] = True


def _restart_one(draft: Draft, _v: int, slot: int) -> None:
    draft["restart"][slot] = True


def _restart_all(draft: Draft, _v: int, _slot: int) -> None:
    draft["restart"][:] = True


def _drain(draft: Draft, _v: int, slot: int) -> None:
    draft["drain"][slot] ^= True


def _shed(draft: Draft, _v: int, _slot: int) -> None:
    limited = np.isfinite(draft["admit_rps"])
    draft["admit_rps"][...] = np.where(limited, np.inf, draft["peak_rps"] / 2)


def _retrain(draft: Draft, _v: int, _slot: int) -> None:
    draft["retrain"][...] = True


def _retrain_ungated(draft: Draft, _v: int, _slot: int) -> None:
    draft["retrain_ungated"][...] = True


def _hold(_draft: Draft, _v: int, _slot: int) -> None:
    """Change nothing."""


ACTIONS: tuple[tuple[Callable[[Draft, int, int], None], bool], ...] = (
    (_hold, False),
    (_scale_up, False),
    (_scale_down, True),
    (_scale_to_zero, True),
    (_batch_up, False),
    (_batch_down, False),
    (_resize_up, False),
    (_resize_down, False),
    (_shift_all, True),
    (_shift_some, True),
    (_rollback, True),
    (_restart_one, True),
    (_restart_all, True),
    (_drain, True),
    (_shed, False),
    (_retrain, False),
    (_retrain_ungated, True),
)  # (what it does, whether it takes away or replaces capacity or versions)


class Chance:
    """One action a decision, every one of them as likely as any other.

    Args:
        decision_s: Between two decisions.
    """

    name = "random"

    def __init__(self, *, decision_s: float = DECISION_S) -> None:
        self._decision_s = decision_s

    def start(self, episodes: Sequence[Episode]) -> None:
        """Prepare for these episodes and draw all that they will do."""
        self._orders = standing(episodes)
        self._peak = np.array([np.max(e.params.demand.knots_rps) for e in episodes], np.float32)
        decisions = int(episodes[0].length_s // self._decision_s) + 1
        slots, variants = episodes[0].slots, np.shape(self._orders.replicas)[1]
        high = np.array([len(ACTIONS), variants, slots])
        self._drawn = np.stack([
            _generator(e).integers(high, size=(decisions, 3)) for e in episodes
        ])
        self._n = len(episodes)

    def act(self, now_s: float, scrape: Scrape) -> Move:  # noqa: ARG002  # looks at nothing
        """Do what was drawn for this decision; between two of them nothing."""
        self._orders = quiet(self._orders)
        if now_s % self._decision_s:
            return move(self._orders)
        chosen = self._drawn[:, int(now_s // self._decision_s) - 1]
        fields = {name: np.array(value) for name, value in vars(self._orders).items()}
        fields["peak_rps"] = self._peak
        destructive = np.zeros(self._n, bool)
        for i, (action, v, slot) in enumerate(chosen):
            do, destructive[i] = ACTIONS[action]
            do(
                {name: value[i : i + 1].reshape(value.shape[1:]) for name, value in fields.items()},
                v,
                slot,
            )
        del fields["peak_rps"]
        acted = chosen[:, 0] != 0
        self._orders = changed(self._orders, **(fields | {"by_us": acted}))
        return move(self._orders, intervened=acted, destructive=destructive)


def _generator(episode: Episode) -> np.random.Generator:
    digest = hashlib.sha256(f"random/{episode.scenario}/{episode.seed}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "little"))
