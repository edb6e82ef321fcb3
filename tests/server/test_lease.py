"""Who leads: a standby waits, says so, and takes over; nobody leads twice."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from runtime_harness import MemoryJournal
from structlog.testing import capture_logs

from homeostat.adapters.stores.journal import SqlJournal
from homeostat.adapters.stores.sqlite import SqliteSettings, build
from homeostat.base.errors import (
    BusyStoreError,
    CorruptStoreError,
    HomeostatError,
    StoreError,
    SupersededError,
)
from homeostat.base.ports import Standing
from homeostat.base.units import MILLISECOND, SECOND, TimeNs
from homeostat.server import lease
from homeostat.server.lease import Lead

LEASE_NS = 60 * MILLISECOND


class LeasedJournal(MemoryJournal):
    """A journal with a lease whose answers a test gives; it counts what it is asked."""

    def __init__(self, *answers: Standing | StoreError) -> None:
        super().__init__()
        self.answers = list(answers)
        self.renewed: list[int] = []
        self.released = 0
        self.on_renew: Callable[[], None] = lambda: None

    def acquire(self, owner: str, now: TimeNs, lease_ns: int) -> Standing:
        answer = self.answers.pop(0)
        if isinstance(answer, StoreError):
            raise answer
        return answer

    def renew(self, lease_ns: int) -> None:
        self.renewed.append(lease_ns)
        self.on_renew()

    def release(self) -> None:
        self.released += 1


OTHER = Standing(epoch=0, holder="other", left_ns=5 * MILLISECOND)
OURS = Standing(epoch=7, holder="us", before=6)


def lead_of(journal: Any, lease_ns: int = LEASE_NS) -> Lead:
    return Lead(journal, "us", lambda: TimeNs(1), lease_ns)


def run(work: Coroutine[Any, Any, Any]) -> Any:
    async def bounded() -> Any:
        async with asyncio.timeout(20):
            return await work

    return asyncio.run(bounded())


def opened(path: Path) -> SqlJournal:
    return build(SqliteSettings(path=path, reserve_bytes=0))


def test_a_standby_waits_while_another_leads_and_then_has_its_epoch() -> None:
    journal = LeasedJournal(OTHER, OTHER, OURS)
    lead = lead_of(journal)
    with capture_logs() as said:
        assert run(lead.take()) == 7
    assert journal.answers == []
    assert [(line["event"], line["leads"]) for line in said] == [("standby", "other")]  # once
    assert lead.leader == "us"


def test_a_standby_outlives_a_store_that_is_away_but_not_wrong_settings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lease, "LOOK_NS", MILLISECOND)
    assert run(lead_of(LeasedJournal(OTHER, StoreError("away"), OURS)).take()) == 7
    assert run(lead_of(LeasedJournal(BusyStoreError("locked"), OURS)).take()) == 7
    for error in (StoreError("away"), CorruptStoreError(3, "away")):
        with pytest.raises(StoreError, match="away"):
            run(lead_of(LeasedJournal(error, OURS)).take())


def test_one_cycle_does_not_wait_for_the_lead() -> None:
    with pytest.raises(StoreError, match="other leads"):
        run(lead_of(LeasedJournal(OTHER, OURS)).take(wait=False))


def test_a_journal_without_leases_is_claimed() -> None:
    journal = MemoryJournal()
    lead = lead_of(journal)
    assert run(lead.take()) == 1
    run(lead.keep(lambda error: pytest.fail(str(error))))  # there is nothing to keep: it returns
    run(lead.leave())


def test_the_lease_is_renewed_three_times_in_its_length_also_past_a_failure() -> None:
    journal = LeasedJournal(OURS)
    lost: list[HomeostatError] = []
    failures = iter([StoreError("away"), None, SupersededError("other has taken the lease")])

    def answer() -> None:
        error = next(failures)
        if error is not None:
            raise error

    journal.on_renew = answer

    async def keep() -> float:
        began = asyncio.get_running_loop().time()
        await lead_of(journal).keep(lost.append)
        return asyncio.get_running_loop().time() - began

    took = run(keep())
    assert journal.renewed == [LEASE_NS] * 3
    assert took >= 3 * LEASE_NS / lease.RENEWALS / SECOND
    assert [str(error) for error in lost] == ["other has taken the lease"]


def test_beside_one_file_one_process_leads_and_the_next_follows_at_once(tmp_path: Path) -> None:
    first, second = opened(tmp_path / "j.db"), opened(tmp_path / "j.db")
    ours = first.acquire("first", TimeNs(1), LEASE_NS)
    assert (ours.epoch, ours.before) == (1, 0)
    assert second.acquire("second", TimeNs(1), LEASE_NS) == Standing(epoch=0, holder="first")
    first.renew(LEASE_NS)
    first.close()
    after = second.acquire("second", TimeNs(2), LEASE_NS)
    assert (after.epoch, after.before) == (2, 1)
    second.close()


def test_a_leader_whose_journal_was_claimed_from_outside_learns_it_when_it_renews(
    tmp_path: Path,
) -> None:
    first, second = opened(tmp_path / "j.db"), opened(tmp_path / "j.db")
    first.acquire("first", TimeNs(1), LEASE_NS)
    second.claim_epoch("second", TimeNs(1))
    with pytest.raises(SupersededError, match="'second' has taken the lease from epoch 1"):
        first.renew(LEASE_NS)
    first.close()
    second.close()
