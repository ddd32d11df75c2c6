"""Measurements of a journal in PostgreSQL, on a server of their own: `python -m bench.postgres`."""
