"""The conformance kit of journals: what every store must keep.

    check_journal(lambda: build(settings))

`reopen` must return a new handle on the same, at first empty, journal; handles are closed before
the next is opened, except where two owners meet. Raises AssertionError with a sentence.
"""

from collections.abc import Callable
from itertools import pairwise

from homeostat.base.errors import StoreError
from homeostat.base.ports import Entry, Journal
from homeostat.base.units import TimeNs

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
