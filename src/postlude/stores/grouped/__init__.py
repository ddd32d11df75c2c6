"""Stores that write in groups: batching on the loop, one writer thread behind it."""
