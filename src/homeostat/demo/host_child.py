"""What runs in a forked model-server process before it serves, and how processes die together.

Children of the fork server die with it, the fork server dies with the host, and the host ends
with whoever started it: Linux's parent-death signal, so that even SIGKILL leaves nothing behind.
"""

import ctypes
import importlib
import os
import signal
from typing import Any, Final

_PR_SET_PDEATHSIG: Final = 1  # linux/prctl.h


def die_with_parent(sig: signal.Signals) -> None:
    """Ask the kernel to send this process a signal when its parent ends.

    The kernel ties it to the thread that started this process; start long-lived processes from
    the main thread.

    Raises:
        OSError: The kernel refused.
    """
    parent = os.getppid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, int(sig), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != parent:  # it ended before the call took effect; nobody will tell us
        os.kill(os.getpid(), sig)


def serve_in_child(server: str, settings: Any) -> None:
    """Run `module:function` with its settings until it returns.

    A process of its own session: Ctrl-C at the terminal reaches the host, and the host decides.
    """
    die_with_parent(signal.SIGKILL)
    os.setsid()
    module, _, function = server.partition(":")
    getattr(importlib.import_module(module), function)(settings)
