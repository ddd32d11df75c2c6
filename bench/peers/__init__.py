"""Postlude beside other systems of background jobs: `python -m bench.peers`."""
