"""Carries out `lab oracle`: policies beside a clairvoyant that was not shown what they did."""

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from homeostat import __version__
from homeostat.cli import lab_files, lab_run
from homeostat.cli.lab_pool import Pool
from homeostat.cli.lab_run import progress
from homeostat.lab.draw import draw
from homeostat.lab.metrics_score import Scores, score
from homeostat.lab.oracle import Oracle, Search
from homeostat.lab.policies import make
from homeostat.lab.run import world_for
from homeostat.lab.scenario import Scenario
from homeostat.lab.yardstick import excess
from homeostat.report.lab_oracle import Beaten, Doubled, Measured, to_json
from homeostat.report.lab_oracle import Oracle as Found
from homeostat.report.lab_results import Figure, PolicyResults

SHOWN: Final = ("hold", "threshold", "hpa")
"""What the clairvoyant starts from: the plainest, so that it is no sum of all others."""
_WIDE: Final = 25  # plans looked at side by side


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be measured.

    Attributes:
        catalogue: Scenarios.
        policies: Names, the oracle left out.
        seeds: At least one.
        doubled: Scenarios on which twice the effort is tried as well.
        out: Folder.
        jobs: Workers.
    """

    catalogue: lab_files.Catalogue
    policies: tuple[str, ...]
    seeds: tuple[int, ...]
    doubled: tuple[Scenario, ...]
    out: Path
    jobs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A scenario to search with the usual and with twice the effort."""

    scenario: Scenario
    seeds: tuple[int, ...]


def search(pair: Pair) -> Doubled:
    """Search a scenario's episodes twice, each time from holding alone."""
    episodes = [draw(pair.scenario, seed) for seed in pair.seeds]
    world = world_for(episodes, _WIDE)
    hold = world.play(make("hold"), episodes)
    found = [Oracle(world, effort).own(episodes, hold) for effort in (Search(), Search().doubled())]
    worth = [
        float(score(one.trace, hold.trace, orders=one.orders).value.sum()) for one in (hold, *found)
    ]
    return Doubled(hold=worth[0], usual=worth[1], twice=worth[2])


class Run:
    """A measurement of the clairvoyant."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan

    def go(self) -> Found:
        """Play what is missing, and write oracle.json beside the run's own results.

        Raises:
            WorkerError: A worker process was ended from outside.
            FailedRunError: No policy could be played everywhere.
        """
        plan = self._plan
        names = tuple(dict.fromkeys((*SHOWN, *plan.policies)))
        outcome = lab_run.Run(
            lab_run.Plan(
                catalogue=plan.catalogue,
                policies=(*names, "oracle"),
                seeds=plan.seeds,
                out=plan.out,
                jobs=plan.jobs,
                films=0,
                shown=SHOWN,
            )
        ).go()
        best = outcome.scores["oracle"]
        found = self._found(
            outcome.results.wall_s,
            {
                name: measured(outcome.results.policies[name], outcome.scores[name], best)
                for name in names
                if name != "hold" and name in outcome.scores
            },
            dict(self._searched()),
        )
        lab_files.write(plan.out / "oracle.json", to_json(found))
        return found

    def _searched(self) -> Iterator[tuple[str, Doubled]]:
        pairs = [Pair(scenario=one, seeds=self._plan.seeds) for one in self._plan.doubled]
        if not pairs:
            return
        with (
            Pool(self._plan.jobs, lab_files.compile_cache()) as pool,
            progress("searches", len(pairs), 0) as advance,
        ):
            for pair, done in pool.each(search, pairs):
                advance(pair.scenario.id)
                yield pair.scenario.id, done

    def _found(
        self, wall_s: float, policies: Mapping[str, Measured], doubled: Mapping[str, Doubled]
    ) -> Found:
        plan = self._plan
        words = ["homeostat", "lab", "oracle", *plan.catalogue.arguments]
        words += ["--policies", ",".join(plan.policies), "--seeds", str(len(plan.seeds))]
        words += ["--first-seed", str(plan.seeds[0])] if plan.seeds[0] else []
        words += ["--doubled", ",".join(one.id for one in plan.doubled)] if plan.doubled else []
        return Found(
            version=__version__,
            made_at=datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
            commit=lab_files.commit(),
            command=shlex.join(words),
            wall_s=wall_s,
            machine=lab_files.machine(),
            catalogue=plan.catalogue.name,
            catalogue_digest=plan.catalogue.digest,
            seed_first=plan.seeds[0],
            seeds=len(plan.seeds),
            scenarios=len(plan.catalogue.scenarios),
            shown=SHOWN,
            policies=policies,
            doubled=dict(sorted(doubled.items())),
        )


def measured(results: PolicyResults, ours: Scores, best: Scores) -> Measured:
    """Return how a policy stands to the clairvoyant.

    Args:
        results: Of the policy.
        ours: Its scores.
        best: The clairvoyant's, of the same episodes in any order.
    """
    none = Figure(value=None, n=0)
    return Measured(
        share=results.metrics.get("share_of_oracle", none),
        mttr_ratio=results.metrics.get("mttr_ratio_to_oracle", none),
        beaten=beaten(ours, best),
    )


def beaten(ours: Scores, best: Scores) -> tuple[Beaten, ...]:
    """Return the scenarios in which a policy is worth more on average, the largest first."""
    found = [Beaten(scenario=name, more=more, low=low) for name, more, low in excess(ours, best)]
    return tuple(sorted(found, key=lambda one: -one.more))
