"""`homeostat schema`: the JSON Schema of the configuration files."""

import json

import typer


def schema() -> None:
    """Print the JSON Schema, for editors and for checks in a pipeline."""
    from homeostat.server import config

    typer.echo(json.dumps(config.schema(), indent=2, sort_keys=True))
