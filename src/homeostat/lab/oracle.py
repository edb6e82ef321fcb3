"""The clairvoyant: a receding-horizon search that knows the faults, the future and the chance.

At the onset and every 5 minutes it tries changes to its plan in the twin itself, from the present
state with the same key, and keeps what is worth most over its horizon; every so often it tries slow
changes over a long one. It tells a person at the onset. It starts from the best of the plans that
it is given (other policies' recorded orders) and from holding, and ends as the best of them and its
own, so that no policy among them beats it. It is a yardstick, not a policy: it needs the twin's
state.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from homeostat.lab import human, oracle_plans, oracle_shapes
from homeostat.lab.baselines.levers import changed, move, standing
from homeostat.lab.judge_view import run_length, sustained, ticks
from homeostat.lab.metrics_score import score
from homeostat.lab.oracle_harm import PAST_S
from homeostat.lab.oracle_value import Past, look
from homeostat.lab.thresholds import FROZEN
from homeostat.lab.types import FAMILIES, Episode, Trace
from homeostat.lab.world import Batch, Played, Tape, World
from homeostat.twin.orders import Orders
from homeostat.twin.outputs import Truth
from homeostat.twin.shapes import SCRAPE_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """How hard the oracle tries.

    Attributes:
        replan_s: Between two searches.
        horizon_s: Over which plans are compared.
        long_horizon_s: Over which slow changes are.
        long_every: Every how many searches the slow ones are tried too.
        rounds: Most edits put on top of each other in one search; 0 = nothing is searched, a person
            is told.
        finer: Whether more values of each lever are tried (`oracle_plans.edits`).
    """

    replan_s: int = 300
    horizon_s: int = 900
    long_horizon_s: int = 5400
    long_every: int = 6
    rounds: int = 3
    finer: bool = False

    def doubled(self) -> "Search":
        """Return a search of twice the effort in everything.

        Half the interval, twice the depth, both horizons twice as long, more values of each lever.
        """
        return Search(
            replan_s=self.replan_s // 2,
            horizon_s=2 * self.horizon_s,
            long_horizon_s=2 * self.long_horizon_s,
            long_every=self.long_every,
            rounds=2 * self.rounds,
            finer=True,
        )


class Oracle:
    """Plays episodes as well as the search can.

    Args:
        world: Where to play; its width is also how many plans are looked at side by side.
        search: How hard to try.
        person_scale: Multiplies the human model's delays.
    """

    name = "oracle"

    def __init__(
        self, world: World, search: Search | None = None, *, person_scale: float = 1.0
    ) -> None:
        self._world = world
        self._search = search or Search()
        self._scale = person_scale

    def play(
        self, episodes: Sequence[Episode], hold: Played, others: Sequence[Played] = ()
    ) -> Played:
        """Return the best run that was found of one batch.

        Args:
            episodes: As for `World.play`.
            hold: HOLD's run of them.
            others: Other policies' runs, to start from and to fall back on.
        """
        known = (hold, *others)
        value = np.stack([self._worth(one, hold) for one in known])
        people = [_person(e, self._scale) for e in episodes]
        best = value.argmax(axis=0)
        # From the best known plan, and from holding: edits may not lead out of a plan of a hundred
        # orders to a better one that is a few away from holding.
        starts = [best] if (best == 0).all() else [best, np.zeros_like(best)]
        own = [self._attempt(people, hold, known, start) for start in starts]
        worth = np.stack([*(self._worth(one, hold) for one in own), *value])
        return _pick((*own, *known), worth.argmax(axis=0), self.name)

    def own(self, episodes: Sequence[Episode], hold: Played) -> Played:
        """Return what the search finds by itself: begun from holding, and never HOLD's run instead.

        Args:
            episodes: As for `World.play`.
            hold: HOLD's run of them.
        """
        people = [_person(e, self._scale) for e in episodes]
        return self._attempt(people, hold, (hold,), np.zeros(len(episodes), np.int64))

    def _worth(self, played: Played, hold: Played) -> np.ndarray:
        # By the delays that the run is judged with: standing by counts from a person's answer on.
        return score(played.trace, hold.trace, orders=played.orders, person_scale=self._scale).value

    def _attempt(
        self, people: Sequence["_Person"], hold: Played, known: Sequence[Played], start: np.ndarray
    ) -> Played:
        """Return what the search makes of one known plan for each episode."""
        attempt = _Attempt(self._world, self._search, people, hold)
        attempt.begin([row(known[k].orders, i) for i, k in enumerate(start)])
        return attempt.play(self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Person:
    """Who is told at the onset.

    Attributes:
        onset: First scrape that begins at or after the onset; -1 = nobody is told.
        fixes: Whether the fix takes effect with the orders of each scrape [D].
        minutes: Of their time.
    """

    onset: int
    fixes: np.ndarray
    minutes: float


def _person(episode: Episode, scale: float) -> _Person:
    scrapes = episode.length_s // SCRAPE_S
    fixes = np.zeros(scrapes, bool)
    told = episode.onset_s / SCRAPE_S
    if episode.benign or not told < scrapes:
        return _Person(onset=-1, fixes=fixes, minutes=0.0)
    onset = max(1, int(np.ceil(told)))
    response = human.respond(episode, float(onset * SCRAPE_S), scale=scale)
    fixed = int(np.ceil(response.fixed_s / SCRAPE_S))
    if fixed < scrapes:
        fixes[fixed] = True
    return _Person(onset=onset, fixes=fixes, minutes=response.minutes)


def row(orders: Any, at: int) -> Any:
    """Return one element of the leading axis of orders."""
    return jax.tree.map(lambda leaf: np.asarray(leaf)[at], orders)


def _differs(before: Orders, now: Orders) -> np.ndarray:
    """Return in which episodes these orders are an own action [N]: a new value, or an impulse."""
    levers = ("replicas", "weights", "batch_max", "concurrency", "admit_rps", "drain")
    impulses = ("restart", "rollback", "retrain", "retrain_ungated")
    found = np.zeros(len(np.asarray(now.admit_rps)), bool)
    for name in levers:
        new, old = np.asarray(getattr(now, name)), np.asarray(getattr(before, name))
        found |= (new != old).reshape(len(found), -1).any(axis=1)
    for name in impulses:
        found |= np.asarray(getattr(now, name)).reshape(len(found), -1).any(axis=1)
    return found


def _takes_away(before: Orders, now: Orders) -> np.ndarray:
    """Return in which episodes these orders remove or replace capacity or versions [N]."""
    fewer = (np.asarray(now.replicas) < np.asarray(before.replicas)).any(axis=1)
    drained = (np.asarray(now.drain) & ~np.asarray(before.drain)).any(axis=1)
    restarted, rolled = np.asarray(now.restart).any(axis=1), np.asarray(now.rollback).any(axis=1)
    return np.asarray(fewer | drained | restarted | rolled)


def _pick(runs: Sequence[Played], best: np.ndarray, name: str) -> Played:
    """Return for each episode the run that was best."""

    def choose(*leaves: np.ndarray) -> np.ndarray:
        return np.stack([leaves[k][i] for i, k in enumerate(best)])

    traces = [one.trace for one in runs]
    trace = Trace(
        episodes=traces[0].episodes,
        policy=name,
        truth=jax.tree.map(choose, *[t.truth for t in traces]),
        moves={key: choose(*[t.moves[key] for t in traces]) for key in traces[0].moves},
        signal_age_s=choose(*[t.signal_age_s for t in traces]),
    )
    return Played(trace=trace, orders=jax.tree.map(choose, *[one.orders for one in runs]))


class _Attempt:
    """One batch: its plans, and the search that changes them."""

    def __init__(
        self, world: World, search: Search, people: Sequence[_Person], hold: Played
    ) -> None:
        episodes = hold.trace.episodes
        self._batch = Batch(world.steps, episodes, world.width)
        self._search = search
        self._episodes = tuple(episodes)
        self._tape = Tape(episodes)
        begin = standing(episodes)
        self._standing = [row(begin, i) for i in range(len(episodes))]
        self._people = tuple(people)
        truth = hold.trace.truth
        self._hold: Truth = jax.tree.map(np.asarray, truth)
        self._needed = [
            oracle_shapes.needed(one, row(self._hold, i)) for i, one in enumerate(episodes)
        ]
        short = np.asarray(truth.capacity) < np.asarray(truth.demand)
        self._least = ticks(FROZEN.k2_for_s)
        self._excused = sustained(short, self._least)

    def begin(self, plans: list[Orders]) -> None:
        """Start from these plans, one per episode, fields [D, ...]."""
        pairs = zip(plans, self._people, strict=True)
        self._plans = [changed(plan, person_fixes=person.fixes) for plan, person in pairs]

    def play(self, name: str) -> Played:
        """Search and play until the end."""
        every = self._search.replan_s // SCRAPE_S
        everyone = range(len(self._episodes))
        now = standing(self._episodes)
        searches = 0
        phase = variant = np.zeros((len(self._episodes), 0))
        for at in range(self._tape.scrapes):
            before = now
            # The first orders are those the episode begins with: nobody decides before a scrape.
            # Each episode is planned at its own onset alone: company changes nothing about it.
            struck = [i for i in everyone if at > 0 and self._people[i].onset == at]
            if at == 1 or (at > 0 and at % every == 0):
                slow = everyone if searches % self._search.long_every == 0 else struck
                self._improve(at, phase, variant, everyone, slow)
                searches += 1
            elif struck:
                self._improve(at, phase, variant, struck, struck)
            if at > 0:
                now = self._orders(at)
                now = changed(now, by_us=_differs(before, now))
                self._note(at, before, now)
            self._tape.ordered(at, now)
            truth, _ = self._batch.advance(now)
            self._tape.ticks(at, truth)
            # The truth: a scrape calls a process that hangs ready.
            slots = self._batch.state.live.slots
            phase, variant = np.asarray(slots.phase), np.asarray(slots.variant)
        self._tape.moved(at, move(now))
        return self._tape.played(name)

    def _orders(self, at: int) -> Orders:
        rows = [row(plan, at) for plan in self._plans]
        return jax.tree.map(lambda *leaves: np.stack(leaves), *rows)  # type: ignore[no-any-return]

    def _note(self, at: int, before: Orders, now: Orders) -> None:
        told = np.array([person.onset == at for person in self._people])
        known = np.array([0 <= person.onset <= at for person in self._people])
        family = np.array([FAMILIES.index(e.family) for e in self._episodes])
        minutes = np.array([p.minutes for p in self._people], np.float32)
        noted = move(
            now,
            intervened=np.asarray(now.by_us),
            paged=told,
            family=np.where(known, family, -1),
            destructive=_takes_away(before, now),
            person_minutes=np.where(told, minutes, np.float32(0)),
            alarm=known,
        )
        self._tape.moved(at - 1, noted)

    def _improve(
        self,
        at: int,
        phase: np.ndarray,
        variant: np.ndarray,
        which: Sequence[int],
        slow: Sequence[int],
    ) -> None:
        """Change plans from scrape `at` on where that gains; some by slow edits too."""
        if slow:
            scrapes = self._search.long_horizon_s // SCRAPE_S
            tries = {
                i: list(oracle_plans.slow_edits(self._episodes[i], self._standing[i])) for i in slow
            }
            self._climb(at, scrapes, tries, min(1, self._search.rounds))
        scrapes, finer = self._search.horizon_s // SCRAPE_S, self._search.finer
        quick = {
            i: [
                *oracle_plans.edits(
                    self._episodes[i], self._standing[i], phase[i], variant[i], finer=finer
                ),
                *oracle_shapes.shapes(self._episodes[i], self._needed[i][:, at:]),
            ]
            for i in which
        }
        self._climb(at, scrapes, quick, self._search.rounds)
        self._reconsider(at, quick)

    def _reconsider(
        self, at: int, quick: Mapping[int, list[tuple[str, oracle_plans.Edit]]]
    ) -> None:
        """Give up what was planned for later where what is done in time makes it needless."""
        rests = {i: jax.tree.map(lambda leaf: leaf[at:], self._plans[i]) for i in quick}
        tries = {
            i: list(
                oracle_plans.instead_of_later(
                    self._standing[i], quick[i], self._people[i].onset - at
                )
            )
            for i, rest in rests.items()
            if oracle_plans.moves_later(rest)
        }
        scrapes = self._search.long_horizon_s // SCRAPE_S
        self._climb(at, scrapes, tries, min(1, self._search.rounds))

    def _climb(
        self,
        at: int,
        scrapes: int,
        tries: Mapping[int, list[tuple[str, oracle_plans.Edit]]],
        rounds: int,
    ) -> None:
        """Put the best of each episode's edits on top of its plan, as long as that gains."""
        best: dict[int, float] = {}
        active = set(tries)
        for _ in range(rounds):
            pairs = [(i, plan) for i in sorted(active) for plan in self._edited(i, at, tries[i])]
            # What is there already is looked at beside the first edits, not before them.
            begun = [(i, self._plans[i]) for i in sorted(active - best.keys())]
            costs = self._costs(at, scrapes, begun + pairs)
            best |= {i: float(costs[n]) for n, (i, _) in enumerate(begun)}
            better: dict[int, Orders] = {}
            for (i, plan), cost in zip(pairs, costs[len(begun) :], strict=True):
                if cost < best[i] - 1e-6 * abs(best[i]):
                    best[i], better[i] = float(cost), plan
            for i, plan in better.items():
                self._plans[i] = plan
            active = set(better)
            if not active:
                return

    def _edited(
        self, i: int, at: int, tries: list[tuple[str, oracle_plans.Edit]]
    ) -> Iterator[Orders]:
        """Yield the plans that an episode's edits come to, if they are not the plan itself."""
        plan = self._plans[i]
        rest: Orders = jax.tree.map(lambda leaf: leaf[at:], plan)
        for _, edit in tries:
            new = changed(edit(rest), person_fixes=np.asarray(rest.person_fixes))
            leaves = zip(jax.tree.leaves(new), jax.tree.leaves(rest), strict=True)
            if any(not np.array_equal(a, b) for a, b in leaves):
                yield jax.tree.map(
                    lambda old, tail: np.concatenate([old[:at], tail.astype(old.dtype)]), plan, new
                )

    def _costs(self, at: int, scrapes: int, pairs: list[tuple[int, Orders]]) -> np.ndarray:
        """Return what each (episode, plan) comes to from scrape `at`, in hourly budgets."""
        until = min(at + scrapes, self._tape.scrapes)
        costs = np.zeros(len(pairs))
        past = self._past(at, until)
        for first in range(0, len(pairs), self._batch.width):
            some = pairs[first : first + self._batch.width]
            index = np.array([i for i, _ in some])
            ahead = [jax.tree.map(lambda leaf: leaf[at:until], plan) for _, plan in some]
            plans: Orders = jax.tree.map(lambda *leaves: np.stack(leaves), *ahead)
            seen = look(self._batch, index, plans, past)
            harm = FROZEN.risk_k2 * self._starves(at, index, seen.short)
            harm = harm + FROZEN.risk_k5 * seen.destroyed + seen.harm
            costs[first : first + len(some)] = seen.budgets + FROZEN.value_budgets * harm
        return costs

    def _past(self, at: int, until: int) -> Past:
        begin = max(0, at - PAST_S // SCRAPE_S)
        truth, orders = self._tape.since(begin, at)
        span = slice(begin * SCRAPE_S, until * SCRAPE_S)
        hold: Truth = jax.tree.map(lambda leaf: leaf[:, span], self._hold)
        return Past(truth=truth, orders=orders, hold=hold)

    def _starves(self, at: int, index: np.ndarray, short: np.ndarray) -> np.ndarray:
        """Return which plans leave too little capacity where HOLD has enough (K2)."""
        begin = at * SCRAPE_S
        ours = short & ~self._excused[index, begin : begin + short.shape[1]]
        return np.asarray((run_length(ours) >= self._least).any(axis=1))
