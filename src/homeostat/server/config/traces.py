"""`spec.traces`: where a span of each step of a decision is sent.

Secrets have no place here: a token is in a file of its own.
"""

from pathlib import Path

from pydantic import Field

from homeostat.server.config.guardrails import Strict
from homeostat.server.config.spelling import Url
from homeostat.server.plan import PartPlan


class TracesSpec(Strict):
    """An OpenTelemetry collector; needs the extra `otel`."""

    url: Url = Field(description="The whole address, http(s)://HOST:4318/v1/traces.")
    token_file: str | None = Field(
        default=None, min_length=1, max_length=4096, description="Holds a bearer token."
    )
    ca_file: str | None = Field(
        default=None, min_length=1, max_length=4096, description="Certificates to trust."
    )


def plan(spec: TracesSpec | None, base: Path) -> PartPlan | None:
    """Return the settings of what sends, None where nothing is sent.

    Args:
        spec: What the document says.
        base: Folder that relative paths start from.
    """
    if spec is None:
        return None
    settings = {
        "url": spec.url,
        "token_file": None if spec.token_file is None else base / spec.token_file,
        "ca_file": None if spec.ca_file is None else base / spec.ca_file,
    }
    return PartPlan(part="otlp", settings=settings)
