"""How much memory this process uses, for those who replace one that uses too much."""

import resource
import sys


def resident_bytes() -> int:
    """Return the memory that this process uses; where the system does not say, the most that it used."""
    try:
        with open("/proc/self/statm", "rb") as statm:
            return int(statm.read().split()[1]) * resource.getpagesize()
    except OSError:
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024
