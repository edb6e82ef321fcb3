"""Imported once by the fork server, never by anything else: makes what it forks light.

All heavy imports have been done by then (the host names them for preloading), so their objects
are frozen out of garbage collection: children share the memory instead of touching it.
"""

import gc
import os
import signal

from homeostat.demo.host_child import die_with_parent

if os.environ.get("HOMEOSTAT_ZYGOTE_OF") == str(os.getppid()):
    die_with_parent(signal.SIGKILL)
    gc.collect()
    gc.freeze()
