"""Configuration files: strict kinds, JSON Schema, errors that teach, last good kept."""

from homeostat.base.errors import ConfigError
from homeostat.server.config.loaded import (
    Config,
    ControllerSettings,
    Deployment,
    Probe,
    ScrapeTarget,
    state_folder,
)
from homeostat.server.config.loader import load, schema
from homeostat.server.config.reached import Envoy, ProcessHost
from homeostat.server.config.watcher import Watcher

__all__ = [
    "Config",
    "ConfigError",
    "ControllerSettings",
    "Deployment",
    "Envoy",
    "Probe",
    "ProcessHost",
    "ScrapeTarget",
    "Watcher",
    "load",
    "schema",
    "state_folder",
]
