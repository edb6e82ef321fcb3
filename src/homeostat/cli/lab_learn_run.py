"""Carries out `lab learn`: draws compositions, lets a seat learn in them, writes what it knows."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from homeostat.base.errors import ConfigError
from homeostat.cli import lab_files
from homeostat.cli.lab_run import progress
from homeostat.lab import environment_draw, seat_file, seat_training
from homeostat.lab.controller_twin import TWIN
from homeostat.lab.seat_training import FIRST, SLOTS, Block
from homeostat.lab.shards import Options

_HOUR_S: Final = 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What was asked for; see `cli.lab_learn`."""

    policy: str
    out: Path
    compositions: int
    block: int
    hours: int


def main(asked: Asked) -> dict[str, Any]:
    """Let it learn, write the file, and return what came of it in a row.

    Raises:
        ConfigError: There is no such seat, not so many compositions, or no way to write.
    """
    lab_files.known("policy with a seat", asked.policy, seat_file.SEATS)
    try:
        episodes = environment_draw.episodes(
            asked.compositions,
            known=lab_files.catalogue(()).scenarios,
            slots=SLOTS,
            length_s=_HOUR_S * asked.hours,
            first=FIRST,
        )
    except ValueError as error:
        raise ConfigError(str(error)) from error
    last = Block(0, {}, 0, "")
    with progress("episodes", asked.compositions, 0) as advance:
        for found in seat_training.learn(
            asked.policy, episodes, block=asked.block, width=Options().width
        ):
            for _ in range(found.episodes - last.episodes):
                advance(f"{found.outcomes} outcomes learnt")
            last = found
    data = seat_file.to_bytes(asked.policy, last.learnt, _said(asked, last))
    lab_files.write_bytes(asked.out, data)
    return {
        "policy": asked.policy,
        "episodes": last.episodes,
        "choices": sum(last.played.values()),
        "played": ", ".join(f"{arm} {count}" for arm, count in sorted(last.played.items())) or "-",
        "outcomes learnt": last.outcomes,
    }


def _said(asked: Asked, last: Block) -> Mapping[str, Any]:
    """Return what the file says of how it was made."""
    settings = asdict(seat_file.SEATS[asked.policy])
    return {
        "episodes": {
            "compositions": asked.compositions,
            "from_seed": FIRST,
            "block": asked.block,
            "slots": SLOTS,
            "length_s": _HOUR_S * asked.hours,
            "never": lab_files.catalogue(()).digest,
        },
        "settings": settings | {"mode": settings["mode"].value},
        "draws": TWIN.draws,
        "played": dict(last.played),
        "outcomes": last.outcomes,
        "made": {
            "command": f"homeostat lab learn {asked.policy} --compositions {asked.compositions} "
            f"--block {asked.block} --hours {asked.hours}",
            "code": lab_files.code_digest(),
            "commit": lab_files.commit(),
            "machine": asdict(lab_files.machine()),
        },
    }
