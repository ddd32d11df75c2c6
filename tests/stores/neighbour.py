"""Another process that has a journal open: adds a job for each line, and says how many it sees."""

import os
import sys

from postlude.errors import JournalUnavailable
from postlude.model.job import NewJob
from postlude.stores.sqlite import SqliteStore


def main(path: str) -> None:
    store = SqliteStore(path)
    store.open()
    say("open")
    for _ in sys.stdin:
        try:
            store.add([NewJob(os.urandom(16), "app:f", "default", b"x" * 500, 1)]).wait(10)
            say(str(sum(counts.jobs for counts in store.counts().wait(10))))
        except JournalUnavailable:
            say("unavailable")
    store.close()


def say(word: str) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1])
