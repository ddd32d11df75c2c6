"""A small shop that shows what Postlude does: `make demo`."""
