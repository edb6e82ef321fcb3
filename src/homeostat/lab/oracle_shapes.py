"""Whole plans of replicas, made from the load and the faults to come: as many as will be needed.

One edit more or less at a time does not get from few replicas to many where half of the way is
worth less than none. What holding comes to says what a replica can serve while the fault lasts.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final, cast

import numpy as np

from homeostat.lab.judge_view import Floats, array
from homeostat.lab.oracle_plans import Edit, later_from
from homeostat.lab.types import Episode
from homeostat.twin.orders import Orders
from homeostat.twin.outputs import Truth
from homeostat.twin.shapes import SCRAPE_S, Variant

USES: Final = (0.95, 0.75, 0.55)
"""Shares of what ready replicas can serve within the promise, tried one by one."""
_KEPT: Final = 20  # scrapes between two changes of the number: no flapping
_SLOWER: Final = 1.5  # a start takes so much longer than its median in 1 of 20, at sigma 0.25


def needed(episode: Episode, hold: Truth) -> Floats:
    """Return how many replicas each scrape needs at each of `USES`, A's lost ones on top [U, R].

    Args:
        episode: Whose starts take as long as they do.
        hold: What comes of holding, one episode's [T, ...].
    """
    ready, held = array(hold.ready), array(hold.held)
    each = _known(array(hold.capacity), ready.sum(axis=1))
    lost = held[:, Variant.A] - ready[:, Variant.A]  # they count among those that are asked for
    use = np.array(USES)[:, None]
    with np.errstate(divide="ignore"):
        replicas = array(hold.demand) / (each * use) + lost
    scrapes = replicas.shape[1] // SCRAPE_S
    of_scrapes = replicas[:, : scrapes * SCRAPE_S].reshape(len(USES), scrapes, SCRAPE_S)
    provision = episode.params.provision
    start_s = _SLOWER * (float(provision.delay_s) + float(provision.load_s))
    return _ahead(np.ceil(of_scrapes.mean(axis=2)), int(np.ceil(start_s / SCRAPE_S)) + 1)


def _known(capacity: Floats, ready: Floats) -> Floats:
    """Return what one ready replica serves, where none is as it was before [T]."""
    there = (ready > 0.0) & (capacity > 0.0)
    last = np.maximum.accumulate(np.where(there, np.arange(len(ready)), -1))
    each = np.where(there, capacity, 0.0) / np.maximum(ready, 1.0)
    return np.where(last >= 0, each[last], 0.0)


def _ahead(values: Floats, scrapes: int) -> Floats:
    """Return the most of each block of scrapes and of those soon after it, for all of the block."""
    out = np.empty_like(values)
    for first in range(0, values.shape[1], _KEPT):
        soon = values[:, first : first + _KEPT + scrapes]
        out[:, first : first + _KEPT] = soon.max(axis=1, keepdims=True)
    return out


def shapes(episode: Episode, need: Floats) -> Iterator[tuple[str, Edit]]:
    """Yield the edits that order what is needed from now on, with their names.

    Each of A's alone, and of A and the B that is there together, by their numbers.

    Args:
        episode: Its cap on replicas is kept.
        need: As `needed` returns it, from now on [U, R].
    """
    most = float(episode.params.money.hard_cap)
    for use, replicas in zip(USES, need, strict=True):
        yield f"as many as the load needs at {use:g}", _order(replicas, most, shared=False)
        yield f"as many as it needs at {use:g} with B", _order(replicas, most, shared=True)


def _order(wanted: Floats, most: float, *, shared: bool) -> Edit:
    def edit(plan: Orders) -> Orders:
        replicas, weights = np.array(plan.replicas), np.array(plan.weights)
        b = replicas[:, Variant.B]
        room = np.maximum(most - replicas.sum(axis=1) + replicas[:, Variant.A], 1.0)
        replicas[:, Variant.A] = np.clip(wanted - b * shared, 1.0, room)
        if shared:
            # What was planned for later stays.
            now = slice(0, later_from(plan))
            a, b = replicas[now, Variant.A], b[now]
            weights[now] = 0.0
            weights[now, Variant.A], weights[now, Variant.B] = a / (a + b), b / (a + b)
        values = {"replicas": replicas, "weights": weights}
        return replace(plan, **cast("Any", values))

    return edit
