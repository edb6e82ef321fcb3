"""`homeostat policy export`: what Kubernetes itself can check of a policy."""

from collections.abc import Sequence
from pathlib import Path

import typer
import yaml

from homeostat.base.errors import ConfigError
from homeostat.proof.admission import Resource, Target, admission_policy
from homeostat.server.proving import subjects


def export(file: Path, account: str, targets: Sequence[str]) -> None:
    """Print the policies and bindings, one YAML document each.

    Args:
        file: The policy.
        account: The controller's user name in the cluster.
        targets: `POOL=NAMESPACE/NAME` or `POOL=NAMESPACE/hpa/NAME`.

    Raises:
        ConfigError: The file or a target cannot be used.
    """
    found = list(subjects([file]))
    if targets and len(found) != 1:
        names = ", ".join(sorted(one.name for one in found))
        raise ConfigError(f"{file} holds several policies ({names}); --target speaks of one alone")
    documents = []
    try:
        objects = [target_of(text) for text in targets]
        for subject in found:
            documents += admission_policy(subject.name, subject.policy, account, objects)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    typer.echo(yaml.safe_dump_all(documents, sort_keys=False), nl=False)


def target_of(text: str) -> Target:
    """Return the object that a `--target` names.

    Raises:
        ValueError: It has another form, or a name is none.

    >>> target_of("a=shop/hpa/recommender").resource
    'hpa'
    """
    pool, _, rest = text.partition("=")
    namespace, _, name = rest.partition("/")
    resource: Resource = "deployment"
    if name.startswith("hpa/"):
        resource, name = "hpa", name.removeprefix("hpa/")
    if not pool or not namespace or not name:
        raise ValueError(
            f"--target {text!r}: write POOL=NAMESPACE/NAME, or POOL=NAMESPACE/hpa/NAME"
        )
    return Target(pool=pool, namespace=namespace, name=name, resource=resource)
