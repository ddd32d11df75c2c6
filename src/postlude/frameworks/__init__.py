"""Joining an application of a web framework."""
