"""What a worker of the lab does: a shard of a run, or one episode with its picture.

Runs in another process; what goes in and out is plain.
"""

import ctypes
import gc
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, process_time
from traceback import format_exception
from typing import Any

from homeostat.cli import lab_episode, lab_plays
from homeostat.cli.lab_trained import shipped
from homeostat.lab.beside import part_of
from homeostat.lab.blame import blamed
from homeostat.lab.draw import draw
from homeostat.lab.metrics_score import score
from homeostat.lab.oracle import Oracle
from homeostat.lab.policies import make
from homeostat.lab.run import episodes_of, play, result_of, world_for
from homeostat.lab.scenario import Scenario
from homeostat.lab.shards import HOLD, ORACLE, Options, Shard
from homeostat.lab.traces import Recorded
from homeostat.lab.types import Episode, Policy
from homeostat.lab.world import Played
from homeostat.report.strips import strip


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One episode to play and draw.

    Attributes:
        scenario: Which.
        seed: Of it.
        policy: Who decides.
        others: Where the oracle starts from: the other policies of the run.
        options: Of the run.
        recorded: Recorded loads by name.
        trace: Whether the trace is wanted too.
    """

    scenario: Scenario
    seed: int
    policy: str
    others: tuple[str, ...]
    options: Options
    recorded: Mapping[str, Recorded]
    trace: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A shard to play.

    Attributes:
        shard: Which.
        recorded: The recorded loads that its scenario replays.
        folder: Where plays are kept.
    """

    shard: Shard
    recorded: Mapping[str, Recorded]
    folder: Path


def play_shard(piece: Piece) -> dict[str, Any]:
    """Return a shard's result and the seconds that it took; or how it failed, and the rest goes on.

    Returns:
        `result` and `seconds`, or `error` (one line), `trace` (all of it) and `seconds`.
    """
    begun, spent = monotonic(), process_time()
    try:
        result = _shard(piece)
    except Exception as error:  # noqa: BLE001  # a policy may fail in any way; the others go on
        return {
            "error": f"{type(error).__name__}: {error}",
            "trace": "".join(format_exception(error)),
            "seconds": monotonic() - begun,
        }
    _give_back()
    return {
        "result": result,
        "seconds": monotonic() - begun,
        "cpu_s": process_time() - spent,
    }


def _shard(piece: Piece) -> dict[str, Any]:
    shard, folder = piece.shard, piece.folder
    block = episodes_of(shard.whole, piece.recorded)
    hold = lab_plays.hold_of(folder, shard, block)
    if shard.policy == HOLD:
        return result_of(shard, hold, hold)
    plays = {HOLD: part_of(hold, shard.rows)}
    for name in shard.others:
        if name != HOLD:
            other = lab_plays.other_of(folder, shard.under(name), block)
            plays[name] = part_of(other, shard.rows)
    played = play(shard, block[shard.rows], plays, shipped())
    lab_plays.keep(folder, shard, played)
    return result_of(shard, played, plays[HOLD])


def play_episode(wanted: Wanted) -> dict[str, Any]:
    """Return an episode's picture and summary, and its trace as CSV if that is wanted."""
    episode = draw(wanted.scenario, wanted.seed, recorded=wanted.recorded)
    played, hold = _play(wanted, episode)
    scores = score(
        played.trace, hold.trace, orders=played.orders, person_scale=wanted.options.person_scale
    )
    title = f"{episode.scenario} {wanted.scenario.name.replace('_', ' ')}, seed {wanted.seed}"
    return {
        "title": title,
        "picture": str(strip(lab_episode.strip_of(title, played, scores))),
        "summary": lab_episode.summary_of(wanted.policy, wanted.scenario, scores)
        | _why(wanted, played, hold),
        "csv": lab_episode.csv_of(played) if wanted.trace else None,
    }


def _why(wanted: Wanted, played: Played, hold: Played) -> dict[str, Any]:
    """Return which actions the catastrophes go back to, where the trace is wanted too."""
    if not wanted.trace:
        return {}
    world = world_for(played.trace.episodes, wanted.options.width)
    found = blamed(world, played, hold, person_scale=wanted.options.person_scale)
    return {"goes_back_to": lab_episode.why_of(played, found)}


def _give_back() -> None:
    """Return to the system what is of no use any more: of compiling alone 125 MB of a worker.

    Only some C libraries can be asked; with the others the memory stays where it is.
    """
    gc.collect()
    with suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


def _play(wanted: Wanted, episode: Episode) -> tuple[Played, Played]:
    """Return the policy's run of one episode, and HOLD's."""
    world, scale = world_for([episode], wanted.options.width), wanted.options.person_scale
    hold = world.play(make("hold"), [episode])
    if wanted.policy == "hold":
        return hold, hold
    if wanted.policy != ORACLE:
        return world.play(_made(wanted.policy, scale), [episode]), hold
    names = [name for name in wanted.others if name not in {"hold", ORACLE}]
    others = [world.play(_made(name, scale), [episode]) for name in names]
    return Oracle(world, person_scale=scale).play([episode], hold, others), hold


def _made(name: str, scale: float) -> Policy:
    return make(name, person_scale=scale, trained=shipped())
