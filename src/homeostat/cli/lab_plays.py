"""Plays kept on disk beside a run's shards: HOLD's whole, the other policies' orders.

HOLD is played once for all policies, and for those that a later run adds. A file that is missing,
damaged or of another version is played again; any of them may be deleted at any time.
"""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from homeostat.cli.lab_files import write_bytes
from homeostat.cli.lab_trained import shipped
from homeostat.lab.plays import again, pack, unpack
from homeostat.lab.run import play, world_for
from homeostat.lab.shards import HOLD, ORACLE, Shard
from homeostat.lab.types import Episode
from homeostat.lab.world import Played


def file_of(folder: Path, shard: Shard) -> Path:
    """Return where a shard's play is kept."""
    seeds = f"{shard.seeds[0]}-{shard.seeds[-1]}"
    name = f"play_{shard.scenario.id}_{seeds}_{shard.policy}_{shard.play_digest()[:16]}.bin"
    return folder / name


def hold_of(folder: Path, shard: Shard, episodes: Sequence[Episode]) -> Played:
    """Return HOLD's play of a shard's episodes: the one kept, or played now and kept."""
    wanted = shard.under(HOLD)
    with suppress(OSError, ValueError, KeyError):
        return unpack(file_of(folder, wanted).read_bytes(), episodes)
    played = play(wanted, episodes)
    keep(folder, wanted, played)
    return played


def other_of(folder: Path, shard: Shard, episodes: Sequence[Episode]) -> Played:
    """Return another policy's play: its kept orders played again, or the policy itself."""
    with suppress(OSError, ValueError, KeyError):
        data = file_of(folder, shard).read_bytes()
        return again(world_for(episodes, shard.options.width), data, episodes)
    return play(shard, episodes, trained=shipped())


def keep(folder: Path, shard: Shard, played: Played) -> None:
    """Keep a shard's play for whoever needs it next; the oracle's is needed by nobody."""
    if shard.policy != ORACLE:
        write_bytes(file_of(folder, shard), pack(played, ticks=shard.policy == HOLD))
