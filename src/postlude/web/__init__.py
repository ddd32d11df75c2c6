"""What an application shows of its jobs over HTTP."""

from postlude.web.report import JobReport
from postlude.web.status import status_router

__all__ = ["JobReport", "status_router"]
