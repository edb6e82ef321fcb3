"""The mark that only `safety.permit` may put on a safe set (an import-linter contract)."""

from typing import Final

SEAL: Final = object()
