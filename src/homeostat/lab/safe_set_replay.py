"""Plays the safe-set table's policies in the twin and judges them against HOLD."""

from collections.abc import Iterator, Sequence

from homeostat.lab.baselines.hold import Hold
from homeostat.lab.draw import draw
from homeostat.lab.judge import Judgement, judge
from homeostat.lab.safe_set import SEEDS, Finding, Judged, examine
from homeostat.lab.scenario import Scenario
from homeostat.lab.types import Episode, Policy
from homeostat.lab.world import Played, World, compiled


def judged_with(world: World) -> Judged:
    """Return a judge that plays in a world; HOLD's run of the last episodes is kept.

    A code that HOLD earns by itself (K7 by standing by) is not the action's doing.
    """
    kept: dict[tuple[tuple[str, int], ...], tuple[Played, Judgement]] = {}

    def judged(policy: Policy, episodes: Sequence[Episode]) -> Sequence[tuple[str, ...]]:
        key = tuple((one.scenario, one.seed) for one in episodes)
        if key not in kept:
            kept.clear()
            hold = world.play(Hold(), episodes)
            kept[key] = hold, judge(hold.trace, hold.trace, orders=hold.orders)
        hold, by_itself = kept[key]
        played = world.play(policy, episodes)
        found = judge(played.trace, hold.trace, orders=played.orders)
        return [
            tuple(code for code in found.codes(i) if code not in by_itself.codes(i))
            for i in range(len(episodes))
        ]

    return judged


def examine_all(
    scenarios: Sequence[Scenario], seeds: int = SEEDS
) -> Iterator[tuple[Scenario, tuple[Finding, ...]]]:
    """Examine scenarios one after the other, each in a batch of its seeds.

    Args:
        scenarios: Of the catalogue.
        seeds: Replays of each action.

    Yields:
        A scenario and what was found; `safe_set.summarise` puts all together.
    """
    for scenario in scenarios:
        episodes = [draw(scenario, seed) for seed in range(seeds)]
        world = World(compiled(episodes[0].slots, episodes[0].tick_s), width=seeds)
        yield scenario, examine(episodes, judged_with(world))
