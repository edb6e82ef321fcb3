"""Which methods `homeostat detect` can judge by, found as plug-ins are, and how one is made.

A file of the detection room with a `PART` of kind "method" is one; so is every detector, of the
house or of an installed package, that no such file is called like.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from homeostat import plugins
from homeostat.base.part import Part
from homeostat.cli.detect_layout import InputError, Wanted
from homeostat.cli.detect_model import read
from homeostat.detect import stack_steered
from homeostat.detect.method import Method, NeedsModelError
from homeostat.detect.method_rows import Rows
from homeostat.detect.method_several import Several
from homeostat.detect.stack_steered import Steered
from homeostat.detect.vae_file import Loaded

WHOLE: Final = "shesd-exact"
"""The one that judges whole files, and so is none of these; see `cli.detect_exact`."""


def known() -> Mapping[str, Part]:
    """Return all methods by name."""
    return dict(sorted({**plugins.parts("detector"), **plugins.parts("method")}.items()))


def check(names: Sequence[str]) -> None:
    """Refuse names that are no methods.

    Raises:
        InputError: Names the first one, and lists those there are.
    """
    listed = ", ".join((*known(), WHOLE))
    if not names:
        raise InputError(f"--method: names none; give one or several of: {listed}")
    for one in names:
        if one not in known():
            raise InputError(f"--method: there is none called {one!r}; known: {listed}")
        if list(names).count(one) > 1:
            raise InputError(f"--method: names {one!r} twice; name it once")


def made(names: Sequence[str], model: Loaded | None = None) -> Method:
    """Return the method of one name, or several side by side.

    Args:
        names: Of methods.
        model: For those that judge by one; None if there is none.

    Raises:
        InputError: A name is unknown, or a method cannot be used as asked.
    """
    check(names)
    try:
        each = {name: _one(known()[name], model) for name in names}
        method = next(iter(each.values())) if len(each) == 1 else Several(each)
    except (ValueError, NeedsModelError) as error:
        raise InputError(f"--method {','.join(names)}: {error}") from error
    if model is not None and method.columns is None:
        raise InputError(
            f"--model: none of the methods {', '.join(names)} judges by a model; leave it out, or "
            "add vae to --method"
        )
    return method


def of(wanted: Wanted) -> Method:
    """Return the method that a person asked for, with its model read.

    Raises:
        InputError: A name is unknown, or the model cannot be used, or a share bounds nothing.
    """
    if wanted.share_of_ticks is not None:
        try:
            return Steered(stack_steered.Config(share=wanted.share_of_ticks))
        except ValueError as error:
            why = str(error).removeprefix("share of ticks: ")
            raise InputError(f"--share-of-ticks: {why}") from error
    return made(wanted.methods, None if wanted.model is None else read(wanted.model.path))


def enough(method: Method, wanted: Wanted, columns: Sequence[str], name: str) -> None:
    """Refuse an input with fewer columns than a method takes.

    Args:
        method: Made of what is wanted.
        wanted: What a person asked for.
        columns: Those of the input.
        name: What it is called, for the message.

    Raises:
        InputError: There are too few.
    """
    if len(columns) < method.least_columns:
        raise InputError(
            f"{name}: has {len(columns)} column{'s' * (len(columns) != 1)} of numbers, and "
            f"--method {','.join(wanted.methods)} judges {method.least_columns} or more together; "
            "choose another method"
        )


def _one(part: Part, model: Loaded | None) -> Method:
    config = part.config()
    if part.kind == "detector":
        return Rows(part.name, part.build(config), config)
    built: Method = part.build(config, model)
    return built
