"""A journal in memory: for tests, and for applications that may forget. It ends with its process."""

from postlude.stores.memory.store import MemoryStore

__all__ = ["MemoryStore"]
