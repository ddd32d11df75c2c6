"""A process that takes a lock, or claims and starts jobs, says so, and waits to be killed.

python -m tests.stores.dying lock FILE
python -m tests.stores.dying marks FOLDER SEQ... [draining]
python -m tests.stores.dying run JOURNAL [draining]

With `forking` as the last word it leaves a child that lives on.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE, Popen

PATIENCE = 10.0


@contextmanager
def dying(*arguments: object) -> Iterator[tuple["Popen[str]", str]]:
    """Start one; give the process, and what it says when it is ready. It is killed in the end."""
    command = [sys.executable, "-m", "tests.stores.dying", *map(str, arguments)]
    process = Popen(command, stdin=PIPE, stdout=PIPE, text=True, cwd=Path(__file__).parents[2])
    try:
        assert process.stdout is not None
        yield process, process.stdout.readline().strip()
    finally:
        process.kill()
        process.communicate(timeout=PATIENCE)


def main(what: str, place: Path, *rest: str) -> None:
    """Do it, say so, and wait."""
    if what == "lock":
        said = _lock(place)
    elif what == "marks":
        said = _marks(place, *rest)
    else:
        said = _run(place, draining="draining" in rest)
    if "forking" in rest:
        _fork()
    sys.stdout.write(f"{said}\n")
    sys.stdout.flush()
    sys.stdin.read()


def _fork() -> None:
    """Leave a child that lives on; it has noticed that it is one when this returns."""
    heard, said = os.pipe()
    if os.fork() == 0:
        os.write(said, b".")
        sys.stdin.read()
        os._exit(0)
    os.read(heard, 1)


def _lock(place: Path) -> str:
    from postlude.stores.sqlite.locks import WriterLock

    global kept
    kept = WriterLock(place)
    kept.acquire()
    return "locked"


def _marks(folder: Path, *rest: str) -> str:
    from postlude.stores.sqlite.locks.marks import MarksFile

    global kept
    kept = marks = MarksFile(folder)
    for word in rest:
        if word == "forking":
            continue
        if word == "draining":
            marks.draining()
        elif word.startswith("-"):
            marks.started(int(word[1:]), 1, 30)
            marks.ended(int(word[1:]))
        else:
            marks.started(int(word), 1, 30)
    return marks.token


def _run(journal: Path, *, draining: bool) -> str:
    """Claim everything, one suspect with it, and start it all."""
    from postlude.stores.protocol import NewRunner
    from postlude.stores.sqlite import SqliteStore

    global kept
    kept = store = SqliteStore(journal)
    store.open()
    runner = store.enlist(NewRunner("r1", 3600.0)).wait(PATIENCE)
    claims = store.claim(runner.runner, 100, suspect=True).wait(PATIENCE).claims
    for claim in claims:
        runner.marks.started(claim.seq, claim.fence, 30)
    if draining:
        runner.marks.draining()
    return " ".join(claim.id.hex() for claim in claims)


kept: object = None
"""What must live as long as the process."""

if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:])
