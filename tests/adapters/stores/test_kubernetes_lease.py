"""The lead as a Lease: one of two leads, epochs rise and fence, and no clock but our own counts."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import cluster_fake as fake

from homeostat.adapters._cluster import Access, Cluster
from homeostat.adapters.stores.kubernetes_lease import KubernetesLease
from homeostat.adapters.stores.leased_journal import LeasedJournal
from homeostat.adapters.stores.sqlite import SqliteSettings, build
from homeostat.base.errors import BusyStoreError, StoreError, SupersededError
from homeostat.base.ports import Anchored, Journal, Leasing, Pruning
from homeostat.base.units import MINUTE, SECOND, TimeNs
from homeostat.testing.journal import ROWS, check_journal, check_leasing, check_pruning

NOW = TimeNs(1)
LEASE_NS = 15 * SECOND


class Stage:
    """A cluster that is served, and journals on one file that are led through a Lease in it."""

    def __init__(self, cluster: fake.Cluster, url: str, folder: Path) -> None:
        self.cluster, self.url, self.folder = cluster, url, folder
        self.at_ns = 0  # the monotonic clock of all machines here
        self.opened: list[LeasedJournal] = []
        (folder / "token").write_text(fake.TOKEN)

    def lease(self, monotonic: Callable[[], int] | None = None) -> KubernetesLease:
        access = Access(url=self.url, token_file=self.folder / "token")
        clock = monotonic or (lambda: self.at_ns)
        client = Cluster(access, timeout_s=20.0)
        return KubernetesLease(client, "homeostat", "homeostat", monotonic=clock)

    def journal(self, file: str = "j.db", **more: Any) -> LeasedJournal:
        inner = build(SqliteSettings(path=self.folder / file, reserve_bytes=0))
        made = LeasedJournal(inner, self.lease(**more))
        self.opened.append(made)
        return made

    @property
    def spec(self) -> dict[str, Any]:
        return dict(self.cluster.lists[fake.LEASES]["homeostat"]["spec"])

    def change(self, **spec: Any) -> None:
        lease = self.cluster.lists[fake.LEASES].get("homeostat", {"spec": {}})
        meta = {"name": "homeostat", "namespace": "homeostat"}
        self.cluster.put(fake.LEASES, {"metadata": meta, "spec": {**lease["spec"], **spec}})


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    cluster = fake.Cluster()
    with fake.serving(cluster) as url:
        made = Stage(cluster, url, tmp_path)
        yield made
        for one in made.opened:
            one.close()


@pytest.mark.slow
def test_it_keeps_the_promises_of_a_journal_that_can_be_led(stage: Stage) -> None:
    check_leasing(stage.journal)
    check_journal(stage.journal)
    check_pruning(stage.journal)
    one = stage.journal()
    assert all(isinstance(one, port) for port in (Leasing, Pruning, Anchored))


def test_the_lease_says_who_leads_how_often_it_changed_and_until_when(stage: Stage) -> None:
    journal = stage.journal()
    first = journal.acquire("pod-a:1", NOW, LEASE_NS)
    assert (first.epoch, first.before, stage.spec["leaseTransitions"]) == (1, 0, 0)
    assert (stage.spec["holderIdentity"], stage.spec["leaseDurationSeconds"]) == ("pod-a:1", 15)
    began = stage.spec["acquireTime"]
    journal.renew(LEASE_NS)
    assert stage.spec["acquireTime"] == began < stage.spec["renewTime"]
    journal.release()
    assert stage.spec["holderIdentity"] == ""
    assert stage.journal().acquire("pod-b:1", NOW, LEASE_NS).epoch == 2
    assert stage.spec["leaseTransitions"] == 1


def test_a_silent_leader_loses_the_lead_after_its_whole_length_and_not_before(stage: Stage) -> None:
    first, second = stage.journal(), stage.journal()
    first.acquire("first", NOW, LEASE_NS)
    assert second.acquire("second", NOW, LEASE_NS).left_ns == LEASE_NS
    stage.at_ns = LEASE_NS - 1
    waits = second.acquire("second", NOW, LEASE_NS)
    assert (waits.epoch, waits.holder, waits.left_ns) == (0, "first", 1)
    stage.at_ns = LEASE_NS
    assert second.acquire("second", NOW, LEASE_NS).epoch == 2
    with pytest.raises(SupersededError, match="supersedes"):
        first.append(ROWS[:1], durable=True)
    with pytest.raises(SupersededError):
        first.renew(LEASE_NS)


def test_a_leader_that_renews_is_waited_for_as_long_as_it_does(stage: Stage) -> None:
    first, second = stage.journal(), stage.journal()
    first.acquire("first", NOW, LEASE_NS)
    for _ in range(5):
        assert second.acquire("second", NOW, LEASE_NS).epoch == 0
        stage.at_ns += LEASE_NS - 1
        first.renew(LEASE_NS)
    assert second.acquire("second", NOW, LEASE_NS).left_ns == LEASE_NS


@pytest.mark.parametrize("skewed", ["1970-01-01T00:00:00.000000Z", "2999-01-01T00:00:00.000000Z"])
def test_times_written_by_a_machine_with_another_clock_move_nothing(
    stage: Stage, skewed: str
) -> None:
    stage.change(
        holderIdentity="first", leaseDurationSeconds=15, renewTime=skewed, acquireTime=skewed
    )
    second = stage.journal()
    assert second.acquire("second", NOW, LEASE_NS).left_ns == LEASE_NS
    stage.at_ns = LEASE_NS
    assert second.acquire("second", NOW, LEASE_NS).epoch


@pytest.mark.parametrize(
    ("said", "wait_ns"),
    [(30, 30 * SECOND), (None, LEASE_NS), (0, LEASE_NS), (True, LEASE_NS), (10**9, 10 * MINUTE)],
)
def test_a_holder_is_waited_for_as_long_as_it_said_within_what_may_be_said(
    stage: Stage, said: object, wait_ns: int
) -> None:
    stage.change(holderIdentity="first", leaseDurationSeconds=said, renewTime="whenever")
    assert stage.journal().acquire("second", NOW, LEASE_NS).left_ns == wait_ns


def test_of_two_that_take_it_at_once_one_does(stage: Stage) -> None:
    late = stage.lease()
    found = late._found()  # it looked, and nobody was there
    stage.journal().acquire("first", NOW, LEASE_NS)
    with pytest.raises(BusyStoreError, match="already exists"):
        late._write(found, {"holderIdentity": "late"})
    stale = stage.lease()
    found = stale._found()
    stage.change(renewTime="a moment later")
    with pytest.raises(BusyStoreError, match="modified"):
        stale._write(found, {"holderIdentity": "stale"})
    assert stage.spec["holderIdentity"] == "first"


def test_a_leader_that_slept_between_lease_and_journal_claims_nothing(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    sleeper, other = stage.journal(), stage.journal()
    claim = sleeper._journal.claim

    def after_a_nap(owner: str, now: TimeNs, epoch: int) -> None:
        stage.change(holderIdentity="", renewTime="long ago")  # it ran out meanwhile
        assert other.acquire("other", NOW, LEASE_NS).epoch == epoch + 1
        claim(owner, now, epoch)

    monkeypatch.setattr(sleeper._journal, "claim", after_a_nap)
    with pytest.raises(BusyStoreError, match="lost before it began"):
        sleeper.acquire("sleeper", NOW, LEASE_NS)
    assert stage.spec["holderIdentity"] == "other"
    other.append(ROWS[:1], durable=True)
    with pytest.raises(StoreError):
        sleeper.append(ROWS[:1], durable=True)


def test_no_number_comes_twice_when_the_lease_or_the_journal_is_lost(stage: Stage) -> None:
    journal = stage.journal()
    # Its own Lease is not waited for.
    leads = [journal.acquire("pod-a:1", NOW, LEASE_NS).epoch for _ in range(3)]
    assert leads == [1, 2, 3]
    del stage.cluster.lists[fake.LEASES]["homeostat"]
    after = journal.acquire("pod-a:1", NOW, LEASE_NS)
    assert (after.epoch, stage.spec["leaseTransitions"]) == (4, 3)
    journal.release()
    fresh = stage.journal("another.db")  # the volume is gone: targets still know epoch 4
    assert fresh.acquire("pod-b:1", NOW, LEASE_NS).epoch == 5
    stage.change(leaseTransitions=2**31 - 1)
    with pytest.raises(StoreError, match="delete it"):
        fresh.acquire("pod-b:1", NOW, LEASE_NS)


def test_a_label_that_comes_in_between_is_no_conflict_and_a_lease_that_is_gone_is_made_anew(
    stage: Stage,
) -> None:
    journal = stage.journal()
    journal.acquire("first", NOW, LEASE_NS)
    stage.cluster.beside = 2
    journal.renew(LEASE_NS)
    stage.cluster.beside = 99
    with pytest.raises(BusyStoreError, match="changes faster"):
        journal.renew(LEASE_NS)
    stage.cluster.beside = 0
    del stage.cluster.lists[fake.LEASES]["homeostat"]
    journal.renew(LEASE_NS)
    assert (stage.spec["holderIdentity"], stage.spec["leaseTransitions"]) == ("first", 0)


def test_two_of_one_name_are_told_apart_by_the_number(stage: Stage) -> None:
    first, twin = stage.journal(), stage.journal()
    first.acquire("node:1", NOW, LEASE_NS)  # two pods on the node's network have one host name
    twin.acquire("node:1", NOW, LEASE_NS)
    with pytest.raises(SupersededError):
        first.renew(LEASE_NS)
    first.release()  # it is not its own to give up
    assert stage.spec["holderIdentity"] == "node:1"
    twin.renew(LEASE_NS)


def test_whoever_claims_the_journal_past_the_lease_ends_the_lead(stage: Stage) -> None:
    journal, outside = stage.journal(), stage.journal()
    journal.acquire("first", NOW, LEASE_NS)
    outside.claim_epoch("outside", NOW)
    with pytest.raises(SupersededError, match="in the journal"):
        journal.renew(LEASE_NS)


@pytest.mark.parametrize(("status", "waits"), [(500, True), (503, True), (429, True), (403, False)])
def test_a_server_that_is_not_well_is_waited_for_and_a_refusal_is_an_error(
    stage: Stage, status: int, *, waits: bool
) -> None:
    journal = stage.journal()
    stage.cluster.away = status
    with pytest.raises(StoreError) as caught:
        journal.acquire("first", NOW, LEASE_NS)
    assert isinstance(caught.value, BusyStoreError) is waits
    assert fake.TOKEN not in str(caught.value)
    assert journal._journal.newest_epoch() == 0


def test_a_write_whose_answer_was_lost_is_taken_again_under_a_higher_number(stage: Stage) -> None:
    journal = stage.journal()
    stage.cluster.losing = {"create", "update"}
    with pytest.raises(BusyStoreError, match="no answer"):
        journal.acquire("first", NOW, LEASE_NS)
    stage.cluster.losing = set()
    standing = journal.acquire("first", NOW, LEASE_NS)
    assert (standing.epoch, stage.spec["leaseTransitions"]) == (2, 1)
    journal.append(ROWS[:1], durable=True)


@pytest.mark.parametrize("spec", [None, [], {"holderIdentity": None, "leaseTransitions": "many"}])
def test_a_lease_with_nothing_in_it_is_nobodys(stage: Stage, spec: object) -> None:
    meta = {"name": "homeostat", "namespace": "homeostat"}
    stage.cluster.put(fake.LEASES, {"metadata": meta, "spec": spec})
    journal: Journal = stage.journal()
    assert isinstance(journal, Leasing)
    assert journal.acquire("first", NOW, LEASE_NS).epoch == 2


def test_a_lease_without_a_version_is_not_written_over(stage: Stage) -> None:
    with pytest.raises(StoreError, match="without a resourceVersion"):
        stage.lease()._write({"metadata": {"name": "homeostat"}}, {})
