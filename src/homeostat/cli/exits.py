"""Exit codes; scripts rely on them."""

from enum import IntEnum


class Exit(IntEnum):
    """What a command's exit status means."""

    OK = 0
    FAILED = 1
    USAGE = 2
    UNHEALTHY = 3  # an objective is missed
    REFUSED = 4  # by policy
    NEEDS_APPROVAL = 5
    NO_DATA = 6  # missing, stale or unknown
