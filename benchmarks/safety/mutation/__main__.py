"""Tries mutants of the guard kernel against the kernel's own tests, and says which survive.

`python -m safety.mutation --sample 300 --seed 7` draws some; without `--sample` all are tried. A
mutant that nobody can tell from the kernel is named in `equivalent.toml`, with the reason.
"""

import argparse
import json
import os
import random
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from safety.mutation import equivalent, fresh
from safety.mutation.inside import KERNEL, Inside, silence, words
from safety.mutation.kernel import TESTS, Mutant, mutants

FIRST = ("test_rules.py", "test_evidence_rules.py", "test_guards_page.py", "test_kernel.py")


def main() -> int:
    """Try what was asked for; return 1 if a mutant survives that nobody has argued away."""
    asked = _asked()
    began = time.perf_counter()
    chosen = _chosen(asked)
    argued = equivalent.reasons()
    tried = [mutant for mutant in chosen if mutant.name not in argued]
    found = _try(tried, asked.jobs, asked.tests or sorted(TESTS.glob("test_*.py")))
    survivors = [mutant.name for mutant in tried if found[mutant.name] == "survived"]
    cpu = sum(os.times()[:4])
    said = {
        "mutants": len(tried), "killed": len(tried) - len(survivors), "survivors": survivors,
        "equivalent": len(chosen) - len(tried), "of": len(mutants()), "seed": asked.seed,
        "cpu_s": round(cpu, 1), "wall_s": round(time.perf_counter() - began, 1),
    }  # fmt: skip
    if asked.json:
        asked.json.write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")
    print(f"{said['killed']} of {len(tried)} killed, {said['equivalent']} argued away; {cpu:.0f} s")
    for name in survivors:
        print(f"  survives: {name}")
    return 1 if survivors else 0


def _try(tried: list[Mutant], jobs: int, tests: list[Path]) -> dict[str, str]:
    """Return what became of each mutant: the quick way first, the sure way for the rest."""
    fresh.warm_up()
    found: dict[str, str] = {}

    def tell(name: str, outcome: str) -> None:
        found[name] = outcome
        if outcome == "survived":
            print(f"survives: {name}", file=sys.stderr, flush=True)

    quick, looked = _inside([mutant for mutant in tried if mutant.site.function], jobs, tests)
    left = []
    for mutant in tried:
        # What no file runs when it is imported has been tried by all tests that run it.
        again = [path for path in tests if path.name in looked.get(mutant.name, ())]
        again = tests if KERNEL in looked.get(mutant.name, ()) else again
        if mutant.name not in quick:
            left.append((mutant, tests))
        elif quick[mutant.name] == "survived" and again:
            left.append((mutant, again))
        else:
            tell(mutant.name, quick[mutant.name])
    print(f"{len(found)} tried quickly; {len(left)} by import ...", file=sys.stderr, flush=True)
    trials = [
        fresh.Trial(mutant=mutant, tests=fresh.nearest(mutant.module.name, some, FIRST))
        for mutant, some in left
    ]
    fresh.outcomes(trials, jobs, tell)
    return found


def _inside(
    tried: list[Mutant], jobs: int, tests: list[Path]
) -> tuple[dict[str, str], dict[str, list[str]]]:
    """Run the quick way in a process of its own, for it imports the kernel.

    Raises:
        SystemExit: A test fails without any mutant.
    """
    if not tried:
        return {}, {}
    reading, writing = os.pipe()
    process = os.fork()
    if not process:
        os.close(reading)
        silence()
        plugin = Inside(tried, jobs)
        pytest.main([*words(), *map(str, tests)], plugins=[plugin])
        said = {"found": plugin.outcomes, "looked": plugin.looked, "broken": plugin.broken}
        with open(writing, "w", encoding="utf-8") as pipe:  # noqa: PTH123 - a descriptor
            json.dump(said, pipe)
        os._exit(0)
    os.close(writing)
    with open(reading, encoding="utf-8") as pipe:  # noqa: PTH123 - a descriptor
        plain = json.load(pipe)
    os.waitpid(process, 0)
    if plain["broken"]:
        raise SystemExit(f"without any mutant these fail: {', '.join(plain['broken'])}")
    return plain["found"], plain["looked"]


def _chosen(asked: argparse.Namespace) -> list[Mutant]:
    every = [
        mutant
        for mutant in mutants()
        if (not asked.modules or mutant.module.name in asked.modules.split(","))
        and (asked.named is None or asked.named in mutant.name)
    ]
    if asked.sample is None or asked.sample >= len(every):
        return every
    return random.Random(asked.seed).sample(every, asked.sample)


def _asked(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m safety.mutation", description=__doc__)
    parser.add_argument("--sample", type=_some, help="so many, drawn; all without it")
    parser.add_argument("--seed", type=int, default=1, help="of the drawing")
    parser.add_argument("--modules", default="", help="only of these, such as sight,change")
    parser.add_argument("--named", help="only those whose name has this in it")
    parser.add_argument("--tests", type=_tests, help="only these files of tests/safety, by name")
    parser.add_argument("--jobs", type=_some, default=1, help="processes at a time")
    parser.add_argument("--json", type=Path, help="write what was found there")
    return parser.parse_args(arguments)


def _some(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"at least 1, got {number}")
    return number


def _tests(text: str) -> list[Path]:
    files = [TESTS / name for name in text.split(",")]
    if missing := [file.name for file in files if not file.is_file()]:
        raise argparse.ArgumentTypeError(f"tests/safety has no {missing[0]}")
    return files


if __name__ == "__main__":
    raise SystemExit(main())
