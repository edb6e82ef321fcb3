"""`homeostat schema`: the JSON Schema of the configuration files, or what Kubernetes takes."""

import json

import typer

_HEAD = """\
# Written by `homeostat schema --crds`; do not edit.
# A structural schema says less than the files' own. What it lets in is read as strictly as a file,
# and the resource's status says what is wrong. Beyond it, for every kind: keys that nobody knows,
# defaults, and rules between keys (such as exactly one of two). Key by key:
"""


def schema(
    crds: bool = typer.Option(
        False, "--crds", help="Kubernetes' CustomResourceDefinitions instead, as YAML."
    ),
) -> None:
    """Print the JSON Schema, for editors and for checks in a pipeline."""
    from homeostat.server import config

    if crds:
        typer.echo(_definitions(), nl=False)
        return
    typer.echo(json.dumps(config.schema(), indent=2, sort_keys=True))


def _definitions() -> str:
    import yaml

    from homeostat.server.config import crds

    lines = [
        f"#   {kind}: {key}: {what}" for kind in crds.PLURALS for key, what in crds.unsaid(kind)
    ]
    body = yaml.safe_dump_all(crds.crds(), sort_keys=False, width=100, allow_unicode=True)
    return _HEAD + "\n".join(lines) + "\n---\n" + body
