"""What a configuration's files say that can be proved.

The solver is an extra and is needed by `prover` alone: whether it is there is asked here.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from homeostat.base.errors import ConfigError
from homeostat.base.policy import GuardPolicy
from homeostat.base.units import SECOND
from homeostat.server.config import Deployment, loader
from homeostat.server.config.guardrails import Guardrails, merged, to_policy
from homeostat.server.config.kinds import GuardrailPolicy, ManagedModel
from homeostat.server.config.prices import money
from homeostat.server.config.units import duration_ns

INTERVAL_KEY: Final = "homeostat.dev/interval"
INTERVAL_NS: Final = 15 * SECOND  # the default of a deployment's `interval`
_PRICE_MILLI: Final = 1000  # a dollar an hour, where no deployment says what a replica costs


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One policy to prove, as one deployment has it.

    Attributes:
        name: The policy's, or the deployment's.
        rails: The settings as written.
        policy: The settings as the guards take them.
        scrape_ns: The scrape interval that turns spans into times.
        price_milli: Price of a replica of the cheapest pool, thousandths an hour.
        dearest_milli: The same of the dearest pool.
    """

    name: str
    rails: Guardrails
    policy: GuardPolicy
    scrape_ns: int
    price_milli: int
    dearest_milli: int


def installed() -> bool:
    """Return whether the solver is there."""
    return find_spec("z3") is not None


def subjects(paths: Sequence[Path], interval_ns: int | None = None) -> tuple[Subject, ...]:
    """Return what some files say that can be proved.

    Args:
        paths: Files with policies, deployments or both.
        interval_ns: Scrape interval of policies that no deployment of the files uses; without it
            the policy's annotation `homeostat.dev/interval` speaks, else the default.

    Raises:
        ConfigError: A file cannot be read or used, or holds nothing to prove.
    """
    documents = [one for path in paths for one in loader.documents(path)]
    policies = {one.metadata.name: one for one, _ in documents if isinstance(one, GuardrailPolicy)}
    models = [one for one, _ in documents if isinstance(one, ManagedModel)]
    found = [_of_model(model, policies) for model in models]
    used = {model.spec.policy for model in models}
    found += [
        _of_policy(one, interval_ns) for name, one in sorted(policies.items()) if name not in used
    ]
    if not found:
        files = ", ".join(str(path) for path in paths)
        raise ConfigError(
            f"no GuardrailPolicy and no ManagedModel in {files}; name a file with one"
        )
    return tuple(found)


def _of_model(model: ManagedModel, policies: dict[str, GuardrailPolicy]) -> Subject:
    spec, wanted = model.spec, model.spec.policy
    if wanted is not None and wanted not in policies:
        raise ConfigError(
            f"{model.metadata.name} names the policy {wanted!r}, which none of the files holds; "
            "name its file too"
        )
    base = Guardrails() if wanted is None else policies[wanted].spec
    rails = merged(base, spec.guardrails)
    prices = [price for price in spec.objective.milli if price > 0] or [_PRICE_MILLI]
    _, guard = money(spec.objective, to_policy(rails, spec.interval), ConfigError)
    return Subject(
        name=model.metadata.name,
        rails=rails,
        policy=guard,
        scrape_ns=spec.interval,
        price_milli=min(prices),
        dearest_milli=max(prices),
    )


def subject_of(entry: Deployment) -> Subject:
    """Return what is to be proved of a deployment as it was loaded."""
    managed, prices = entry.managed, entry.prices_milli or (_PRICE_MILLI,)
    return Subject(
        name=managed.name,
        rails=entry.rails,
        policy=replace(managed.guard, frozen=False, unproved=""),
        scrape_ns=managed.scrape_ns,
        price_milli=min(prices),
        dearest_milli=max(prices),
    )


def _of_policy(one: GuardrailPolicy, interval_ns: int | None) -> Subject:
    said = one.metadata.annotations.get(INTERVAL_KEY)
    scrape = interval_ns or (INTERVAL_NS if said is None else _interval(said, one.metadata.name))
    return Subject(
        name=one.metadata.name,
        rails=one.spec,
        policy=to_policy(one.spec, scrape),
        scrape_ns=scrape,
        price_milli=_PRICE_MILLI,
        dearest_milli=_PRICE_MILLI,
    )


def _interval(said: str, name: str) -> int:
    try:
        return duration_ns(said)
    except ValueError as error:
        raise ConfigError(f"policy {name}: annotation {INTERVAL_KEY}: {error}") from error
