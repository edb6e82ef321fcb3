"""The conformance kit of journals: what every store must keep.

    check_journal(lambda: build(settings))
    check_pruning(lambda: build(settings))  # where it can drop what is old
    check_leasing(lambda: build(settings))  # where several may open it and one leads

`reopen` must return a new handle on the same, at first empty, journal; handles are closed before
the next is opened, except where two owners meet. Raises AssertionError with a sentence.
"""

from collections.abc import Callable
from itertools import pairwise

from homeostat.base.errors import StoreError, SupersededError
from homeostat.base.ports import Entry, Journal, Leasing, Pruning
from homeostat.base.units import MINUTE, TimeNs

Reopen = Callable[[], Journal]
Row = tuple[TimeNs, str, str, bytes]

ROWS: tuple[Row, ...] = (
    (TimeNs(5), "m-1", "event", b'{"$":"Ticked","at":5}'),
    (TimeNs(5), "", "frame", b'{"values":[' + b"1.5," * 50_000 + b"0]}"),
    (TimeNs(4), "m-2", "command", b"{}"),  # the clock may go back; the order may not
    (TimeNs(-1), "m-1", "state", '{"name":"caf\u00e9 \u2603"}'.encode()),
    (TimeNs(2**62), "", "note", b"[]"),
    (TimeNs(6), "m-1", "event", b""),
)
"""One of every kind; large, empty, not ASCII; times that jump."""


def check_journal(reopen: Reopen) -> None:
    """Run every check, each on the journal that the one before left behind.

    Raises:
        AssertionError: A promise of `homeostat.base.ports.Journal` is broken.
    """
    _check_what_goes_in_comes_out(reopen)
    _check_filters(reopen)
    _check_all_or_nothing(reopen)
    _check_epochs_rise_and_fence(reopen)
    _check_it_is_the_same_after_reopening(reopen)


def check_pruning(reopen: Reopen) -> None:
    """Check that dropping what is old leaves a chain that verifies, and keeps what must be kept.

    Raises:
        AssertionError: A promise of `homeostat.base.ports.Pruning` is broken.
    """
    journal = reopen()
    if not isinstance(journal, Pruning):
        raise AssertionError("this journal has no prune")  # noqa: TRY004 - a broken promise
    journal.claim_epoch("kit", TimeNs(10))
    frame, command = (TimeNs(11), "", "frame", b"f"), (TimeNs(11), "m-1", "command", b"c")
    young = (TimeNs(20), "", "frame", b"y")
    written = journal.append([frame, command, frame, frame, young], durable=True)
    kept = [e for e in journal.read() if e.kind != "frame" or e.at >= TimeNs(15)]
    dropped = journal.prune(before=TimeNs(15), now=TimeNs(21))
    _expect(holds=dropped >= 3, promise=f"prune says how many it dropped, not {dropped}")  # noqa: PLR2004 - frames above
    found = [e for e in journal.read() if e.kind != "note" or e in kept]
    _expect(holds=found == kept, promise="only frames from before that time are dropped")
    _expect(holds=written[1] in found, promise="commands stay for ever")
    again = journal.prune(before=TimeNs(15), now=TimeNs(22))
    _expect(holds=again == 0, promise="what was dropped is not dropped again")
    journal.append([command], durable=True)
    journal.close()
    journal = reopen()
    numbers = [e.seq for e in journal.read()]
    _expect(holds=numbers == sorted(set(numbers)), promise="numbers are never used again")
    journal.close()


def check_leasing(reopen: Reopen) -> None:
    """Check that one of two leads, that a hand-over is at once, and that epochs fence.

    Raises:
        AssertionError: A promise of `homeostat.base.ports.Leasing` is broken.
    """
    first, second = reopen(), reopen()
    if not isinstance(first, Leasing) or not isinstance(second, Leasing):
        raise AssertionError("this journal has no leases")  # noqa: TRY004 - a broken promise
    now = TimeNs(1)
    ours = first.acquire("first", now, MINUTE)
    _expect(holds=ours.epoch > ours.before, promise="whoever leads has a higher epoch")
    _expect(holds=ours.holder == "first", promise="whoever leads is named")
    waits = second.acquire("second", now, MINUTE)
    _expect(holds=waits.epoch == 0, promise="a second one does not lead beside the first")
    _expect(holds=waits.holder == "first", promise="a second one learns who leads")
    first.append(ROWS[:1], durable=True)
    first.renew(MINUTE)
    first.release()
    theirs = second.acquire("second", now, MINUTE)
    _expect(holds=theirs.epoch == ours.epoch + 1, promise="what is given back is had at once")
    _expect(holds=theirs.before == ours.epoch, promise="whoever follows knows whom")
    before = list(second.read())
    for attempt in (lambda: first.append(ROWS[:1], durable=True), lambda: first.renew(MINUTE)):
        _expect(holds=_refused(attempt), promise="the one before can neither write nor renew")
    _expect(holds=list(second.read()) == before, promise="what it tried left no trace")
    second.release()
    again = first.acquire("first", now, MINUTE)
    _expect(holds=again.epoch == theirs.epoch + 1, promise="it may lead again, above all others")
    first.append(ROWS[:1], durable=True)
    first.release()
    first.close()
    second.close()


def _refused(attempt: Callable[[], object]) -> bool:
    try:
        attempt()
    except SupersededError:
        return True
    return False


def _expect(*, holds: bool, promise: str) -> None:
    if not holds:
        raise AssertionError(promise)


def _check_what_goes_in_comes_out(reopen: Reopen) -> None:
    journal = reopen()
    journal.claim_epoch("kit", TimeNs(1))
    base = list(journal.read())
    for durable in (False, True):
        written = journal.append(ROWS, durable=durable)
        bare = tuple((e.at, e.deployment, e.kind, e.body) for e in written)
        _expect(holds=bare == ROWS, promise="append returns the entries it wrote, in order")
        base.extend(written)
    _expect(holds=journal.append((), durable=True) == (), promise="nothing appended is nothing")
    found = list(journal.read())
    _expect(holds=found == base, promise="read yields what append returned, in order")
    steps = all(b.seq == a.seq + 1 for a, b in pairwise(found)) and found[0].seq == 1
    _expect(holds=steps, promise="entries are numbered from 1 without gaps")
    digests = {entry.digest for entry in found}
    distinct = len(digests) == len(found) and all(len(digest) == 64 for digest in digests)  # noqa: PLR2004 - SHA-256
    _expect(holds=distinct, promise="every entry has its own SHA-256, equal content or not")
    journal.close()
    journal.close()


def _check_filters(reopen: Reopen) -> None:
    journal = reopen()
    every = list(journal.read())
    filters: tuple[tuple[int, str | None, tuple[str, ...]], ...] = (
        (0, "m-1", ()),
        (0, "", ("frame", "note")),
        (3, None, ("event",)),
        (every[-1].seq, None, ()),
        (every[-1].seq + 100, None, ()),
        (0, "nobody", ()),
    )
    for after, deployment, kinds in filters:
        wanted = [
            e
            for e in every
            if e.seq > after
            and (deployment is None or e.deployment == deployment)
            and (not kinds or e.kind in kinds)
        ]
        found = list(journal.read(after=after, deployment=deployment, kinds=kinds))
        promise = f"read(after={after}, deployment={deployment!r}, kinds={kinds}) filters"
        _expect(holds=found == wanted, promise=promise)
    journal.close()


def _check_all_or_nothing(reopen: Reopen) -> None:
    journal = reopen()
    journal.claim_epoch("kit", TimeNs(2))
    before = list(journal.read())
    bad: tuple[Row, ...] = (
        (TimeNs(7), "m-1", "gossip", b"{}"),
        (TimeNs(2**63), "m-1", "event", b"{}"),
        (TimeNs(7), "m\n1", "event", b"{}"),
    )
    for row in bad:
        try:
            journal.append([*ROWS, row], durable=True)
        except StoreError:
            continue
        raise AssertionError(f"a row that cannot be kept was accepted: {row}")
    _expect(holds=list(journal.read()) == before, promise="a refused append writes no row of it")
    after = journal.append(ROWS[:1], durable=True)
    follows = after[0].seq == before[-1].seq + 1
    _expect(holds=follows, promise="a refused append leaves no gap")
    journal.close()


def _check_epochs_rise_and_fence(reopen: Reopen) -> None:
    first, second = reopen(), reopen()
    old = first.claim_epoch("first", TimeNs(3))
    first.append(ROWS[:1], durable=True)
    new = second.claim_epoch("second", TimeNs(3))
    _expect(holds=new > old, promise=f"epochs rise: {old} then {new}")
    before = list(second.read())
    for durable in (False, True):
        try:
            first.append(ROWS[:1], durable=durable)
        except StoreError:
            continue
        raise AssertionError("an owner whose epoch was superseded could still append")
    _expect(holds=list(second.read()) == before, promise="what the old owner tried left no trace")
    second.append(ROWS[:1], durable=True)
    newest = first.claim_epoch("first", TimeNs(4))
    _expect(holds=newest > new, promise="an old owner may claim again, above all others")
    first.append(ROWS[:1], durable=True)
    try:
        second.append(ROWS[:1], durable=True)
    except StoreError:
        pass
    else:
        raise AssertionError("the second owner was superseded and could still append")
    first.close()
    second.close()


def _check_it_is_the_same_after_reopening(reopen: Reopen) -> None:
    journal = reopen()
    before: list[Entry] = list(journal.read())
    journal.close()
    journal = reopen()
    _expect(holds=list(journal.read()) == before, promise="reopening changes nothing")
    epoch = journal.claim_epoch("third", TimeNs(5))
    journal.close()
    journal = reopen()
    again = journal.claim_epoch("fourth", TimeNs(5))
    _expect(holds=again > epoch, promise="epochs rise over reopening")
    kept = list(journal.read())[: len(before)]
    _expect(holds=kept == before, promise="a claim changes no entry before it")
    journal.close()
