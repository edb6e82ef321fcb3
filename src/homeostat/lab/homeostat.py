"""Policy `homeostat`: the product as it is shipped, with its defaults, deciding in the lab."""

from homeostat.lab.controller import Controller


def homeostat(*, person: bool = True, scale: float = 1.0) -> Controller:
    """Return the real controller as a policy.

    Args:
        person: Whether who is paged comes and repairs, as the human model has it.
        scale: Multiplies every delay of the human model.
    """
    return Controller("homeostat", person=person, scale=scale)
