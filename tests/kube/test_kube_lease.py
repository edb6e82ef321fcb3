"""The lead as a Lease of a real API server: its own validation, its own compare-and-set."""

import contextlib
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from kube_cluster import Kube

from homeostat.adapters._cluster import Access, Cluster, ClusterError
from homeostat.adapters.stores.kubernetes_lease import KubernetesLease
from homeostat.adapters.stores.leased_journal import LeasedJournal
from homeostat.adapters.stores.sqlite import SqliteSettings, build
from homeostat.base.errors import BusyStoreError, StoreError, SupersededError
from homeostat.base.ports import Standing
from homeostat.base.units import SECOND, TimeNs
from homeostat.testing.journal import ROWS, check_leasing

pytestmark = [pytest.mark.live]
LEASE_NS = 15 * SECOND
NOW = TimeNs(1)
MANY = 8


class Stage:
    """Leases and journals of one namespace, by a monotonic clock that the test moves."""

    def __init__(self, kube: Kube, home: str, folder: Path) -> None:
        self.kube, self.home, self.folder = kube, home, folder
        self.at_ns = 0
        self.opened: list[LeasedJournal] = []
        self.clients: list[Cluster] = []

    def client(self) -> Cluster:
        access = Access(url=self.kube.url, token_file=self.kube.token_file(), ca_file=self.kube.ca)
        self.clients.append(Cluster(access, timeout_s=20.0))
        return self.clients[-1]

    def lease(self) -> KubernetesLease:
        return KubernetesLease(self.client(), self.home, "homeostat", monotonic=lambda: self.at_ns)

    def journal(self, file: str = "j.db") -> LeasedJournal:
        inner = build(SqliteSettings(path=self.folder / file, reserve_bytes=0))
        self.opened.append(LeasedJournal(inner, self.lease()))
        return self.opened[-1]

    @property
    def path(self) -> str:
        return f"/apis/coordination.k8s.io/v1/namespaces/{self.home}/leases/homeostat"

    @property
    def spec(self) -> dict[str, Any]:
        return dict(self.kube.get(self.path)["spec"])


@pytest.fixture
def stage(kube: Kube, home: str, tmp_path: Path) -> Iterator[Stage]:
    made = Stage(kube, home, tmp_path)
    yield made
    for journal in made.opened:
        journal.close()
    for client in made.clients:
        client.close()


def test_a_journal_that_is_led_through_it_keeps_its_promises(stage: Stage) -> None:
    check_leasing(stage.journal)


def test_what_it_says_is_what_the_server_keeps(stage: Stage) -> None:
    journal = stage.journal()
    assert journal.acquire("pod-a:1", NOW, LEASE_NS).epoch == 1
    first = stage.spec
    assert (first["holderIdentity"], first["leaseDurationSeconds"]) == ("pod-a:1", 15)
    assert first["leaseTransitions"] == 0
    journal.renew(LEASE_NS)
    again = stage.spec
    assert again["acquireTime"] == first["acquireTime"] < again["renewTime"]
    journal.release()
    # The server says nothing of what is empty.
    assert stage.spec.get("holderIdentity", "") == ""
    assert stage.journal().acquire("pod-b:1", NOW, LEASE_NS).epoch == 2


def test_a_silent_holder_loses_it_after_its_length_and_can_write_nothing_then(
    stage: Stage,
) -> None:
    first, second = stage.journal(), stage.journal()
    first.acquire("first", NOW, LEASE_NS)
    assert second.acquire("second", NOW, LEASE_NS).left_ns == LEASE_NS
    stage.at_ns = LEASE_NS - 1
    assert second.acquire("second", NOW, LEASE_NS).epoch == 0
    stage.at_ns = LEASE_NS
    assert second.acquire("second", NOW, LEASE_NS).epoch == 2
    with pytest.raises(SupersededError):
        first.append(ROWS[:1], durable=True)
    with pytest.raises(SupersededError):
        first.renew(LEASE_NS)


def raced(stage: Stage) -> list[Standing]:
    """Let many take it at one moment; return the standing of those that were answered."""
    leases = [stage.lease() for _ in range(MANY)]
    together, found = threading.Barrier(MANY), list[Standing]()

    def take(number: int) -> None:
        together.wait()
        with contextlib.suppress(BusyStoreError):  # somebody was faster
            found.append(leases[number].take(f"racer-{number}", LEASE_NS, 0))

    threads = [threading.Thread(target=take, args=(number,)) for number in range(MANY)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    return found


def test_of_many_that_take_it_at_one_moment_one_does(stage: Stage) -> None:
    for lead in (1, 2, 3):  # made anew the first time, taken over after that
        winners = [one for one in raced(stage) if one.epoch]
        assert [one.epoch for one in winners] == [lead]
        assert stage.spec["holderIdentity"] == winners[0].holder
        stage.lease().give_up(winners[0].holder, lead)


def test_somebody_who_labels_it_in_between_takes_nothing(stage: Stage) -> None:
    lease, late = stage.lease(), stage.lease()
    lease.take("first", LEASE_NS, 0)
    found = late._found()
    stage.kube.patch(stage.path, {"metadata": {"labels": {"seen": "true"}}})
    with pytest.raises(BusyStoreError, match="the object has been modified"):
        late._write(found, {"holderIdentity": "late", "leaseDurationSeconds": 15})
    lease.renew("first", LEASE_NS, 1)
    assert stage.kube.get(stage.path)["metadata"]["labels"] == {"seen": "true"}
    assert stage.spec["holderIdentity"] == "first"


def test_what_the_server_finds_invalid_is_a_mistake_and_no_bad_weather(stage: Stage) -> None:
    lease = stage.lease()
    with pytest.raises(StoreError, match="leaseDurationSeconds") as said:
        lease._write(None, {"holderIdentity": "a", "leaseDurationSeconds": 0})
    assert not isinstance(said.value, BusyStoreError)


def test_who_may_not_is_told_so_and_waits_for_nobody(stage: Stage) -> None:
    access = Access(
        url=stage.kube.url, token_file=stage.kube.token_file("nobody"), ca_file=stage.kube.ca
    )
    client = Cluster(access, timeout_s=20.0)
    with pytest.raises(StoreError, match="401"):
        KubernetesLease(client, stage.home, "homeostat").take("x", LEASE_NS, 0)
    with pytest.raises(ClusterError) as said:
        client.get(stage.path)
    assert not said.value.passing
    client.close()
