"""The labels of our alerts, as the configuration and the notifier both know them."""

from typing import Final

LABEL: Final = r"^[a-zA-Z_][a-zA-Z0-9_]{0,99}$"
"""A label's name, as Prometheus has it."""
OWN_LABELS: Final = frozenset({"alertname", "severity", "source", "deployment", "incident"})
"""Set by us, so that the labels of an incident never change."""
SOURCE: Final = "homeostat"
"""The label `source`, by which alerts of ours are known where they come back."""
