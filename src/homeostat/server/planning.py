"""From the configuration's values to the wiring's plan: names of plug-ins and their settings."""

from dataclasses import replace
from typing import Any

from homeostat.base import names
from homeostat.base.errors import ConfigError
from homeostat.server.config import (
    Config,
    Deployment,
    Envoy,
    ProcessHost,
    ScrapeTarget,
)
from homeostat.server.plan import ControllerPlan, DeploymentPlan, PartPlan


def plan_of(config: Config) -> ControllerPlan:
    """Return the plan of one controller process.

    Raises:
        ConfigError: A model is for a deployment that is not there.
    """
    settings = config.controller
    _known(config)
    return ControllerPlan(
        deployments=tuple(deployment_plan(entry) for entry in config.deployments),
        journal=settings.store_path,
        kill_file=settings.kill_file,
        terminal=settings.terminal,
        notifiers=settings.notifiers,
        api_host=settings.api_host,
        api_port=settings.api_port,
        token_file=settings.token_file,
        people_file=settings.people_file,
        retention_ns=settings.retention_ns,
        accept_missing_anchor=settings.accept_missing_anchor,
        postgres=settings.postgres,
        lease_ns=settings.lease_ns,
        traces=settings.traces,
        cluster=settings.cluster,
        pages=settings.pages,
        slack=settings.slack,
        alerts=settings.alerts,
        false_incidents=settings.false_incidents,
        false_share=settings.false_share,
        autoencoders=settings.autoencoders,
        shared=settings.shared,
    )


def _known(config: Config) -> None:
    """Refuse a model for a deployment that nobody manages.

    Raises:
        ConfigError: Names it, and those that there are.
    """
    there = sorted(entry.managed.name for entry in config.deployments)
    for name, _ in config.controller.autoencoders:
        if name not in there:
            raise ConfigError(
                f"spec.detection.autoencoders.{name}: there is no such deployment "
                f"(there are: {', '.join(there) or 'none'}); correct the name"
            )


def needs_restart(running: ControllerPlan, wanted: ControllerPlan) -> list[str]:
    """Return what a changed configuration says that a running controller cannot take over.

    Guards, objectives and modes come into force while it runs; which deployments there are, how
    they are reached, and the controller's own settings do not.

    Args:
        running: The plan that the process was built from.
        wanted: The plan of the files as they are now.
    """
    before = {entry.managed.name: entry for entry in running.deployments}
    after = {entry.managed.name: entry for entry in wanted.deployments}
    said = [f"{name} is new and not managed yet" for name in after if name not in before]
    said += [f"{name} is gone from it and still managed" for name in before if name not in after]
    said += [
        f"{name} is reached differently (target, metrics, probe, labels, twin or training)"
        for name, entry in after.items()
        if name in before and _reached(entry) != _reached(before[name])
    ]
    port = wanted.api_port or running.api_port  # 0 is any free one: that of now will do
    if replace(wanted, deployments=(), api_port=port) != replace(running, deployments=()):
        said.append("the controller's own settings (store, API, kill file, notifiers) differ")
    return said


def _reached(entry: DeploymentPlan) -> tuple[object, ...]:
    """Return the part of a plan that the core is not told anew."""
    return (
        entry.actuators,
        entry.observed,
        entry.sources,
        entry.per_replica,
        entry.labels_path,
        entry.twin,
        entry.trainer,
    )


def deployment_plan(entry: Deployment) -> DeploymentPlan:
    """Return the plan of one deployment."""
    actuators = [] if entry.process is None else [_process(entry.process)]
    if entry.envoy is not None:
        actuators.append(_envoy(entry.envoy))
    pages = [(target, _page(entry, target)) for target in entry.scrape]
    per_replica = [page for target, page in pages if target.subject is None]
    if entry.probe is not None:
        per_replica.append(_probe(entry))
    return DeploymentPlan(
        managed=entry.managed,
        actuators=(*actuators, *entry.elsewhere),
        observed=entry.observed,
        sources=(
            *(page for target, page in pages if target.subject is not None),
            *entry.prometheus,
        ),
        per_replica=tuple(per_replica),
        labels_path=entry.labels_path,
        twin=entry.twin,
        trainer=entry.trainer,
    )


def _process(host: ProcessHost) -> PartPlan:
    settings = {"name": host.name, "url": host.url, "read_timeout_s": host.read_timeout_s}
    return PartPlan(part="process", settings=settings)


def _envoy(envoy: Envoy) -> PartPlan:
    settings: dict[str, Any] = {
        "name": envoy.name,
        "url": envoy.url,
        "weights": dict(envoy.weights),
        "limited_clusters": envoy.limited_clusters,
        "read_timeout_s": envoy.read_timeout_s,
    }
    return PartPlan(part="envoy", settings=settings)


def _page(entry: Deployment, target: ScrapeTarget) -> PartPlan:
    subject = target.subject or names.replica("{name}")
    settings: dict[str, Any] = {
        "name": f"page:{subject}",
        "url": target.url,
        "deployment": entry.name,
        "subject": subject,
        "timeout_s": target.timeout_s,
        "mapping": target.preset,
        "pools": target.pools,
    }
    return PartPlan(part="scrape", settings=settings)


def _probe(entry: Deployment) -> PartPlan:
    probe = entry.probe
    if probe is None:
        raise ValueError(f"{entry.name} has no probe")
    settings: dict[str, Any] = {
        "name": "probe:{name}",
        "url": "http://{address}",
        "deployment": entry.name,
        "subject": names.replica("{name}"),
        "model": probe.model,
        "features": probe.features,
        "timeout_s": probe.timeout_s,
        "expect_low": probe.expect_low,
        "expect_high": probe.expect_high,
    }
    return PartPlan(part="probe", settings=settings)
