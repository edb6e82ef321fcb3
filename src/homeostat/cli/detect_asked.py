"""What a person asks of `homeostat detect`, checked before anything is read.

Options that do not go together are refused here, each with its name and what to do instead.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from homeostat.cli import detect_methods, detect_model
from homeostat.cli.detect_layout import InputError, Wanted
from homeostat.cli.detect_train import Learning

_STACK: Final = ("stack",)
_TAUGHT: Final = ("vae",)


@dataclass(frozen=True, slots=True, kw_only=True)
class How:
    """How it is to be judged.

    Attributes:
        methods: Names.
        model: A file that `--train` wrote, to judge by or, with `train`, to follow; None = none.
        train: A model is to be made, and nothing judged.
        false_share: Incidents are to be told of by a fleet's rule.
    """

    methods: tuple[str, ...]
    model: Path | None = None
    train: bool = False
    false_share: bool = False


def by(wanted: Wanted, how: How) -> Wanted:
    """Return what is wanted, by these methods.

    Raises:
        InputError: A method is unknown, the model cannot be used, or options contradict.
    """
    if wanted.whole is None:
        detect_methods.check(how.methods)
    if wanted.false_incidents is not None and how.methods != _STACK:
        raise InputError(
            f"--false-incidents goes with --method stack alone: what it costs was measured for it, "
            f"and {', '.join(how.methods)} alarms by rules of its own; leave one of them out"
        )
    _one_rule(wanted, how)
    if how.false_share and how.methods != _STACK:
        raise InputError(
            f"--false-share judges by a rule of its own, and not by {', '.join(how.methods)}; "
            "leave one of them out"
        )
    if how.train and how.methods != _TAUGHT:
        raise InputError(
            f"--train: {', '.join(how.methods)} learns nothing beforehand; "
            "give --method vae, or leave --train out"
        )
    model = None if how.model is None else detect_model.named(how.model)
    if model is not None and wanted.columns not in {(), model.columns}:
        raise InputError(
            f"--model {model.path}: is of the columns {', '.join(model.columns)}, and --columns "
            f"names {', '.join(wanted.columns)}; leave --columns out, or learn a model of them"
        )
    columns = wanted.columns if model is None else model.columns
    asked = replace(wanted, columns=columns, methods=how.methods, model=model)
    if not how.train and wanted.whole is None:
        detect_methods.of(asked)
    return asked


def _one_rule(wanted: Wanted, how: How) -> None:
    """Refuse a share of ticks beside another rule for when to tell."""
    others = {
        "--false-incidents": wanted.false_incidents is not None,
        "--false-share": how.false_share,
        "--train": how.train,
        f"--method {','.join(how.methods)}": how.methods != _STACK,
        "--model": how.model is not None,
    }
    for name, given in others.items():
        if wanted.share_of_ticks is not None and given:
            raise InputError(
                f"--share-of-ticks: steers the stack's level by itself, and does not go with "
                f"{name}; leave one of them out"
            )


def learning(source: Path, output: Path, wanted: Wanted, others: Mapping[str, bool]) -> Learning:
    """Return what is to be learnt.

    Args:
        source: `--input`.
        output: `--output`.
        wanted: From `by`.
        others: Options that learning has no use for, and whether each was given.

    Raises:
        InputError: One was given, or there is no file to learn from or to write.
    """
    for name, given in others.items():
        if given:
            raise InputError(
                f"{name}: does not go with --train, which judges nothing; leave it out"
            )
    if Path("-") in {source, output}:
        raise InputError("--train: learns from files and writes one; name them, not -")
    return Learning(
        source=source, output=output, wanted=replace(wanted, model=None), before=wanted.model
    )
