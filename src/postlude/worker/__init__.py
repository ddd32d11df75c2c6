"""Processes that run jobs and do nothing else: `postlude worker`."""
