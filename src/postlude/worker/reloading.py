"""Starting a worker's process afresh when the application's code changes, for its developers."""

from collections.abc import Callable, Sequence
from pathlib import Path

from postlude.errors import PostludeError


def checked_watcher() -> None:
    """Make sure that there is what watches files.

    Raises:
        PostludeError: it is not installed.
    """
    try:
        import watchfiles  # noqa: F401
    except ModuleNotFoundError:
        raise PostludeError("--reload needs an extra: pip install 'postlude[reload]'") from None


async def watch(directory: Path, changed: Callable[[Sequence[str]], None]) -> None:
    """Tell which of the Python files in a directory have changed, whenever some have; until cancelled."""
    from watchfiles import PythonFilter, awatch

    async for changes in awatch(directory, watch_filter=PythonFilter()):
        changed(sorted({path for _, path in changes}))
