"""What an application shows of its jobs over HTTP."""

from postlude.web.status import JobReport, status_router

__all__ = ["JobReport", "status_router"]
