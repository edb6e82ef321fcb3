"""What `homeostat doctor` asks of the servers that numbers come from, and of the targets.

Reads only. Each question has its own deadline; what is not answered is a verdict of its own.
"""

import asyncio
import time
from collections.abc import Iterator, Sequence
from typing import Any, Final

from homeostat.adapters.sources.presets_choose import AmbiguousError, choose
from homeostat.adapters.sources.presets_file import presets
from homeostat.adapters.sources.prometheus_answer import QueryError, Series
from homeostat.adapters.sources.prometheus_api import PrometheusApi
from homeostat.adapters.sources.prometheus_select import matchers
from homeostat.adapters.sources.prometheus_source import PrometheusSettings
from homeostat.base.errors import ActuatorError
from homeostat.base.names import GATEWAY, OBSERVED
from homeostat.base.units import SECOND, TimeNs, seconds
from homeostat.cli import doctor_check as judged
from homeostat.cli.doctor_check import Check, Status
from homeostat.cli.init_measure import NEEDED, Measured, measure
from homeostat.cli.prometheus_reached import recently
from homeostat.server import wiring
from homeostat.server.config import Config, Deployment
from homeostat.server.planning import deployment_plan

_DEADLINE_S: Final = 20.0
_HPA: Final = "kube_horizontalpodautoscaler_spec_max_replicas"


async def asked(config: Config) -> list[Check]:
    """Return the checks of everything that is reached over the network."""
    checks: list[Check] = []
    known: dict[str, bool] = {}
    for deployment in config.deployments:
        entries = [PrometheusSettings(**entry.settings) for entry in deployment.prometheus]
        for entry in entries:
            if entry.url not in known:
                found = await _server(entry)
                known[entry.url] = all(one.status is not Status.FAIL for one in found)
                checks += found
        checks += await _target(deployment)
        judges = _judges(entries)
        if judges is not None and known[judges.url]:
            checks += await _deployment(deployment, judges)
        elif judges is None:
            checks.append(_unread(deployment))
    return [*checks, *_twice(config)]


def _judges(entries: Sequence[PrometheusSettings]) -> PrometheusSettings | None:
    """Return the entry that objectives are judged by, None if it is no Prometheus."""
    return next((one for one in entries if one.subject == GATEWAY), None)


def _unread(deployment: Deployment) -> Check:
    return Check(
        check="signals",
        about=deployment.name,
        status=Status.UNKNOWN,
        found="what users see is not read from a Prometheus; its pages were not asked",
        fix="`homeostat run --once` reads them and says what it saw",
    )


async def _server(entry: PrometheusSettings) -> list[Check]:
    """Return whether a server answers, how fast, with what clock, and what it permits."""
    api = PrometheusApi(entry.model_copy(update={"timeout_s": _DEADLINE_S}))
    where = api.where
    try:
        await api.instant("vector(1)")  # connects; the next one is measured
        began = time.monotonic()
        answer = await api.instant("vector(1)")
        took_s = time.monotonic() - began
        checks = [
            judged.answers(where, took_s, entry.timeout_s),
            judged.clock(where, answer.skew_s),
        ]
        return [*checks, await _permitted(api)]
    except QueryError as error:
        fix = "start it, or correct url and who asks in spec.metrics.prometheus"
        said = str(error).removeprefix(f"{where}: ")
        return [Check(check="answers", about=where, status=Status.FAIL, found=said, fix=fix)]
    finally:
        await api.close()


async def _permitted(api: PrometheusApi) -> Check:
    """Return whether names and ranges may be read as well: presets and history need them."""
    now = TimeNs(time.time_ns())
    denied = []
    for what, question in (
        ("names of metrics", api.names(["up"])),
        ("ranges", api.over("vector(1)", start=TimeNs(now - 60 * SECOND), end=now, step_s=30.0)),
    ):
        try:
            await question
        except QueryError as error:
            denied.append(f"{what}: {str(error).removeprefix(f'{api.where}: ')}")
    return Check(
        check="permissions",
        about=api.where,
        status=Status.WARN if denied else Status.OK,
        found="; ".join(denied) or "may query, list names and read ranges",
        fix="without names, `presets` must be written; without ranges there is no history"
        if denied
        else "",
    )


async def _deployment(deployment: Deployment, entry: PrometheusSettings) -> list[Check]:
    """Return the checks of what one deployment's objectives are judged by."""
    api = PrometheusApi(entry.model_copy(update={"timeout_s": _DEADLINE_S}))
    name, select = deployment.name, dict(entry.select)
    try:
        chosen = entry.presets or choose(
            await api.names(["{" + matchers(select) + "}"], since=recently())
        )
        read = [one for one in chosen if presets()[one].rules.rules]
        up = (await api.instant(f"up{{{matchers(select)}}}[5m]")).whole(api.where)
        measured = await measure(api, select, read)
        scalers = await _scalers(api, up.series)
    except (QueryError, AmbiguousError) as error:
        said = str(error).removeprefix(f"{api.where}: ")
        fix = "see `homeostat get presets --prometheus URL`, and correct select or presets"
        return [Check(check="signals", about=name, status=Status.FAIL, found=said, fix=fix)]
    finally:
        await api.close()
    age_s = _age(up.series, time.time() + _known(up.skew_s))
    return list(_judged(deployment, measured, up.series, age_s, read, scalers))


def _judged(
    deployment: Deployment,
    measured: Measured,
    up: Sequence[Series],
    age_s: float | None,
    read: Sequence[str],
    scalers: Sequence[str] | None,
) -> Iterator[Check]:
    name, managed = deployment.name, deployment.managed
    down = sorted(one.labels.get("instance", "?") for one in up if one.samples[-1][1] == 0.0)
    yield judged.targets(name, down, len(up))
    yield judged.fresh(name, age_s, measured.scrape_s)
    yield judged.rhythm(name, measured.scrape_s, seconds(managed.scrape_ns))
    lacks = measured.lacks if read else tuple(NEEDED.values())
    yield judged.signals(name, lacks, read)
    limit_ms = managed.objective.latency_p95_ms
    exact = any(one.limit == limit_ms and "within" in one.signal for one in managed.slos)
    yield judged.buckets(name, measured.edges_ms, limit_ms, exact=exact)
    watched = managed.scale_actuator == OBSERVED
    yield judged.owners(name, watched=watched, scalers=scalers)


async def _scalers(api: PrometheusApi, up: Sequence[Series]) -> tuple[str, ...] | None:
    """Return the autoscalers of a deployment's namespaces, None where nothing says."""
    spaces = {one.labels["namespace"] for one in up if one.labels.get("namespace")}
    asked = await api.instant(f"count by (namespace,horizontalpodautoscaler) ({_HPA})")
    there = asked.whole(api.where).series  # of a part, "none" would be a guess
    if not there or not spaces:
        return None
    return tuple(
        sorted(
            f"{one.labels['namespace']}/{one.labels.get('horizontalpodautoscaler', '?')}"
            for one in there
            if one.labels.get("namespace") in spaces
        )
    )


async def _target(deployment: Deployment) -> list[Check]:
    """Return whether each thing that is read back and changed answers."""
    made = wiring.deployment(deployment_plan(deployment), None)
    checks = []
    for actuator in made.actuators.values():
        about = f"{deployment.name} ({actuator.name})"
        try:
            async with asyncio.timeout(_DEADLINE_S):
                world = await actuator.read(deployment.name, TimeNs(time.time_ns()))
            found = f"{len(world.replicas)} replicas, {len(world.levers)} levers read back"
            epochs = [one.epoch for one in world.stamps if one.epoch]
            found += f"; written to by a controller before (epoch {max(epochs)})" if epochs else ""
            checks.append(Check(check="target", about=about, status=Status.OK, found=found))
        except (ActuatorError, TimeoutError) as error:
            fix = "correct spec.target, or start what it names"
            said = str(error) or f"no answer within {_DEADLINE_S:g} s"
            checks.append(
                Check(check="target", about=about, status=Status.FAIL, found=said, fix=fix)
            )
        finally:
            await actuator.close()
    return checks


def _twice(config: Config) -> Iterator[Check]:
    """Yield what two deployments of these files both claim."""
    seen: dict[Any, str] = {}
    for deployment in config.deployments:
        host = deployment.process
        claims: set[Any] = set() if host is None else {("host", host.url)}
        claims |= {
            (entry.settings["url"], entry.settings["select"]) for entry in deployment.prometheus
        }
        for claim in claims:
            other = seen.setdefault(claim, deployment.name)
            if other != deployment.name:
                hosts = claim[0] == "host"
                yield Check(
                    check="owners",
                    about=deployment.name,
                    status=Status.FAIL if hosts else Status.WARN,
                    found=f"{other} names the same {'process host' if hosts else 'series'}",
                    fix="two that move one lever fight: keep one" if hosts else "select narrower",
                )


def _age(up: Sequence[Series], now_s: float) -> float | None:
    newest = [one.samples[-1][0] for one in up if one.samples]
    return max(0.0, now_s - max(newest)) if newest else None


def _known(skew_s: float) -> float:
    """Return what is to be added to our clock: a date of whole seconds corrects no less."""
    return skew_s if abs(skew_s) > 1.0 else 0.0
