"""What the loop keeps from tick to tick: what served well, peaks, loads and recent actions."""

from homeostat.base import names
from homeostat.base.changed import changed
from homeostat.base.guard import CAPACITY_NS, GROWS, SHRINKS, TURNS_NS, GuardState, PastAction
from homeostat.base.state import LoopState, Trial
from homeostat.base.units import HOUR, TimeNs
from homeostat.base.world import ReplicaState, Snapshot
from homeostat.loop.autonomous import in_force
from homeostat.loop.beside import compared
from homeostat.loop.rooms import rooms
from homeostat.loop.seat_outcome import trusting
from homeostat.loop.settings import settings
from homeostat.loop.watching import watch

# A version is trusted after this many times the persistence asked of a suspicion, in ticks,
# with the objectives met and nothing suspected: twice what it takes to notice that it is bad.
TRUST_FACTOR = 2
# The last hour is what the rate guard counts; two keep back-off and undo in sight.
PAST_NS = 2 * HOUR
# The cooldown guard doubles no more often than this (`safety.counted`).
MOST_DOUBLINGS = 6
FINISHED_KEPT = 20


def remember(state: LoopState, now: TimeNs) -> LoopState:
    """Return the state with trials, settings, peaks, loads and the past brought up to date."""
    world = state.world
    if world is None:
        return state
    trials, verified = _trials(state, world)
    count = in_rotation(world, state.managed.stable_pool)
    peaks = _peaks(state, count, now)
    loads = watch(state.loads, state.evidence, world, state.managed, now)
    past = state.past
    if past and now - past[0].at > (kept_ns := _kept_ns(state)):
        own = state.record.id if state.record is not None else ""
        past = tuple(one for one in past if now - one.at <= kept_ns or one.id == own)
    pace, slower = compared(state, world, now)
    needed = TRUST_FACTOR * state.managed.guard.persist_scrapes
    return changed(
        state,
        trials=trials,
        verified=verified,
        peaks=peaks,
        rooms=rooms(state, world, count, now),
        loads=loads,
        settings=settings(state, world, needed, now),
        pace=pace,
        slower=slower,
        past=past,
    )


def _kept_ns(state: LoopState) -> int:
    """Return how long actions are remembered: no guard's wait may outlast what it is counted by.

    The cooldown doubles with each try that did not help, of which an incident has `max_tries`.
    """
    guard = state.managed.guard
    doubled = guard.cooldown_scrapes * float(2 ** min(guard.max_tries, MOST_DOUBLINGS))
    return max(PAST_NS, round(max(doubled, guard.scale_in_scrapes) * state.managed.scrape_ns))


def in_rotation(world: Snapshot, pool: str | None = None) -> int:
    """Return how many replicas are ready, of one pool or of all."""
    serves = ReplicaState.READY
    return sum(
        replica.state is serves and (pool is None or replica.pool == pool)
        for replica in world.replicas
    )


def guard_state(state: LoopState) -> GuardState:
    """Return what the guards see; the kernel knows an action in flight by its own levers."""
    return GuardState(
        managed=trusting(state, in_force(state)),
        evidence=state.evidence,
        world=state.world,
        fleet=state.fleet,
        kill=state.kill,
        in_flight=state.record,
        past=state.past,
        tries=state.incident.tries if state.incident is not None else 0,
        peak_replicas=max((count for _, count in state.peaks), default=0),
        observe_until=state.observe_until,
        verified=state.verified,
        foreign_until=state.foreign_until,
        rehearsal=state.rehearsal,
        loads=state.loads,
        settings=state.settings,
        slower=state.slower,
        epoch=state.epoch or None,
        accounts=state.accounts,
        moves=state.moves,
        peak_room_milli=max((room for _, room in state.rooms), default=0),
    )


def acted(state: LoopState, action: PastAction) -> LoopState:
    """Return the state with one more action that reached the world."""
    return changed(state, past=(*state.past, action), moves=_moved(state.moves, action))


def _moved(moves: tuple[PastAction, ...], action: PastAction) -> tuple[PastAction, ...]:
    """Keep of each lever what the guard counts, and the last move before: a turn has two sides."""
    if action.kind not in GROWS | SHRINKS:
        return moves
    kept: list[PastAction] = []
    older: set[str] = set()
    for one in reversed((*moves, action)):
        if action.at - one.at < TURNS_NS:
            kept.append(one)
        elif not older.issuperset(one.levers):
            older.update(one.levers)
            kept.append(one)
    return tuple(reversed(kept))


def _trials(
    state: LoopState, world: Snapshot
) -> tuple[tuple[Trial, ...], tuple[tuple[str, str], ...]]:
    running = _running(world)
    # Serving within the objectives is what is asked, not that a baseline is known.
    well = state.calm_ticks > 0
    needed = TRUST_FACTOR * state.managed.guard.persist_scrapes
    verified = state.verified
    trials: list[Trial] = []
    before = {(trial.pool, trial.version): trial.ticks for trial in state.trials}
    for pair in running:
        if pair in verified:
            continue
        ticks = before.get(pair, 0) + 1 if well else 0
        if ticks >= needed:
            verified = (*verified, pair)
        else:
            trials.append(Trial(pool=pair[0], version=pair[1], ticks=ticks))
    return tuple(trials), verified


def _running(world: Snapshot) -> tuple[tuple[str, str], ...]:
    """Return (pool, version) for pools whose replicas all report the version they should run."""
    versions: dict[str, set[str | None]] = {}
    for replica in world.replicas:
        versions.setdefault(replica.pool, set()).add(replica.version)
    found: list[tuple[str, str]] = []
    for pool, seen in sorted(versions.items()):
        wanted = world.lever(names.lever_version(pool))
        if isinstance(wanted, str) and seen == {wanted}:
            found.append((pool, wanted))
    return tuple(found)


def _peaks(state: LoopState, count: int, now: TimeNs) -> tuple[tuple[TimeNs, int], ...]:
    """Keep decreasing maxima within the longer window (the front is the window's peak)."""
    scale_in_ns = round(state.managed.guard.scale_in_scrapes * state.managed.scrape_ns)
    window_ns = max(CAPACITY_NS, scale_in_ns)
    kept = [peak for peak in state.peaks if peak[1] > count and now - peak[0] <= window_ns]
    return (*kept, (now, count))
