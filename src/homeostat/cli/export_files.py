"""The texts that `homeostat export` writes."""

import json
from pathlib import Path

import yaml

from homeostat.base.errors import ConfigError
from homeostat.report.lab_figures import spliced
from homeostat.server.config.targets import plain_url
from homeostat.server.telemetry import grafana, page


def grafana_files(job: str, prometheus: str | None, folder: str) -> dict[str, str]:
    """Return what Grafana is given, by path.

    Args:
        job: The job under which the controllers are scraped.
        prometheus: Address of the data source, None to leave it to a person.
        folder: Where Grafana finds the dashboard.

    Raises:
        ValueError: The job or the address cannot be one.
    """
    board = json.dumps(grafana.dashboard(job), indent=2, ensure_ascii=False)
    files = {
        "dashboards/homeostat.json": board + "\n",
        "provisioning/dashboards/homeostat.yaml": _yaml(grafana.provider(folder)),
    }
    if prometheus is not None:
        found = grafana.source(plain_url(prometheus))
        files["provisioning/datasources/homeostat.yaml"] = _yaml(found)
    return files


def written(file: Path) -> str:
    """Return a page with the tables of metrics and alerts as they are now.

    Raises:
        ConfigError: It cannot be read.
        MarkerError: It has no place for them.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: cannot be read ({error})") from error
    return spliced(spliced(text, "metrics", page.metrics()), "alerts", page.alerts())


def _yaml(found: dict[str, object]) -> str:
    said = "# Written by `homeostat export grafana`.\n"
    return said + yaml.safe_dump(found, sort_keys=False, allow_unicode=True)
