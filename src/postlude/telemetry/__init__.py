"""Telling people what happens: the guarded log, and the lines of a start."""
