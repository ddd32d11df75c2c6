"""The locked files beside the journal: the one that writers take in turn, and each runner's start marks."""

from postlude.stores.sqlite.locks.marks import MarksFile
from postlude.stores.sqlite.locks.writer import WriterLock

__all__ = ["MarksFile", "WriterLock"]
