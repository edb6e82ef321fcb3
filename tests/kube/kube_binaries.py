"""Where the real kube-apiserver and kube-controller-manager are that `make kube` builds."""

import hashlib
import os
import shutil
from pathlib import Path
from typing import Final

RECIPE: Final = Path(__file__).with_name("build.sh")
RELEASE: Final = "1.20.2"
NAMES: Final = ("kube-apiserver", "kube-controller-manager")


def folder() -> Path:
    """Return where they are, or would be: HOMEOSTAT_KUBE, or a cache by the recipe's digest."""
    if own := os.environ.get("HOMEOSTAT_KUBE"):
        return Path(own)
    digest = hashlib.sha256(RECIPE.read_bytes()).hexdigest()[:12]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "homeostat-testbed" / f"kube-{RELEASE}-{digest}"


def apiserver() -> str | None:
    """Return the path of the API server, None where it has not been built."""
    found = folder() / NAMES[0]
    return str(found) if found.exists() else None


def missing() -> str:
    """Return why no cluster can be started here, empty if one can."""
    absent = [name for name in NAMES if not (folder() / name).exists()]
    if absent:
        return f"no {' and no '.join(absent)} in {folder()}: make kube"
    if shutil.which("etcd") is None:
        return "etcd is not installed: apt-get install etcd-server"
    if shutil.which("openssl") is None:
        return "openssl is not installed: apt-get install openssl"
    return ""
