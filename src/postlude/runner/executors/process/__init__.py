"""Where functions that keep a processor busy are executed: a pool of processes."""

import sys


def inside() -> bool:
    """Whether this is a process of such a pool. There, an application is imported and never started."""
    return hasattr(sys.modules["__main__"], "postlude_process")
