"""Carries out `lab choose`: judges the seeds of a training run, writes the best one alone.

By random compositions that no policy was trained in (`lab.learned_choose`), or by those of one
family of faults, for a run that was trained without it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np

from homeostat.base.errors import ConfigError
from homeostat.cli import lab_files
from homeostat.lab import environment_draw, learned
from homeostat.lab.learned_choose import Judged, judged
from homeostat.lab.types import FAMILIES
from homeostat.lab.world import stack
from homeostat.learn import ppo_file, train
from homeostat.learn.ppo_config import Config

_HOUR_S: Final = 3600
_WIDTH: Final = 32


def choose(
    policies: Path, out: Path | None, compositions: int, family: str | None, commit: str | None
) -> list[dict[str, Any]]:
    """Judge the seeds of a file; write the best one alone where that is asked for.

    Args:
        policies: From `homeostat train`.
        out: Where the best one is written; None = nowhere.
        compositions: How many to judge by.
        family: Of the faults; None = all.
        commit: Of the program that trained; None = this one.

    Returns:
        A row for each seed.

    Raises:
        ConfigError: The file cannot be read, the family does not exist, or there are not so many
            compositions; or the commit is not said where it cannot be known.
        PpoFileError: The file holds no policies of these observations and actions.
        UntrainedError: Its rules are no policy's.
    """
    data = _bytes(policies)
    networks = learned.several(data)
    said = networks[0].manifest
    name = learned.name_of(said)
    found = judged(name, networks, _episodes(said, compositions, family), _WIDTH)
    if out is not None:
        curve = ppo_file.curve_of(data)
        facts = _facts(said, found, compositions) | {
            "made": {
                "command": command_of(said, len(curve)),
                "commit": commit or _own_commit(said),
                "machine": asdict(lab_files.machine()),
            }
        }
        lab_files.write_bytes(out, _alone(curve, networks, found.best, dict(said) | facts))
    return _rows(name, said, found)


def _episodes(said: Mapping[str, Any], count: int, family: str | None) -> Any:
    if family is not None:
        lab_files.known("family", family, FAMILIES)
    drawn = said["episodes"]
    try:
        return environment_draw.episodes(
            count,
            known=lab_files.catalogue(()).scenarios,
            slots=drawn["slots"],
            length_s=_HOUR_S,
            first=environment_draw.CHOOSE,
            without=tuple(one for one in FAMILIES if family not in {None, one}),
        )
    except ValueError as error:
        raise ConfigError(str(error)) from error


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise ConfigError(f"{file}: it cannot be read ({error.strerror})") from error


def _own_commit(said: Mapping[str, Any]) -> str:
    if said["code"] != lab_files.code_digest():
        raise ConfigError(
            "the policies were trained by another program than this one; name its commit with "
            "--commit"
        )
    return lab_files.commit()


def _facts(said: Mapping[str, Any], found: Judged, compositions: int) -> dict[str, Any]:
    """Return what the manifest of the one that is kept says besides its training."""
    low, high = found.spans()[found.best]
    return {
        "seeds": [said["seeds"][found.best]],
        "chosen": {
            "among": list(said["seeds"]),
            "by": {"compositions": compositions, "from_seed": environment_draw.CHOOSE},
            "gain_over_hold": [round(float(one), 6) for one in found.gain],
            "interval": [round(low, 6), round(high, 6)],
            "program": lab_files.code_digest(),
        },
    }


def _alone(
    curve: np.ndarray, networks: Sequence[learned.Network], at: int, said: Mapping[str, Any]
) -> bytes:
    """Return one seed's policy as a file of its own, with its learning curve."""
    weights = stack([networks[at].weights])
    width = len(train.COLUMNS)
    return ppo_file.save(weights, curve[:, at * width : (at + 1) * width], said)


def command_of(said: Mapping[str, Any], updates: int) -> str:
    """Return the command that trains such policies.

    Args:
        said: Their manifest.
        updates: Of the run.
    """
    config, drawn, rules = said["config"], said["episodes"], said["rules"]
    steps = config["environments"] * config["length"]
    words = [
        "homeostat train", f"--budget-steps {steps * updates}",
        f"--seeds {len(said['seeds'])}", f"--first-seed {said['seeds'][0]}",
        f"--environments {config['environments']}", f"--length {config['length']}",
        f"--episodes {drawn['compositions']}", f"--slots {drawn['slots']}",
        f"--hours {drawn['length_s'] // _HOUR_S}", f"--reward {said['reward']['kind']}",
    ]  # fmt: skip
    entropy = config["entropy_weight"]
    words += [f"--entropy {entropy:g}"] if entropy != Config().entropy_weight else []
    words += ["--hash-rate"] if config["hash_rate"] is not None else []
    words += [] if rules["guarded"] else ["--unguarded"]
    words += [f"--without {name}" for name in drawn["without"]]
    words += [f"--limit {one['name']}={one['most']}" for one in config["limits"]]
    return " ".join(words)


def _rows(name: str, said: Mapping[str, Any], found: Judged) -> list[dict[str, Any]]:
    return [
        {
            "policy": name,
            "seed": seed,
            "gain over hold": f"{gain:+.3f}",
            "interval": f"{low:+.3f} to {high:+.3f}",
            "catastrophes": int(caused.sum()),
            "episodes": len(found.hold),
            "chosen": "yes" if at == found.best else "",
        }
        for at, (seed, gain, (low, high), caused) in enumerate(
            zip(said["seeds"], found.gain, found.spans(), found.caused, strict=True)
        )
    ]
