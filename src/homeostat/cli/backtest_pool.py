"""Replays deployments in some processes, a share of them in each, with a bar that moves.

What is found does not depend on how many there are: each deployment is replayed as if alone.
"""

import gc
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from typing import Any

from homeostat.base.errors import HomeostatError
from homeostat.base.policy import Managed
from homeostat.cli.detect_run import progress
from homeostat.server import wiring
from homeostat.server.backtest import found as finding
from homeostat.server.backtest import recorded, told
from homeostat.server.backtest.play import play
from homeostat.server.backtest.recorded import Grid
from homeostat.server.backtest.shadow import shadow
from homeostat.signals.past import Past
from homeostat.twin.fit_frame import Frame

Plain = dict[str, Any]
Pair = tuple[Managed, Frame]
_LOOK_S = 0.5
_RARELY = (200_000, 20, 1000)  # looked for garbage in cycles, of which a replay makes next to none

_counter: Any = None  # of this process: how many deployment-steps all of them have done


class ReplayError(HomeostatError):
    """A process ended before its share was replayed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What one process replays.

    Attributes:
        pairs: Configurations and recordings.
        grid: The ticks.
        saved: Whether a twin is fitted.
        seed: Of its intervals.
    """

    pairs: tuple[Pair, ...]
    grid: Grid
    saved: bool
    seed: int


def replay(
    pairs: Sequence[Pair], grid: Grid, *, jobs: int | None, saved: bool, seed: int
) -> list[tuple[Plain, Plain]]:
    """Return findings and course of each deployment, in their order.

    Args:
        pairs: Configurations and recordings.
        grid: The ticks.
        jobs: Processes; None = one for each core.
        saved: Whether a twin is fitted to each history.
        seed: Of its intervals.

    Raises:
        ConfigError: A recording does not fit the grid.
        ReplayError: A process ended.
    """
    wanted = min(jobs or len(os.sched_getaffinity(0)), len(pairs))
    shares = [
        Share(pairs=tuple(pairs[place::wanted]), grid=grid, saved=saved, seed=seed)
        for place in range(wanted)
    ]
    total = len(pairs) * grid.ticks
    with progress("replay", total, "steps") as advance:
        done = [replayed(shares[0], advance)] if wanted == 1 else _apart(shares, advance)
    out: list[Any] = [None] * len(pairs)
    for place, found in enumerate(done):
        out[place::wanted] = found
    return out


def replayed(share: Share, advance: Callable[[int], None]) -> list[tuple[Plain, Plain]]:
    """Return findings and course of each deployment of a share.

    Args:
        share: What is replayed.
        advance: Told how many more deployment-steps are done.
    """
    told_so_far = 0

    def tell_more(done: int) -> None:
        nonlocal told_so_far
        advance(done - told_so_far)
        told_so_far = done

    grid = share.grid
    managed = [shadow(entry, grid.step_ns) for entry, _ in share.pairs]
    histories = [
        recorded.history(frame, entry, grid)
        for entry, (_, frame) in zip(managed, share.pairs, strict=True)
    ]
    seen = play(_senses, wiring.loop_parts(), managed, histories, grid, tell_more)
    found = []
    for one, history, (entry, frame) in zip(seen, histories, share.pairs, strict=True):
        what = finding.found(one, history, grid)
        plain = told.deployment(one, what, history, grid, frame.source)
        if share.saved and any(course.wanted is not None for course in what.courses):
            from homeostat.cli.backtest_saved import Saved

            asked = Saved(frame, history, entry, grid, share.seed)
            plain = told.with_saved(plain, asked.of(what.courses))
        found.append((plain, told.course(one, history, grid)))
    return found


def _senses(past: Past) -> Any:
    return replace(wiring.sense_parts(), signals=past)


def _apart(shares: Sequence[Share], advance: Callable[[int], None]) -> list[Any]:
    """Replay each share in a process of its own."""
    context = multiprocessing.get_context("spawn")
    counter = context.Value("q", 0)
    executor = ProcessPoolExecutor(
        max_workers=len(shares), mp_context=context, initializer=_begin, initargs=(counter,)
    )
    shown = 0
    try:
        futures = [executor.submit(_in_process, share) for share in shares]
        waiting: Any = set(futures)
        while waiting:
            done, waiting = wait(waiting, timeout=_LOOK_S, return_when=FIRST_EXCEPTION)
            now = counter.value
            advance(now - shown)
            shown = now
            for future in done:
                future.result()
        return [future.result() for future in futures]
    except BrokenProcessPool as error:
        raise ReplayError(
            "a process was ended from outside, most likely for want of memory; use fewer --jobs"
        ) from error
    finally:
        for worker in multiprocessing.active_children():
            worker.terminate()
        executor.shutdown(wait=False, cancel_futures=True)


def _begin(counter: Any) -> None:
    """Prepare a process: Ctrl-C is its parent's, and it does not outlive it."""
    global _counter  # noqa: PLW0603 - a process is started with it, and has nothing else to keep it
    _counter = counter
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.set_threshold(*_RARELY)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)


def _in_process(share: Share) -> list[tuple[Plain, Plain]]:
    def add(steps: int) -> None:
        with _counter.get_lock():
            _counter.value += steps

    return replayed(share, add)
