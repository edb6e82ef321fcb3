"""Causes in one replica: gone, failing its probes, slow, or running out of memory."""

from collections.abc import Sequence
from typing import Final

from homeostat.base import names
from homeostat.base.evidence import LOOKBACK_SCRAPES, Family, Quality, Suspicion
from homeostat.base.units import seconds
from homeostat.base.world import Replica, ReplicaState
from homeostat.detect.case import MORE_ARRIVALS, Case, median, suspicion
from homeostat.detect.causes_values import believable
from homeostat.detect.matters import MEMORY_HIGH

# A replica this much slower than its peers, batch size taken out, and by at least so much time.
_SLOW_RATIO: Final = 2.0
_SLOW_MS: Final = 20.0
# Probes are single requests: ask for more.
_PROBE_RATIO: Final = 4.0
_PROBE_MS: Final = 150.0
# Peers this close to what is usual are well.
_PEERS_WELL: Final = 1.5
# Processes that end together, and the share of their pool above which it is the pool that ended.
_SEVERAL: Final = 2
_MOST: Final = 0.5
# Memory: act this many scrapes ahead of the limit.
HORIZON_SCRAPES: Final = 120.0


def gone(case: Case) -> tuple[Suspicion, ...]:
    """A process that is not there, in a slot that should have one: direct evidence."""
    ended = _ended(case)
    together = _outage(case, ended)
    if together:
        return together
    return tuple(
        suspicion(
            Family.REPLICA,
            case.subjects[replica.name],
            1.0,
            f"the process of {replica.name} is gone",
            urgent=True,
        )
        for replica in ended
    )


def _ended(case: Case) -> list[Replica]:
    return [
        replica
        for replica in case.replicas
        if replica.state is ReplicaState.GONE
        and not _surplus(case, replica)
        # Else the world was not read in time to say so.
        and case.value(case.subjects[replica.name], names.PROCESS_UP) == 0.0
    ]


def _outage(case: Case, ended: Sequence[Replica]) -> tuple[Suspicion, ...]:
    """Most of a pool's processes have ended within one round of probes: no replica's own fault.

    What ended them (a node, a driver, a crash that all of them share) shows in what follows. Whose
    supervisor lives comes up again by itself within seconds, and to restart it then begins its load
    anew; what is still gone on the next round has lost its machine and is named one by one.
    """
    out = []
    for pool in sorted({replica.pool for replica in ended}):
        lost = [replica for replica in ended if replica.pool == pool]
        every = [replica for replica in case.replicas if replica.pool == pool]
        rounds = [case.value(case.subjects[one.name], names.PROBE_FAILURES) for one in lost]
        now = all(failures is not None and failures <= 1.0 for failures in rounds)
        if len(lost) < _SEVERAL or len(lost) <= _MOST * len(every) or not now:
            return ()
        why = f"{len(lost)} of {len(every)} processes of pool {pool} ended at once"
        out.append(suspicion(Family.OUTAGE, names.pool(pool), 1.0, why, urgent=True))
    return tuple(out)


def _surplus(case: Case, replica: Replica) -> bool:
    """Return whether a slot is empty because fewer replicas are wanted."""
    wanted = None if case.world is None else case.world.lever(names.lever_replicas(replica.pool))
    if not isinstance(wanted, int | float):
        return False
    there = sum(
        one.pool == replica.pool and one.state is not ReplicaState.GONE for one in case.replicas
    )
    return there >= wanted


def hung(case: Case) -> tuple[Suspicion, ...]:
    """Processes that are there, take requests and finish none of them: direct evidence.

    The device of an engine that is stuck forms no batch, so its counters of answers stand still
    while what was sent to it piles up in its queue, and a request of our own is never answered;
    its health page, which asks nothing of the engine, stays well. A process that is gone has no
    queue; one that is slow, full or fails its requests goes on counting them. Three rounds of
    probes in which all of this holds are their own persistence. Each replica speaks for itself,
    however many are hung: their peers, of whom one has to pass, show that the users do not wait for
    something that all of them depend on.
    """
    known, bad = _probed(case)
    if not any(failures == 0.0 for failures in known.values()):
        return ()
    return tuple(
        suspicion(
            Family.HUNG,
            case.subjects[replica.name],
            0.97,
            f"{replica.name} has {queue:.0f} requests and finishes none of them",
            f"{known[replica.name]:.0f} probes of it failed in a row, its health page is well",
            urgent=True,
        )
        for replica in case.serving
        if replica.name in bad and (queue := _stuck(case, replica)) > 0.0
    )


def _stuck(case: Case, replica: Replica) -> float:
    """Return how many requests wait in a replica that finishes none, 0 where that is not known."""
    subject = case.subjects[replica.name]
    up, well = case.value(subject, names.PROCESS_UP), case.value(subject, names.PROBE_HEALTH)
    waiting = case.value(subject, names.QUEUE_LENGTH)
    if up != 1.0 or well != 1.0 or waiting is None or case.heard.get(subject) is not Quality.GOOD:
        return 0.0
    if case.world is None or _young(case, replica, case.world.observed_at):
        return 0.0  # what has just begun has answered nobody yet
    # A ratio of what was answered: on a page that comes it is missing only while nothing is.
    errors = case.readings.get((subject, names.ERROR_RATIO))
    silent = errors is not None and errors.quality in {Quality.MISSING, Quality.FEW}
    return waiting if silent else 0.0


def _young(case: Case, replica: Replica, now: int) -> bool:
    """Return whether a process began within the window over which ratios are worked out."""
    window = LOOKBACK_SCRAPES * case.managed.scrape_ns
    return replica.started_at is not None and now - replica.started_at <= window


def failing(case: Case) -> tuple[Suspicion, ...]:
    """Probes of one replica fail again and again while those of its peers pass."""
    known, bad = _probed(case)
    if not bad:
        return ()
    well = sum(failures == 0.0 for failures in known.values())
    if len(bad) > 1 and well < len(bad):
        return ()  # that is no single replica's fault
    return tuple(
        suspicion(
            Family.REPLICA,
            case.subjects[name],
            0.95,
            f"{known[name]:.0f} probes of {name} failed in a row",
            f"probes pass on {well} of {len(known) - 1} peers",
            _hung_or_lost(case, name),
        )
        for name in bad
    )


def _hung_or_lost(case: Case, name: str) -> str:
    """Return which of the two a replica is that fails its probes: what follows differs."""
    subject = case.subjects[name]
    up, page = case.value(subject, names.PROCESS_UP), case.heard.get(subject)
    if up == 1.0:
        said = "its page comes" if page is Quality.GOOD else "its page does not come either"
        return f"hung: its process is there, {said}"
    if up is None and page is not None and page is not Quality.GOOD:
        return "lost: neither its process nor its page can be seen"
    return ""


def failing_together(case: Case) -> tuple[Suspicion, ...]:
    """Probes fail on most replicas at once, and nothing else explains it."""
    known, bad = _probed(case)
    if not bad:
        return ()
    well = sum(failures == 0.0 for failures in known.values())
    if len(bad) < 2 or well >= len(bad):  # noqa: PLR2004 - one replica is no common cause
        return ()
    return _failing_release(case, bad) or (
        suspicion(
            Family.UNCLEAR,
            names.MODEL,
            0.9,
            f"probes fail on {len(bad)} of {len(known)} replicas at once: a common cause",
        ),
    )


def _probed(case: Case) -> tuple[dict[str, float], list[str]]:
    """Return known probe failures by slot, and the slots that are proven failing."""
    if "probed" not in case.told:  # two rules ask
        values, limit = (
            case.believed.get(names.PROBE_FAILURES, {}),
            case.managed.guard.failed_probes,
        )
        known = {
            replica.name: failures
            for replica in case.serving
            if (failures := values.get(case.subjects[replica.name])) is not None
        }
        bad = sorted([name for name, failures in known.items() if failures >= limit])
        case.told["probed"] = known, bad
    probed: tuple[dict[str, float], list[str]] = case.told["probed"]
    return probed


def _failing_release(case: Case, bad: Sequence[str]) -> tuple[Suspicion, ...]:
    """Probes fail on every replica of one version and pass on all of the others: the version.

    Not while requests wait in them, or more arrive than usual: the other version has less to do.
    """
    broken = {replica.version for replica in case.serving if replica.name in bad}
    if len(broken) != 1 or None in broken:
        return ()
    members = [replica for replica in case.serving if replica.version in broken]
    others = [replica for replica in case.serving if replica.version not in broken]
    passing = [
        case.value(case.subjects[replica.name], names.PROBE_FAILURES) == 0.0 for replica in others
    ]
    if len(members) != len(bad) or not others or not all(passing):
        return ()
    more = case.risen(names.GATEWAY, names.ARRIVAL_RATE, MORE_ARRIVALS, 0.0)
    if more is not False or any(case.crowded(replica) for replica in members):
        return ()
    version, pools = members[0].version, sorted({replica.pool for replica in members})
    pool = case.managed.stable_pool if case.managed.stable_pool in pools else pools[0]
    return (
        suspicion(
            Family.RELEASE,
            names.pool(pool),
            # Below what the pages say: they also know what is wrong with the version.
            0.86,
            f"probes fail on all {len(members)} replicas of version {version}",
            f"probes pass on {len(others)} of another version",
        ),
    )


def slow(case: Case) -> tuple[Suspicion, ...]:
    """One replica's device is slow while its peers', under the same traffic, are well."""
    return () if none_is_slow(case) else each_alone(case)


def none_is_slow(case: Case) -> bool:
    """Return whether surely no replica is slower than its peers: all are near the fastest."""
    paces, probes = case.paces(), case.known(case.serving, names.PROBE_LATENCY)
    least = case.fastest()
    even = all(0.0 < own < _SLOW_RATIO * least for own in paces)
    # What is not so much above the quickest probe is not so much above any median.
    return even and (not probes or max(probes) - min(probes) < _PROBE_MS)


def each_alone(case: Case) -> tuple[Suspicion, ...]:
    """One replica's device is slow while its peers' are well: each of them compared."""
    out = []
    for replica in case.serving:
        if case.failing(replica):
            continue
        because = slow_alone(case, replica) or _slow_probe(case, replica)
        if because:
            out.append(suspicion(Family.REPLICA, case.subjects[replica.name], 0.85, *because))
    return tuple(out)


def slow_alone(case: Case, replica: Replica) -> tuple[str, ...]:
    """Return why a replica's device is slower than its peers', empty when it is not."""
    own = case.slow(replica)
    if own is None or 0.0 < own < _SLOW_RATIO * case.fastest():
        return ()  # nothing to compare, or not even slow beside the fastest
    return _slow_device(case, replica, _peers(case, replica))


def broken_alone(case: Case, replica: Replica) -> bool:
    """Return whether a replica is broken by itself, whatever else goes on."""
    failing = case.failing(replica) and not case.serves(replica)
    return failing or bool(slow_alone(case, replica))


def _peers(case: Case, replica: Replica) -> list[Replica]:
    """Return the other replicas of the same version, or all others where there are none."""
    others = [other for other in case.serving if other.name != replica.name]
    return [other for other in others if other.version == replica.version] or others


def _slow_device(case: Case, replica: Replica, peers: list[Replica]) -> tuple[str, ...]:
    own, time = case.slow(replica), case.value(case.subjects[replica.name], names.DEVICE_TIME)
    others = [ratio for peer in peers if (ratio := case.slow(peer)) is not None]
    if own is None or time is None or not others:
        return ()
    level = median(others)
    if level <= 0.0:
        return ()  # peers whose device time reads as nothing are no yardstick
    if own < _SLOW_RATIO * level or level > _PEERS_WELL:
        return ()
    times = [
        value
        for peer in peers
        if (value := case.value(case.subjects[peer.name], names.DEVICE_TIME)) is not None
    ]
    if not times or time - median(times) < _SLOW_MS:
        return ()
    return (
        f"device time of {replica.name} {time:.0f} ms, of its peers {median(times):.0f} ms",
        f"{own / level:.1f} times its peers, batch size taken into account",
    )


def _slow_probe(case: Case, replica: Replica) -> tuple[str, ...]:
    subject = case.subjects[replica.name]
    own = case.value(subject, names.PROBE_LATENCY)
    risen = case.risen(subject, names.PROBE_LATENCY, _PROBE_RATIO, _PROBE_MS)
    # Probes wait in the queue with everybody else: a full replica is not a slow one.
    if own is None or not risen or case.crowded(replica):
        return ()
    others = [
        value
        for peer in _peers(case, replica)
        if (value := case.value(case.subjects[peer.name], names.PROBE_LATENCY)) is not None
    ]
    if not others:
        return ()
    level = median(others)
    if own < _PROBE_RATIO * level or own - level < _PROBE_MS:
        return ()
    return (f"a probe of {replica.name} took {own:.0f} ms, of its peers {level:.0f} ms",)


def memory(case: Case) -> tuple[Suspicion, ...]:
    """One process is on its way to its memory limit, or already close to it."""
    horizon = HORIZON_SCRAPES * case.managed.scrape_ns
    until = {
        forecast.subject: forecast.time_to_limit_ns
        for forecast in case.forecasts
        if forecast.signal == names.MEMORY_SHARE
    }
    out, shares = [], case.believed.get(names.MEMORY_SHARE, {})
    for replica in case.serving:
        subject = case.subjects[replica.name]
        share, left = shares.get(subject), until.get(subject)
        if left is None and share is not None and share < MEMORY_HIGH:
            continue
        if share is None or not believable(names.MEMORY_SHARE, share):
            continue  # a share of forty is not a process in danger but another unit
        soon = left is not None and left <= horizon
        if not soon and share < MEMORY_HIGH:
            continue
        out.append(
            suspicion(
                Family.MEMORY,
                subject,
                0.92 if share >= MEMORY_HIGH else 0.9,
                f"memory of {replica.name} at {share:.0%} of its limit",
                f"at this rate the limit is reached in {seconds(left):.0f} s" if left else "",
            )
        )
    return tuple(out)
