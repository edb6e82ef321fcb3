"""The product's own scenarios, read from the package: for the command line, tests and benchmarks.

The lab is pure and is given texts; this is the one place that reads those that ship with it.
"""

from collections.abc import Sequence
from functools import cache
from importlib import resources

from homeostat.base.errors import UnknownPartError
from homeostat.lab.scenario import Scenario
from homeostat.lab.scenario_schema import load, merge


@cache
def catalogue() -> tuple[Scenario, ...]:
    """Return the shipped scenarios, ordered by id."""
    folder = resources.files("homeostat.lab") / "catalogue"
    texts = {
        entry.name: entry.read_bytes() for entry in folder.iterdir() if entry.name.endswith(".yaml")
    }
    return merge(load(data, name) for name, data in sorted(texts.items()))


def scenario(name: str, among: Sequence[Scenario] | None = None) -> Scenario:
    """Return a scenario by its id or its name.

    Args:
        name: For example `S07` or `flash_crowd`.
        among: Where to look; None = in the shipped ones.

    Raises:
        UnknownPartError: There is no such scenario.
    """
    known = catalogue() if among is None else among
    for found in known:
        if name in {found.id, found.name}:
            return found
    raise UnknownPartError("scenario", name, [word for s in known for word in (s.id, s.name)])
