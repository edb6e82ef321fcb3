"""What the lab's decision seats know when an episode begins: a file each, made by `lab learn`.

Learnt on random compositions of the twin's primitives, never on a scenario of the catalogue, and
the same for every episode: an episode starts from it and learns on, and what it learns ends with
it. So episodes may be played in any order and company. A file that is damaged, or was learnt with
other settings, is refused: a seat that takes it for nothing would pass for one that was taught.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from homeostat.base.policy import AdaptiveMode, AdaptivePolicy
from homeostat.lab.learned import UntrainedError
from homeostat.policy import bandit_file, seat_learn

FORMAT: Final = "homeostat.lab-seat/1"
_BOUNDLESS: Final = 1e9  # no limit of the learner's own: what may be added to a cost

SEATS: Final[Mapping[str, AdaptivePolicy]] = {
    "safe_canary": AdaptivePolicy(mode=AdaptiveMode.ON),
    "bandit": AdaptivePolicy(mode=AdaptiveMode.ON, missed=_BOUNDLESS, failed=_BOUNDLESS),
}
"""By the lab's policy: the settings that it learns and chooses with; `safe_canary`'s are those of
the product, switched on."""


class Taught(NamedTuple):
    """What a seat knows.

    Attributes:
        learnt: As the seat keeps it (`policy.seat_learn`); empty = nothing.
        said: What it was made of and how.
    """

    learnt: str
    said: Mapping[str, Any]


def to_bytes(name: str, learnt: str, said: Mapping[str, Any]) -> bytes:
    """Return what a seat knows as a file.

    Args:
        name: The policy, as in `SEATS`.
        learnt: As the seat keeps it.
        said: What it was made of and how.
    """
    plain = {"format": FORMAT, "policy": name, "learnt": learnt, "said": dict(said)}
    text = json.dumps(plain | {"sha256": _sum(plain)}, sort_keys=True, indent=1)
    return (text + "\n").encode()


def taught(name: str, trained: Mapping[str, bytes]) -> Taught:
    """Return what the seat of a policy knows.

    Args:
        name: As in `SEATS`.
        trained: Files by policy.

    Raises:
        UntrainedError: There is none for it, or it is damaged, or another's.
    """
    if name not in trained:
        raise UntrainedError(name, "nobody gave what its seat has learnt")
    try:
        plain = json.loads(trained[name])
        told = plain.pop("sha256")
        if plain["format"] != FORMAT or told != _sum(plain):
            raise UntrainedError(name, "its file is damaged, or of another version")
        learnt, said = str(plain["learnt"]), dict(plain["said"])
        whose = plain["policy"]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UntrainedError(name, f"its file is none of `lab learn` ({error!r})") from error
    if whose != name:
        raise UntrainedError(name, f"its file is of {whose}")
    if learnt:
        _fits(name, learnt)
    return Taught(learnt, said)


def _fits(name: str, learnt: str) -> None:
    """Refuse what the seat would take for nothing.

    Raises:
        UntrainedError: It was learnt with other settings.
    """
    settings = seat_learn.config(SEATS[name])
    try:
        bandit_file.from_json(settings, learnt.removeprefix(seat_learn.FORMAT))
        known = learnt.startswith(seat_learn.FORMAT)
    except ValueError:
        known = False
    if not known:
        raise UntrainedError(name, "it was learnt with other arms, numbers or costs")


def _sum(plain: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()
