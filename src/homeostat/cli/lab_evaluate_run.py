"""Carries out `lab evaluate`: plays, compares, and writes the page's tables and pictures."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from homeostat.base.errors import ConfigError
from homeostat.cli import lab_files, lab_trained
from homeostat.cli.lab_run import Outcome, Plan, Run
from homeostat.cli.output import Output, show, tell
from homeostat.lab.evaluation import HOLD, evaluate
from homeostat.lab.learned import RECIPES
from homeostat.learn import ppo_file, train
from homeostat.report import train_page
from homeostat.report.lab_evaluation import Evaluation, markdown, rows, to_json
from homeostat.report.lab_html import standalone

BEGIN: Final = "<!-- evaluation: begin -->"
END: Final = "<!-- evaluation: end -->"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What was asked for; see `cli.lab_evaluate`."""

    catalogue: lab_files.Catalogue
    policies: tuple[str, ...]
    reference: str
    seeds: tuple[int, ...]
    out: Path
    page: Path | None
    jobs: int


def main(asked: Asked, output: Output) -> None:
    """Play what is missing, compare, and write what was found.

    Raises:
        ConfigError: The reference is not among the policies, a policy could not be played, or the
            page has no place for the figures.
    """
    lab_files.known("reference", asked.reference, asked.policies)
    if asked.page is not None:
        _split(asked.page)  # before hours are spent
    plan = Plan(
        catalogue=asked.catalogue.playable(),
        policies=tuple(dict.fromkeys((HOLD, *asked.policies))),
        seeds=asked.seeds,
        out=asked.out,
        jobs=asked.jobs,
        films=0,
    )
    outcome = Run(plan).go()
    if outcome.failed:
        text = "; ".join(outcome.failed.values())
        raise ConfigError(f"{text}; mend it or leave the policy out of --policies")
    ordered = {name: outcome.scores[name] for name in plan.policies}
    found = replace(evaluate(ordered, asked.reference), made=_made(asked, outcome))
    lab_files.write(asked.out / "evaluation.json", to_json(found))
    curves = _curves(lab_trained.shipped())
    for name, picture in curves.items():
        lab_files.write(asked.out / name, picture)
    if asked.page is not None:
        _into(asked.page, found, curves)
    show(rows(found), output)
    tell(f"wrote {asked.out / 'evaluation.json'}" + (f" and {asked.page}" if asked.page else ""))


def _made(asked: Asked, outcome: Outcome) -> dict[str, str]:
    machine = outcome.results.machine
    words = ["homeostat lab evaluate", f"--seeds {len(asked.seeds)}"]
    words += [f"--first-seed {asked.seeds[0]}"] if asked.seeds[0] else []
    words += [f"--policies {','.join(asked.policies)}", f"--reference {asked.reference}"]
    words += list(asked.catalogue.arguments)
    return {
        "command": " ".join(words),
        "commit": outcome.results.commit[:12] or "no commit",
        "machine": f"{machine.cores} cores of {machine.cpu}",
    }


def _curves(shipped: Mapping[str, bytes]) -> dict[str, str]:
    """Return the learning curves of the policies that ship, a picture each."""
    found = {}
    for name in sorted(set(shipped) & set(RECIPES)):
        data = shipped[name]
        said, curve = ppo_file.manifest_of(data), ppo_file.curve_of(data)
        steps = int(said["config"]["environments"]) * int(said["config"]["length"])
        picture = train_page.curve(
            train.column(curve, "finished").T.tolist(), f"reward of an episode, {name}",
            "Higher is better. No point where no episode was over.", steps,
        )  # fmt: skip
        found[f"learning_{name}.svg"] = standalone(picture)
    return found


def _split(page: Path) -> tuple[str, str]:
    """Return what stands before and after the figures of a page.

    Raises:
        ConfigError: It cannot be read, or has no marks.
    """
    try:
        text = page.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{page}: it cannot be read ({error.strerror})") from error
    head, begun, rest = text.partition(BEGIN)
    _, ended, tail = rest.partition(END)
    if not (begun and ended):
        raise ConfigError(f"{page} lacks {BEGIN} and {END}: they say where the figures go")
    return head, tail


def _into(page: Path, found: Evaluation, curves: Mapping[str, Any]) -> None:
    head, tail = _split(page)
    folder = page.with_suffix("")
    shown = "\n\n".join(f"![Learning curve]({folder.name}/{name})" for name in sorted(curves))
    folder.mkdir(exist_ok=True)
    for name, picture in curves.items():
        lab_files.write(folder / name, picture)
    lab_files.write(page, f"{head}{BEGIN}\n{markdown(found)}\n\n{shown}\n{END}{tail}")
