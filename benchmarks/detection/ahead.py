"""Lead times, and what is done on a forecast where nothing is wrong, on the lab's scenarios.

Lead is as the lab has it (`lab.metrics_people`): from the first alarm of the fault to HOLD's first
damage, here in provisioning times of the same episode: how long a replica takes from its order to
its first request, in the median. A fault that HOLD is hurt by and nobody alarmed of has none.
A pre-emptive action is one whose first write falls while the open incident is a load that is only
foreseen (`policy.foreseen`).
"""

import sys
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from homeostat.cli import lab_files
from homeostat.cli.lab_pool import Pool
from homeostat.lab.baselines.hold import Hold
from homeostat.lab.draw import draw
from homeostat.lab.judge_view import view
from homeostat.lab.metrics_score import score
from homeostat.lab.metrics_windows import damaged
from homeostat.lab.policies import make
from homeostat.lab.run import world_for
from homeostat.lab.thresholds import FROZEN
from homeostat.lab.types import Episode, Move, Trace
from homeostat.policy.foreseen import is_foreseen
from homeostat.twin.outputs import Scrape
from homeostat.twin.shapes import TICK_S

LED: Final = ("S04", "S07", "S08", "S12", "S20", "S42")
"""Scenarios of which lead is asked."""
BENIGN: Final = ("S22", "S43")
"""Scenarios without a fault in which nothing is to be done."""
_WIDE: Final = 25  # episodes side by side
_NONE: Final = float("-inf")


class Led(NamedTuple):
    """Lead in one scenario.

    Attributes:
        ratio: In provisioning times, of each episode that HOLD is hurt in; -inf where nobody
            alarmed.
        lead_s: The same in seconds.
        room: From the onset of the fault to HOLD's first damage, in provisioning times: the most
            that an alarm of the very first tick would have had. What alarms sooner is no alarm of
            the fault.
        episodes: How many were played.
    """

    ratio: Any
    lead_s: Any
    room: Any
    episodes: int


class Done(NamedTuple):
    """What was done where nothing is wrong.

    Attributes:
        foreseen: Actions on a load that was only foreseen.
        false: Changes and pages of any cause.
        days: Simulated.
    """

    foreseen: int
    false: float
    days: float


class Play(NamedTuple):
    """A scenario that is to be played.

    Attributes:
        scenario: Its id.
        seeds: Of its episodes.
    """

    scenario: str
    seeds: Sequence[int]


def played(plays: Sequence[Play]) -> dict[str, Any]:
    """Return `Led` or `Done` of each scenario, by its id; `Done` of those without a fault.

    In a process of its own, as the lab's runs: what it compiles is kept for the next one.
    """
    with Pool(1, lab_files.compile_cache()) as pool:
        return {one.scenario: what for one, what in pool.each(_measured, list(plays))}


def _measured(one: Play) -> Any:
    return (done if one.scenario in BENIGN else led)(one.scenario, one.seeds)


def led(scenario: str, seeds: Sequence[int]) -> Led:
    """Return the lead times of a scenario."""
    ratios, leads, rooms = [], [], []
    for episodes in _batches(scenario, seeds):
        world = world_for(episodes, len(episodes))
        hold = world.play(Hold(), episodes).trace
        room_s = _room_s(hold)
        hurt = np.isfinite(room_s)
        if not hurt.any():
            continue  # there is nothing to be ahead of
        own = world.play(Watched(), episodes)
        people = score(own.trace, hold, orders=own.orders).people
        lead = np.where(np.isfinite(people.lead_s), people.lead_s, _NONE)
        needs = np.array([_provision_s(one) for one in episodes])
        leads += lead[hurt].tolist()
        ratios += (lead / needs)[hurt].tolist()
        rooms += (room_s / needs)[hurt].tolist()
    return Led(np.array(ratios), np.array(leads), np.array(rooms), len(seeds))


def done(scenario: str, seeds: Sequence[int]) -> Done:
    """Return what was done in a scenario without a fault."""
    foreseen, false, days = 0, 0.0, 0.0
    for episodes in _batches(scenario, seeds):
        world, watched = world_for(episodes, len(episodes)), Watched()
        hold, own = world.play(Hold(), episodes), world.play(watched, episodes)
        scores = score(own.trace, hold.trace, orders=own.orders)
        foreseen += watched.foreseen
        false += float(scores.people.false_interventions.sum())
        days += float(scores.service.watched_s.sum()) / 86_400.0
    return Done(foreseen, false, days)


class Watched:
    """The shipped policy, whose actions on what is only foreseen are counted."""

    def __init__(self) -> None:
        self._inner: Any = make("homeostat")
        self.name = self._inner.name
        self._seen: set[tuple[int, str]] = set()

    @property
    def foreseen(self) -> int:
        """Return how many actions were of a load that was not there yet."""
        return len(self._seen)

    def start(self, episodes: Sequence[Episode]) -> None:
        """Begin anew."""
        self._seen.clear()
        self._inner.start(episodes)

    def act(self, now_s: float, scrape: Scrape) -> Move:
        """Let the policy act, and look at what it wrote and why."""
        move: Move = self._inner.act(now_s, scrape)
        for number, mind in enumerate(self._inner.minds):
            incident = mind.state.incident
            if incident is not None and is_foreseen(incident):
                ours = [one.action_id for one in mind.done.writes if not one.undo]
                self._seen |= {(number, action) for action in ours}
        return move


def _batches(scenario: str, seeds: Sequence[int]) -> list[list[Episode]]:
    catalogue = lab_files.catalogue(()).only((scenario,)).playable()
    (one,) = catalogue.scenarios
    episodes = [draw(one, seed, recorded=catalogue.recorded) for seed in seeds]
    return [episodes[k : k + _WIDE] for k in range(0, len(episodes), _WIDE)]


def _room_s(hold: Trace) -> Any:
    """Return the time from the onset to HOLD's first damage, seconds `[episode]`.

    NaN where it is not hurt after the onset.
    """
    seen = view(hold)
    onset = np.asarray(seen.onset_tick)[:, 0]
    after = np.arange(seen.valid.shape[1]) >= onset[:, None]
    hurt = damaged(seen, FROZEN) & after
    first = np.where(hurt.any(axis=1), hurt.argmax(axis=1), np.nan)
    return (first - onset) * TICK_S


def _provision_s(episode: Episode) -> float:
    """Return how long a replica takes until it serves, seconds, in the median."""
    provision = episode.params.provision
    return float(provision.delay_s) + float(provision.load_s)


def main(arguments: Sequence[str]) -> None:
    """Print lead times, or what was done where nothing is wrong: `detection.ahead 26 S08 S22`.

    Args:
        arguments: How many seeds, then scenarios.
    """
    seeds, *scenarios = arguments
    for one in scenarios:
        said = _measured(Play(one, range(int(seeds))))
        if isinstance(said, Done):
            print(
                f"{one}: {said.foreseen} on what was only foreseen, {said.days:.2f} days",
                flush=True,
            )
            continue
        middle, room = (
            float(np.median(part)) if len(part) else float("nan") for part in said[:3:2]
        )
        times = ", ".join(f"{ratio:.2f}" for ratio in said.ratio.tolist())
        print(
            f"{one}: hurt in {len(said.ratio)} of {said.episodes}; lead {middle:.2f} provisioning "
            f"times in the median, {room:.2f} from the onset; {times}",
            flush=True,
        )


if __name__ == "__main__":
    main(sys.argv[1:])
