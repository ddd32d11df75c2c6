"""What an application shows of its jobs over HTTP."""

from postlude.web.status import status_router

__all__ = ["status_router"]
