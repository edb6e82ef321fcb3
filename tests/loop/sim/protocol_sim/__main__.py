"""`make sim`: prints what the simulation finds: storms without end, and every mutant.

`python -m protocol_sim --seed N` shows one run, effect by effect, as far as it breaks a promise.
`--keep` keeps the figures for the page of the documentation, with what it takes to repeat them.
"""

import argparse
import sys
from concurrent.futures import ProcessPoolExecutor, as_completed
from itertools import count
from time import monotonic

from protocol_sim.chance import ALL_KINDS
from protocol_sim.driver import Report, run, shrunk, traced
from protocol_sim.memory import Violation
from protocol_sim.mutants import Caught, first_caught
from protocol_sim.mutants_first import ALL_MUTANTS as MUTANTS
from protocol_sim.options import Options

SEEDS_A_PIECE = 200  # some 300,000 effects: a quarter of a minute
CI_EFFECTS, CI_FAULTS, LONG_EFFECTS = 5_000_000, 100_000, 100_000_000  # what is asked
LEAST_MUTANTS = 30  # likewise


def main() -> int:
    """Run what was asked for; return 1 if a promise was broken or a mutant got away."""
    asked = _asked()
    if asked.seed is not None:
        print(traced(shrunk(Options.of(asked.seed))))
        return 0
    begun = monotonic()
    total, broken = _storms(asked.effects, asked.jobs, asked.first)
    missed = _mutants(asked.jobs) if asked.mutants else []
    if asked.keep:
        _keep(asked, total, (len(broken), len(missed)), monotonic() - begun)
    return 1 if broken or missed else 0


def piece(first: int) -> tuple[Report, list[str]]:
    """Run some seeds; return what they did, and each broken promise with how to see it."""
    total, broken = Report(), []
    for seed in range(first, first + SEEDS_A_PIECE):
        try:
            total.add(run(Options.of(seed)))
        except Violation as violation:
            broken.append(f"seed {seed}: {violation}")
    return total, broken


def caught(number: int) -> Caught | None:
    """Plant one mutant."""
    return first_caught(MUTANTS[number])


def _storms(effects: int, jobs: int, first: int) -> tuple[Report, list[str]]:
    total, broken, begun = Report(), list[str](), monotonic()
    starts = count(first, SEEDS_A_PIECE)
    with ProcessPoolExecutor(jobs) as pool:
        running = {pool.submit(piece, next(starts)) for _ in range(jobs)}
        while running:
            done = next(as_completed(running))
            running.discard(done)
            found, seen = done.result()
            total.add(found)
            broken += seen
            if total.effects < effects:
                running.add(pool.submit(piece, next(starts)))
            print(f"{total.effects:,} effects, {monotonic() - begun:.0f} s", file=sys.stderr)
    _tell(total, broken, monotonic() - begun)
    return total, broken


def _tell(total: Report, broken: list[str], seconds: float) -> None:
    faults = sum(total.faults.values())
    print(f"effects            {total.effects:,} ({total.effects / seconds:,.0f} a second)")
    print(f"faults             {faults:,} of {len(total.faults)} kinds of {len(ALL_KINDS)}")
    print(f"violations         {len(broken)}")
    print(f"settled within     {total.settle_ticks} ticks after the faults stopped")
    print(f"durable records    {total.done['records']:,}, each replayed from what made it")
    print(f"writes that landed {total.done['applies']:,} of {total.done['sends']:,} sent")
    for title, counted in (
        ("ends", total.ends),
        ("checks", total.checked),
        ("without compare-and-set, counted", total.stale),
        ("faults", total.faults),
    ):
        print(f"\n{title}")
        for name, number in counted.most_common():
            print(f"  {number:>12,}  {name}")
    for line in broken:
        print(f"VIOLATION {line}; `python -m protocol_sim --seed N` shows it")


def _mutants(jobs: int) -> list[str]:
    print("\n| mutant | caught by | seeds |\n|---|---|---|")
    missed = []
    with ProcessPoolExecutor(jobs) as pool:
        for mutant, found in zip(MUTANTS, pool.map(caught, range(len(MUTANTS))), strict=True):
            told = "**not caught**" if found is None else found.invariant
            print(f"| {mutant.name} | {told} | {'' if found is None else found.seeds} |")
            missed += [mutant.name] if found is None else []
    print(f"\n{len(MUTANTS) - len(missed)} of {len(MUTANTS)} mutants caught")
    return missed


def _keep(asked: argparse.Namespace, total: Report, wrong: tuple[int, int], seconds: float) -> None:
    """Keep what was found where the page of figures is written from."""
    from safety import figures  # noqa: PLC0415 - of the benchmarks; a run that keeps nothing has none

    broken, missed = wrong
    faults, planted = sum(total.faults.values()), len(MUTANTS)
    made_at, commit, machine = figures.stamp()
    rows = [
        figures.Figure(
            what="effects of the protocol in storms of faults, each followed by calm",
            asked=f">= {CI_EFFECTS:,} in CI, {LONG_EFFECTS:,} in the long form",
            measured=f"{total.effects:,}",
            met=total.effects >= CI_EFFECTS,
        ),
        figures.Figure(
            what=f"faults, of {len(total.faults)} kinds of {len(ALL_KINDS)}",
            asked=f">= {CI_FAULTS:,}",
            measured=f"{faults:,}",
            met=faults >= CI_FAULTS and set(total.faults) == ALL_KINDS,
        ),
        figures.Figure(
            what="promises broken (I1 to I18)", asked="0", measured=f"{broken}", met=not broken
        ),
        figures.Figure(
            what="ticks until all was at rest after the faults, at most",
            measured=f"{total.settle_ticks}",
        ),
    ]
    if asked.mutants:
        rows += [
            figures.Figure(
                what="semantic mutants of the protocol caught by a checker",
                asked=f"all, and >= {LEAST_MUTANTS}",
                measured=f"{planted - missed} of {planted}",
                met=not missed and planted >= LEAST_MUTANTS,
            )
        ]
    kept = figures.Kept(
        part="sim", title="The simulation", long=asked.effects >= LONG_EFFECTS, seed=asked.first,
        command=f"make sim SIM_EFFECTS={asked.effects} KEEP=1", made_at=made_at, commit=commit,
        machine=machine, wall_s=round(seconds, 1), figures=tuple(rows),
    )  # fmt: skip
    print(figures.publish(kept), file=sys.stderr)


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="protocol_sim", description=__doc__)
    parser.add_argument("--effects", type=int, default=5_000_000, help="at least so many")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--first", type=int, default=100_000_000, help="first seed")
    parser.add_argument("--seed", type=int, help="show this one seed's run instead")
    parser.add_argument("--no-mutants", dest="mutants", action="store_false")
    parser.add_argument("--keep", action="store_true", help="keep the figures for the page")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
