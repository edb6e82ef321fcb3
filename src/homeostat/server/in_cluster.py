"""What a controller does in a Kubernetes cluster beside its work: a Lease, resources, Events.

Nothing here touches the loop. What the API server does not answer stays as it was, and is said.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import structlog

from homeostat.adapters._cluster import Access, Cluster, ClusterError
from homeostat.adapters.stores.kubernetes_lease import KubernetesLease
from homeostat.adapters.stores.leased_journal import LeasedJournal
from homeostat.base.errors import ConfigError
from homeostat.server import resources_said
from homeostat.server.config import Watcher
from homeostat.server.config.clusters import ACCOUNT
from homeostat.server.config.crds import PLURALS
from homeostat.server.config.loader import controller_of
from homeostat.server.plan import ClusterPlan, ControllerPlan
from homeostat.server.planning import needs_restart, plan_of
from homeostat.server.resources import Resources
from homeostat.server.runtime import Runtime

log = structlog.get_logger()
_NAME_MAX: Final = 63


def namespace(plan: ClusterPlan) -> str:
    """Return the namespace of the Lease and the resources: as written, or the pod's own.

    Raises:
        ConfigError: This is no pod, and nobody wrote it.
    """
    if plan.namespace is not None:
        return plan.namespace
    try:
        found = (ACCOUNT / "namespace").read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            "spec.cluster.namespace is missing, and this is no pod that has one "
            f"({error}); write it"
        ) from error
    if not 0 < len(found) <= _NAME_MAX:
        raise ConfigError(f"{ACCOUNT / 'namespace'} holds no namespace; write spec.cluster")
    return found


def led(journal: Any, plan: ClusterPlan | None) -> Any:
    """Return a journal that is led through a Lease, or as it is where none is named.

    Raises:
        ConfigError: The Lease's namespace is not known.
    """
    if plan is None or plan.lease is None:
        return journal
    return LeasedJournal(journal, KubernetesLease(_cluster(plan), namespace(plan), plan.lease))


def resources(files: Sequence[Path]) -> Resources | None:
    """Return the custom resources that a Controller's document asks for, listed once; or None.

    Raises:
        ConfigError: The files cannot be used, or the resources' namespace is not known.
    """
    plan = controller_of(files).cluster
    if plan is None or plan.resources is None:
        return None
    found = Resources(_cluster(plan), namespace(plan), plan.resources.files, plan.url)
    found.look()
    return found


async def keep_looking(watcher: Watcher, runtime: Runtime, plan: ControllerPlan) -> None:
    """Look at the resources until cancelled, and say on them what became of them.

    Args:
        watcher: Reads them as configuration.
        runtime: The running controller; only one that leads says anything.
        plan: What the process was built from.
    """
    cluster, found = plan.cluster, watcher.more
    if cluster is None or cluster.resources is None or not isinstance(found, Resources):
        return
    said = ""
    while True:
        await asyncio.sleep(cluster.resources.every_s)
        await asyncio.to_thread(found.look)
        if found.problem and found.problem != said:
            log.warning("configuration", effect="what was read stays", problem=found.problem)
        said = found.problem
        if not (found.problem or not runtime.epoch or not cluster.resources.status):
            late = needs_restart(plan, plan_of(watcher.config))
            await say(found, watcher, runtime, late)


async def say(found: Resources, watcher: Watcher, runtime: Runtime, late: Sequence[str]) -> None:
    """Write on every resource what became of it, where that changed.

    Args:
        found: The resources, as they were just listed.
        watcher: Knows whether they can be used together.
        runtime: The running controller.
        late: What is not in force before a restart, one sentence each.
    """
    known = resources_said.Known(
        refused=found.refused(),
        problem=watcher.problem,
        restart=late,
        states=runtime.states,
    )
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    for obj in found.found:
        after = resources_said.status(obj, known, now)
        if after is None:
            continue
        try:
            await asyncio.to_thread(_write, found, obj, after, runtime.shell.owner)
        except ClusterError as error:
            log.warning("resource", name=obj["metadata"]["name"], problem=str(error))
            return  # it is tried again at the next look


def _write(found: Resources, obj: Any, after: Any, owner: str) -> None:
    """Write a status and the Events of what changed in it.

    Raises:
        ClusterError: The status was not written.
    """
    plural, _ = PLURALS[obj["kind"]]
    path = f"{found.path(plural)}/{obj['metadata']['name']}/status"
    found.cluster.merge(path, {"status": after})
    moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    events = f"/apis/events.k8s.io/v1/namespaces/{found.namespace}/events"
    with contextlib.suppress(ClusterError):  # an Event is a courtesy; the status is the word
        for one in resources_said.events(obj, after, owner, moment):
            found.cluster.create(events, one)


def _cluster(plan: ClusterPlan) -> Cluster:
    return Cluster(Access(url=plan.url, token_file=plan.token_file, ca_file=plan.ca_file))
