"""Measurements against FastAPI's own background tasks: `make bench`."""
