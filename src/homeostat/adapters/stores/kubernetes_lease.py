"""The lead as a Lease of Kubernetes (coordination.k8s.io/v1): one object, by compare-and-set.

For liveness only, as every lease here (docs/decisions/0015): see `leased_journal` for what keeps a
deposed controller from writing. Whether a holder is silent is judged as client-go judges it: by how
long the Lease has not changed here, on this machine's monotonic clock. The times that are written
in it are for people.
"""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from homeostat.adapters._cluster import Cluster, ClusterError
from homeostat.base.errors import BusyStoreError, StoreError, SupersededError
from homeostat.base.ports import Standing
from homeostat.base.units import MINUTE, SECOND

_NOT_FOUND: Final = 404
_CONFLICT: Final = 409
_TRIES: Final = 4  # of a write that finds another version, as it does when somebody labels a Lease
_LONGEST_NS: Final = 10 * MINUTE  # `spec.store.lease` allows no more, so no holder has to be waited
_MOST: Final = 2**31 - 2  # leaseTransitions is an int32
_NOBODY: Final = ""
Object = dict[str, Any]


class KubernetesLease:
    """One Lease object, by compare-and-set; knows nothing of journals.

    Args:
        cluster: The API server.
        namespace: The Lease's namespace.
        name: Its name.
        monotonic: This machine's monotonic clock, nanoseconds.
    """

    def __init__(
        self,
        cluster: Cluster,
        namespace: str,
        name: str,
        *,
        monotonic: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._cluster, self._monotonic = cluster, monotonic
        self._list = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        self._path, self._namespace, self._name = f"{self._list}/{name}", namespace, name
        self._seen: tuple[str, int] = ("", 0)  # the last record that was new here, and since when

    def take(self, owner: str, lease_ns: int, at_least: int) -> Standing:
        """Take it if nobody holds it or its holder has been silent for its whole length.

        Args:
            owner: Our name, unique to this process.
            lease_ns: How long nobody else may take it without a change of ours.
            at_least: The epoch that ours must be above.

        Raises:
            BusyStoreError: Somebody was faster, or the API server is not well just now.
            StoreError: It refuses us, or there are no numbers left.
        """
        found = self._found()
        spec = {} if found is None else _spec(found)
        holder = str(spec.get("holderIdentity") or _NOBODY)
        if holder not in {_NOBODY, owner} and (left_ns := self._left_ns(spec, lease_ns)) > 0:
            return Standing(epoch=0, holder=holder, left_ns=left_ns)
        transitions = at_least if found is None else max(_transitions(spec) + 1, at_least)
        if transitions > _MOST:
            raise StoreError(
                f"Lease {self._name}: {transitions} leads is more than it can count; delete it"
            )
        fresh = _record(owner, lease_ns, transitions, acquired=_wall())
        self._write(found, {**spec, **fresh})
        return Standing(epoch=transitions + 1, holder=owner, before=at_least)

    def renew(self, owner: str, lease_ns: int, epoch: int) -> None:
        """Hold it for another `lease_ns` from now.

        Raises:
            SupersededError: Somebody else holds it by now.
            BusyStoreError: That could not be done just now; nobody else is known to hold it.
            StoreError: It refuses us.
        """
        for _ in range(_TRIES):
            found = self._found()
            spec = {} if found is None else _spec(found)
            if found is not None and not _ours(spec, owner, epoch):
                other = str(spec.get("holderIdentity") or "somebody else")
                raise SupersededError(
                    f"{other!r} has taken the Lease {self._name} from epoch {epoch} of {owner!r}"
                )
            began = str(spec.get("acquireTime") or _wall())
            fresh = _record(owner, lease_ns, epoch - 1, acquired=began)
            try:
                self._write(found, {**spec, **fresh})
            except BusyStoreError as error:
                if not isinstance(error.__cause__, ClusterError) or (
                    error.__cause__.status != _CONFLICT
                ):
                    raise
                continue  # something about it changed in between: look whose it is
            return
        raise BusyStoreError(f"Lease {self._name} changes faster than it can be renewed")

    def give_up(self, owner: str, epoch: int) -> None:
        """Let another take it at once, if it is still ours.

        Raises:
            StoreError: That could not be done; it runs out by itself.
        """
        found = self._found()
        if found is None or not _ours(_spec(found), owner, epoch):
            return
        empty = _record(_NOBODY, SECOND, epoch - 1, acquired=_wall())  # client-go leaves 1 s, too
        self._write(found, {**_spec(found), **empty})

    def _left_ns(self, spec: Object, lease_ns: int) -> int:
        """Return how long its holder may still be silent, by when it last changed here."""
        record, now = json.dumps(spec, sort_keys=True), self._monotonic()
        if record != self._seen[0]:
            self._seen = (record, now)
        said = spec.get("leaseDurationSeconds")
        length_ns = lease_ns
        if isinstance(said, int) and not isinstance(said, bool) and said > 0:
            length_ns = min(said * SECOND, _LONGEST_NS)
        return self._seen[1] + length_ns - now

    def _found(self) -> Object | None:
        try:
            return self._cluster.get(self._path)
        except ClusterError as error:
            if error.status == _NOT_FOUND:
                return None
            raise _trouble(error) from error

    def _write(self, found: Object | None, spec: Object) -> None:
        try:
            if found is None:
                meta = {"name": self._name, "namespace": self._namespace}
                self._cluster.create(self._list, _lease(meta, spec))
            else:
                self._cluster.replace(self._path, _lease(_meta(found), spec))
        except ClusterError as error:
            raise _trouble(error) from error


def _trouble(error: ClusterError) -> StoreError:
    """Return what an answer means: to be waited out, or somebody's mistake."""
    if error.passing or error.status == _CONFLICT:
        return BusyStoreError(f"the Lease cannot be used just now: {error}")
    return StoreError(f"the Lease cannot be used: {error}")


def _meta(lease: Object) -> Object:
    """Return what a write needs; without the version it would overwrite whatever is there.

    Raises:
        StoreError: It has no version.
    """
    meta = lease.get("metadata")
    if not isinstance(meta, dict) or not meta.get("resourceVersion"):
        raise StoreError("the Lease came without a resourceVersion; nothing is written over it")
    return meta


def _spec(lease: Object) -> Object:
    spec = lease.get("spec")
    return dict(spec) if isinstance(spec, dict) else {}


def _transitions(spec: Object) -> int:
    said = spec.get("leaseTransitions")
    return said if isinstance(said, int) and not isinstance(said, bool) and said > 0 else 0


def _ours(spec: Object, owner: str, epoch: int) -> bool:
    return spec.get("holderIdentity") == owner and _transitions(spec) + 1 == epoch


def _record(owner: str, lease_ns: int, transitions: int, *, acquired: str) -> Object:
    return {
        "holderIdentity": owner,
        "leaseDurationSeconds": max(1, -(-lease_ns // SECOND)),  # up: nobody shall be early
        "leaseTransitions": transitions,
        "acquireTime": acquired,
        "renewTime": _wall(),
    }


def _lease(meta: Object, spec: Object) -> Object:
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": meta,
        "spec": spec,
    }


def _wall() -> str:
    """Return the time of day as Kubernetes writes it, for people."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
