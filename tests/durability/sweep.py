"""Forks that use a journal, each killed by strace at another of its writes.

    python -m tests.durability.sweep CALL [--fresh]

Prints how many were killed. The last one gets through, because it makes fewer such calls.
`--fresh`: each has a journal of its own to make; else each goes on with what the one before left.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from postlude.clock import SystemClock
from postlude.model.job import Claim, NewJob
from postlude.model.outcome import SUCCEEDED, Finish
from postlude.stores.protocol import NewRunner
from postlude.stores.sqlite import SqliteStore
from tests.durability.journal import eventually, read_rows, token_of
from tests.durability.served import ARENA, FOLDER, noop
from tests.durability.witness import Witness, seen

MOST: Final = 400
PATIENCE: Final = 10.0


def live(journal: Path) -> None:
    """Open, bury the dead, add, claim, finish and close, as a process does."""
    witness = Witness(FOLDER)
    store = SqliteStore(journal)
    store.open()
    runner = store.enlist(NewRunner("", 15.0)).wait(PATIENCE)
    store.reap().wait(PATIENCE)
    for number in range(3):
        token = f"{os.getpid()}-{number}"
        payload = b'{"a":[],"k":{"token":"%s"}}' % token.encode()
        job = NewJob(os.urandom(16), f"{noop.__module__}:noop", "default", payload, 1)
        witness.note("intent", token)
        store.add([job]).wait(PATIENCE)
        witness.note("acked", token)
    for claim in store.claim(runner.runner, 2, suspect=False).wait(PATIENCE).claims:
        runner.marks.started(claim.seq, claim.fence, SystemClock().now())
        _run(store, claim, witness)
        runner.marks.ended(claim.seq)
    store.retire(runner.runner, draining=False).wait(PATIENCE)
    store.close()


def _run(store: SqliteStore, claim: Claim, witness: Witness) -> None:
    token = token_of(claim.payload)
    witness.note("start", token)
    finish = Finish(claim.seq, claim.fence, claim.task, 1, _now(), SUCCEEDED)
    assert store.finish([finish]).wait(PATIENCE) == [True]
    witness.note("end", token)


def _now() -> int:

    return time.time_ns() // 1000


def killed(call: str, nth: int, journal: Path) -> int | None:
    """Run a fork that dies at its nth call; returns its pid, or None if it made fewer."""
    pid = os.fork()
    if pid == 0:
        os.kill(os.getpid(), signal.SIGSTOP)
        try:
            live(journal)
        except BaseException:
            sys.excepthook(*sys.exc_info())
            os._exit(1)
        os._exit(0)
    os.waitpid(pid, os.WUNTRACED)
    inject = f"inject={call}:signal=KILL:when={nth}"
    strace = subprocess.Popen(
        ["strace", "-f", "-qq", "-o", "/dev/null", "-p", str(pid), "-e", f"trace={call}", "-e", inject]
    )
    eventually(lambda: "TracerPid:\t0\n" not in Path(f"/proc/{pid}/status").read_text(), "strace attaches")
    os.kill(pid, signal.SIGCONT)
    _, status = os.waitpid(pid, 0)
    strace.wait()
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        return pid
    assert status == 0, f"at {call} {nth}: {status}"
    return None


def main(call: str, fresh: bool) -> None:
    """Sweep over one system call."""
    shared = Path(ARENA["journal"])
    witness = Witness(FOLDER, f"sweep-{call}")
    for nth in range(1, MOST):
        journal = shared
        if fresh:
            place = shared.parent / f"{call}-{nth}"
            place.mkdir()
            journal = place / "journal.db"
        pid = killed(call, nth, journal)
        if pid is None:
            print(nth - 1)  # noqa: T201
            return
        witness.note("kill", "-", pid)
        if fresh:
            _use(journal)
            _compare(journal, pid)
            shutil.rmtree(journal.parent)
    raise AssertionError(f"more than {MOST} of {call}")


def _use(journal: Path) -> None:
    """Use what a half-made journal has become, in a fork of its own."""
    pid = os.fork()
    if pid == 0:
        live(journal)
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0


def _compare(journal: Path, pid: int) -> None:
    """What the killed one was told is in the journal, and nothing that it had not asked for."""
    rows = read_rows(journal)
    assert not rows.damage, rows.damage
    mine = [event for event in seen(FOLDER) if event.pid == pid]
    acked = {event.token for event in mine if event.kind == "acked"}
    intents = {event.token for event in mine if event.kind == "intent"}
    stored = {token for token in rows.by_token if token.startswith(f"{pid}-")}
    assert acked <= stored <= intents, (acked, stored, intents)


if __name__ == "__main__":
    main(sys.argv[1], "--fresh" in sys.argv)
