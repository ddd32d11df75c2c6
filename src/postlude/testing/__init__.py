"""What tests need: of applications that use Postlude, and of stores that others write."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from postlude.testing.jobs import PostludeJobs
    from postlude.testing.records import AddedJob, Drained

__all__ = ["AddedJob", "Drained", "PostludeJobs"]


def __getattr__(name: str) -> Any:
    # Not before they are asked for: pytest imports this package in every run.
    if name == "PostludeJobs":
        from postlude.testing.jobs import PostludeJobs

        return PostludeJobs
    if name in ("AddedJob", "Drained"):
        from postlude.testing import records

        return getattr(records, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
