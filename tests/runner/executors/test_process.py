"""Jobs in processes of their own: what comes back, and what is left when one dies."""

import asyncio
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from contextvars import Context
from pathlib import Path
from typing import Any

import anyio
import pytest

import postlude
from postlude.errors import Discard, RetryLater, Snooze
from postlude.jobs.current import CurrentJob
from postlude.model.outcome import SUCCEEDED, LogLine, Succeeded
from postlude.runner.attempt.work import Stopping, Work
from postlude.runner.executors.process.child_process import ChildProcess
from postlude.runner.executors.process.executor import ProcessExecutor
from postlude.runner.executors.process.failures import ChildFailed, ProcessDied
from postlude.runner.executors.process.messages import Caps
from postlude.runner.executors.protocol import take_back
from postlude.tasks.process import why_not_in_process
from postlude.tasks.task import Task
from tests.runner import process_app, process_tasks

pytestmark = [pytest.mark.anyio, pytest.mark.process]

ROOT = Path(__file__).parents[3]
ID = bytes(range(16))


class Bench:
    """An executor, and what it has told."""

    def __init__(self) -> None:
        self.begun: list[Work] = []
        self.ended: list[tuple[Work, Any]] = []
        self.steps: list[float] = []
        self.executor: ProcessExecutor
        self._news = asyncio.Event()

    def open(
        self, slots: int = 1, recycle_jobs: int = 1000, recycle_bytes: int = 2**40, caps: Caps | None = None
    ) -> ProcessExecutor:
        self.executor = ProcessExecutor(
            slots,
            self.begin,
            self.end,
            recycle_jobs=recycle_jobs,
            recycle_bytes=recycle_bytes,
            caps=caps or Caps(),
        )
        return self.executor

    def begin(self, work: Work) -> Context:
        self.begun.append(work)
        work.current = CurrentJob(work.id, work.name, work.queue, work.failures + 1, self._noted)
        return Context()

    def end(self, work: Work, result: Any) -> None:
        self.ended.append((work, result))
        self._news.set()

    def _noted(self, current: CurrentJob) -> None:
        assert current.last_progress is not None
        self.steps.append(current.last_progress.done)

    def submit(self, task: Task[..., Any], *args: Any, failures: int = 0) -> Work:
        work = Work(ID, task.name, "images", task.encode(args, {}).payload, 0)
        work.task, work.failures = task, failures
        self.executor.submit(work)
        return work

    async def result(self, work: Work) -> Any:
        with anyio.fail_after(20):
            while True:
                for ended, result in self.ended:
                    if ended is work:
                        return result
                self._news.clear()
                await self._news.wait()

    async def run(self, task: Task[..., Any], *args: Any) -> Any:
        return await self.result(self.submit(task, *args))


async def until(there: Callable[[], bool]) -> None:
    with anyio.fail_after(20):
        while not there():
            await asyncio.sleep(0.002)


def is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def children() -> set[int]:
    """Return the processes that this one has started and that are not gone, dead ones included."""
    listed = subprocess.run(
        ["ps", "-A", "-o", "ppid=,pid=,comm="], capture_output=True, text=True, check=True
    )
    rows = (line.split(None, 2) for line in listed.stdout.splitlines())
    return {int(row[1]) for row in rows if int(row[0]) == os.getpid() and row[2:] != ["ps"]}


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module", autouse=True)
def importable() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT))
        yield


@pytest.fixture(scope="module")
async def shared(anyio_backend: str) -> AsyncIterator[Bench]:
    """An executor for all tests, because processes take a while to start."""
    bench = Bench()
    bench.open(slots=2)
    yield bench
    bench.executor.stop()


@pytest.fixture
def pool(shared: Bench) -> Bench:
    """The shared executor, when it has told nothing yet."""
    shared.begun.clear()
    shared.ended.clear()
    shared.steps.clear()
    return shared


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    """An executor of its own, which leaves nothing behind."""
    threads, before = set(threading.enumerate()), children()
    bench = Bench()
    yield bench
    bench.executor.stop()
    await until(lambda: not any(t.name == "postlude-process" for t in set(threading.enumerate()) - threads))
    assert children() <= before


async def test_what_functions_return_comes_back_from_a_process_that_is_kept(pool: Bench) -> None:
    assert await pool.run(process_tasks.square, 12) == Succeeded(b"144")
    assert await pool.run(process_tasks.nothing) is SUCCEEDED
    assert await pool.run(process_tasks.named, 1) == Succeeded(b"2")
    assert await pool.run(process_tasks.registered, 1) == Succeeded(b"3")
    first, second = await pool.run(process_tasks.pid), await pool.run(process_tasks.pid)
    assert first == second != Succeeded(str(os.getpid()).encode())
    assert [work for work, _ in pool.ended] == pool.begun
    large = await pool.run(process_tasks.large, 5_000_000)
    assert len(large.result) == 5_000_002
    assert (await pool.run(process_tasks.square, 2)).result == b"4"


async def test_what_functions_raise_comes_back_as_text_or_as_what_it_asks_for(pool: Bench) -> None:
    failed = await pool.run(process_tasks.raising, "covered")
    assert isinstance(failed, ChildFailed)
    assert (failed.covered, failed.line.splitlines()[0]) == (True, "ValueError: no such thing")
    assert failed.told == (failed.line, failed.traceback)
    assert "process_tasks.py" in failed.traceback
    assert str(Path(postlude.__file__).parent) not in failed.traceback
    other = await pool.run(process_tasks.raising, "other")
    assert (other.covered, other.line) == (False, "KeyError: 'other'")
    assert (await pool.run(process_tasks.raising, "exit")).line == "SystemExit: 3"
    assert "not async but returned a coroutine" in (await pool.run(process_tasks.raising, "coroutine")).line
    snooze = await pool.run(process_tasks.raising, "snooze")
    assert (type(snooze), snooze.seconds) == (Snooze, 12.5)
    discard = await pool.run(process_tasks.raising, "discard")
    assert (type(discard), str(discard)) == (Discard, "not needed")
    later = await pool.run(process_tasks.raising, "later")
    assert (type(later), later.seconds, str(later)) == (RetryLater, 7.0, "busy")
    group = await pool.run(process_tasks.raising, "group")
    assert (type(group), str(group)) == (Discard, "no such order")
    mixed = await pool.run(process_tasks.raising, "mixed")
    assert (type(mixed), mixed.covered) == (ChildFailed, True)


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("segfault", "died with signal 11 (SIGSEGV)"),
        ("abort", "died with signal 6 (SIGABRT)"),
        ("killed", "died with signal 9 (SIGKILL); for want of memory, perhaps"),
        ("exit", "ended itself with exit code 5"),
    ],
)
async def test_a_process_that_dies_costs_its_job_and_no_other(pool: Bench, how: str, told: str) -> None:
    dead, other = pool.submit(process_tasks.dying, how), pool.submit(process_tasks.square, 3)
    died = await pool.result(dead)
    assert isinstance(died, ProcessDied)
    assert str(died) == f"the process that ran it {told}"
    assert await pool.result(other) == Succeeded(b"9")


async def test_work_that_runs_can_be_killed_and_what_waits_taken_back(bench: Bench, tmp_path: Path) -> None:
    executor = bench.open()
    mark = tmp_path / "mark"
    running = bench.submit(process_tasks.wait_for, str(tmp_path / "never"), str(mark))
    waiting = [bench.submit(process_tasks.square, number) for number in range(3)]
    await until(mark.exists)
    assert (bench.begun, executor.free) == ([running], 0)
    assert not executor.kill(waiting[0])
    assert take_back(executor) == waiting
    assert executor.kill(running)
    assert str(await bench.result(running)) == "the process that ran it died with signal 9 (SIGKILL)"
    assert not executor.kill(running)
    assert executor.free == 1
    assert await bench.run(process_tasks.square, 5) == Succeeded(b"25")
    assert len(bench.ended) == 2


async def test_work_that_is_interrupted_may_stop_by_itself(pool: Bench, tmp_path: Path) -> None:
    executor = pool.executor
    mark, deaf = tmp_path / "mark", tmp_path / "deaf"
    willing = pool.submit(process_tasks.stoppable, str(mark))
    await until(mark.exists)
    executor.interrupt(willing)
    assert isinstance(await pool.result(willing), asyncio.CancelledError)
    unwilling = pool.submit(process_tasks.wait_for, str(tmp_path / "never"), str(deaf))
    await until(deaf.exists)
    executor.interrupt(unwilling)
    assert isinstance(await pool.result(unwilling), ProcessDied)


async def test_nothing_of_an_attempt_is_left_in_a_process_that_is_kept(pool: Bench) -> None:
    await pool.run(process_tasks.holding, "raise")
    await pool.run(process_tasks.holding, "discard")
    assert await pool.run(process_tasks.holding, "look") == Succeeded(b"0")


async def test_what_returns_after_its_time_does_not_count(pool: Bench, tmp_path: Path) -> None:
    mark, go = tmp_path / "mark", tmp_path / "go"
    late = pool.submit(process_tasks.wait_for, str(go), str(mark))
    await until(mark.exists)
    late.stopping = Stopping.TIMEOUT
    pool.executor.interrupt(late)
    go.touch()
    assert isinstance(await pool.result(late), TimeoutError)


async def test_what_is_abandoned_gives_its_place_away_and_says_no_more(pool: Bench, tmp_path: Path) -> None:
    executor = pool.executor
    mark = tmp_path / "mark"
    hanging = pool.submit(process_tasks.wait_for, str(tmp_path / "never"), str(mark))
    await until(mark.exists)
    assert executor.abandon(hanging)
    assert not executor.abandon(hanging)
    assert await pool.run(process_tasks.square, 5) == Succeeded(b"25")
    assert len(pool.ended) == 1


async def test_a_process_that_died_while_it_was_idle_costs_nobody_an_attempt(pool: Bench) -> None:
    first = int((await pool.run(process_tasks.pid)).result)
    os.kill(first, signal.SIGKILL)
    second = int((await pool.run(process_tasks.pid)).result)
    assert first != second
    assert len(pool.begun) == 2, "it does not begin twice"


async def test_processes_are_replaced_after_so_many_jobs(bench: Bench) -> None:
    bench.open(recycle_jobs=2)
    pids = [(await bench.run(process_tasks.pid)).result for _ in range(3)]
    assert pids[0] == pids[1] != pids[2]


async def test_processes_are_replaced_when_they_use_too_much_memory(bench: Bench) -> None:
    bench.open(recycle_bytes=1)
    assert await bench.run(process_tasks.pid) != await bench.run(process_tasks.pid)


async def test_two_run_at_once(pool: Bench, tmp_path: Path) -> None:
    one, two = str(tmp_path / "one"), str(tmp_path / "two")
    works = pool.submit(process_tasks.meet, one, two), pool.submit(process_tasks.meet, two, one)
    assert len({(await pool.result(work)).result for work in works}) == 2


async def test_a_task_sees_its_job_and_says_how_far_it_is(pool: Bench) -> None:
    work = pool.submit(process_tasks.look, failures=2)
    seen = process_tasks.look.decode_result((await pool.result(work)).result)
    assert seen == {"id": work.job.id, "task": work.name, "queue": "images", "attempt": 3}
    await pool.run(process_tasks.count, 10_000)
    assert (pool.steps[0], pool.steps[-1]) == (0, 10_000)
    assert len(pool.steps) < 100
    current = pool.begun[-1].current
    assert current is not None
    assert current.last_progress is not None
    assert current.last_progress[:3] == (10_000, 10_000, "counting")


async def test_what_a_task_logs_is_kept_within_its_bounds(bench: Bench) -> None:
    logger = logging.getLogger(process_tasks.__name__)
    logger.setLevel(logging.INFO)
    try:
        bench.open(caps=Caps(lines=5))
        await bench.run(process_tasks.tell, 2)
        await bench.run(process_tasks.tell, 50)
    finally:
        logger.setLevel(logging.NOTSET)
    short, long = ((work.current and work.current.lines) or [] for work in bench.begun)
    assert all(isinstance(line, LogLine) for line in short)
    assert [(line.level, line.logger, line.message) for line in short] == [
        (logging.INFO, process_tasks.__name__, "line 0"),
        (logging.INFO, process_tasks.__name__, "line 1"),
        (logging.WARNING, process_tasks.__name__, "the last"),
    ]
    assert [line.message for line in long][4:] == ["line 4", "46 more lines are left out"]


async def test_the_application_is_imported_and_its_journal_left_alone(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    bench.open()
    assert await bench.run(process_app.double, 4) == Succeeded(b"8")
    around = process_tasks.look_around.decode_result((await bench.run(process_tasks.look_around)).result)
    assert around == ["", str(tmp_path), *sys.argv]
    assert list(tmp_path.iterdir()) == []


async def test_a_module_that_cannot_be_imported_fails_its_job(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POSTLUDE_TEST_BROKEN", "1")
    bench.open()
    failed = await bench.run(process_tasks.square, 1)
    assert (failed.line, failed.covered) == ("RuntimeError: broken on import", True)


async def test_a_process_that_cannot_be_started_fails_one_job_each(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    bench.open(slots=1)
    works = [bench.submit(process_tasks.square, number) for number in range(3)]
    for work in works:
        failed = await bench.result(work)
        assert isinstance(failed, ProcessDied)
        assert "the one for it could not be started: " in str(failed)
        assert "/nowhere/python" in str(failed)


@pytest.mark.parametrize(
    "error", [OSError(24, "Too many open files"), RuntimeError("can't start new thread")]
)
async def test_jobs_wait_while_the_system_has_nothing_for_a_process(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    monkeypatch.setattr("postlude.runner.executors.process.executor.AGAIN_AFTER", 0.01)
    refusals = [error] * 3

    def scarce(*args: Any) -> ChildProcess:
        if refusals:
            raise refusals.pop()
        return ChildProcess(*args)

    monkeypatch.setattr("postlude.runner.executors.process.executor.ChildProcess", scarce)
    bench.open(slots=2)
    works = [bench.submit(process_tasks.square, number) for number in (2, 3)]
    assert [await bench.result(work) for work in works] == [Succeeded(b"4"), Succeeded(b"9")]
    assert not refusals
    assert [record.message for record in caplog.records if "no process" in record.message] == [
        f"no process can be started for jobs that wait; it is tried again: {error}"
    ]


async def test_work_that_must_not_run_any_more_is_passed_over(bench: Bench) -> None:
    executor = bench.open()
    refused: list[Work] = []
    executor._begin = lambda work: refused.append(work) if work.failures else bench.begin(work)
    late = bench.submit(process_tasks.square, 1, failures=1)
    assert await bench.run(process_tasks.square, 2) == Succeeded(b"4")
    assert refused == [late]


async def test_stopping_ends_busy_processes_and_tells_nothing(bench: Bench, tmp_path: Path) -> None:
    executor = bench.open(slots=2)
    mark = tmp_path / "mark"
    await bench.run(process_tasks.square, 1)
    bench.submit(process_tasks.wait_for, str(tmp_path / "never"), str(mark))
    bench.submit(process_tasks.wait_for, str(tmp_path / "never"))
    await until(lambda: mark.exists() and bool(mark.read_text()))
    pid = int(mark.read_text())
    executor.stop()
    await until(lambda: not is_there(pid))
    assert len(bench.ended) == 1


async def started(bench: Bench, mark: Path, how: str) -> tuple[Work, int]:
    """Run a job that starts a program; returns that one's number, once it runs."""
    work = bench.submit(process_tasks.starting, str(mark), how)
    await until(mark.exists)
    return work, int(mark.read_text())


def runs(pid: int) -> bool:
    """Whether a process runs; one that has ended and that nobody has heard of does not."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return state.stdout.strip()[:1] not in ("", "Z")


@pytest.mark.parametrize("end", ["killed", "interrupted", "stopped by itself", "abandoned", "lane stopped"])
async def test_what_a_job_has_started_ends_with_it(bench: Bench, tmp_path: Path, end: str) -> None:
    executor = bench.open()
    how = "stops" if end == "stopped by itself" else "hangs"
    work, program = await started(bench, tmp_path / "mark", how)
    assert runs(program)
    match end:
        case "killed":
            executor.kill(work)
        case "abandoned":
            executor.abandon(work)
        case "lane stopped":
            executor.stop()
        case _:
            executor.interrupt(work)
    await until(lambda: not runs(program))
    if how == "stops":
        assert isinstance(await bench.result(work), asyncio.CancelledError)


@pytest.mark.parametrize("how", ["segfault", "exit", "killed"])
async def test_also_where_its_process_has_died(pool: Bench, tmp_path: Path, how: str) -> None:
    work, program = await started(pool, tmp_path / "mark", how)
    assert isinstance(await pool.result(work), ProcessDied)
    await until(lambda: not runs(program))


async def test_what_a_job_forks_can_be_ended(bench: Bench) -> None:
    """Its process leaves signals to its parent; a fork of it must not, or `Pool.terminate` waits for ever."""
    bench.open()
    codes = await bench.run(process_tasks.forking, [int(signal.SIGTERM), int(signal.SIGINT)])
    assert codes == Succeeded(b"[-15,1]")
    assert await bench.run(process_tasks.square, 2) == Succeeded(b"4"), "the process itself goes on"


async def test_what_a_job_leaves_behind_on_purpose_stays(bench: Bench, tmp_path: Path) -> None:
    """It has ended well; also when its process is replaced."""
    bench.open(recycle_jobs=1)
    work, program = await started(bench, tmp_path / "mark", "returns")
    try:
        assert await bench.result(work) is SUCCEEDED
        assert await bench.run(process_tasks.square, 2) == Succeeded(b"4")
        assert runs(program)
    finally:
        os.kill(program, signal.SIGKILL)


PROGRAM = """
import asyncio, os, subprocess, sys, time
from contextvars import Context
from pathlib import Path

import postlude.runner.executors.process.executor as executors
from postlude.runner.attempt.work import Stopping, Work
from postlude.tasks.registry import Registry

registry = Registry()

@registry.task
def name() -> str:
    return __name__

def start(mark: str) -> None:
    program = subprocess.Popen(["sleep", "600"])
    Path(mark + ".tmp").write_text(f"{os.getpid()} {program.pid}")
    Path(mark + ".tmp").rename(mark)

@registry.task
def hang(mark: str) -> None:
    start(mark)
    sum(range(10**12))  # holds the interpreter lock

@registry.task
def leave(mark: str) -> str:
    start(mark)
    return "left"

async def main() -> None:
    executor = executors.ProcessExecutor(
        2, lambda work: Context(), lambda work, result: print(result.result, flush=True),
        recycle_jobs=10, recycle_bytes=2**40,
    )
    for task, args in ((name, ()), (globals()[sys.argv[2]], (sys.argv[1],))):
        work = Work(b"0" * 16, task.name, "default", task.encode(args, {}).payload, 0)
        work.task = task
        executor.submit(work)
    if sys.argv[2] == "hang":
        while not Path(sys.argv[1]).exists():
            await asyncio.sleep(0.01)
        if not os.fork():  # outlives this process, and has what that had open
            Path(sys.argv[1] + ".fork").write_text(str(os.getpid()))
            time.sleep(600)
    await asyncio.sleep(60)

if __name__ == "__main__":
    asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a process that computes in C ends later")
async def test_tasks_of_a_main_module_run_and_end_with_their_parent(tmp_path: Path) -> None:
    """With what they have started, although something else has inherited all that their parent had open."""
    fork = tmp_path / "mark.fork"
    with a_program(tmp_path, "hang") as mark:
        busy, program = map(int, mark.read_text().split())
        await until(lambda: fork.exists() and bool(fork.read_text()))
        assert runs(program)
    try:
        await until(lambda: not is_there(busy))
        await until(lambda: not runs(program))
    finally:
        os.kill(int(fork.read_text()), signal.SIGKILL)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a process that computes in C ends later")
async def test_what_a_job_leaves_behind_stays_although_the_parent_is_killed(tmp_path: Path) -> None:
    with a_program(tmp_path, "leave") as mark:
        idle, program = map(int, mark.read_text().split())
    try:
        await until(lambda: not is_there(idle))
        assert runs(program)
    finally:
        os.kill(program, signal.SIGKILL)


@contextmanager
def a_program(folder: Path, task: str) -> Iterator[Path]:
    """Run a program whose jobs run in processes, until the second one has started something; then kill it."""
    program, mark = folder / "program.py", folder / "mark"
    program.write_text(PROGRAM)
    parent = subprocess.Popen([sys.executable, str(program), str(mark), task], stdout=subprocess.PIPE)
    try:
        assert parent.stdout is not None
        told = {parent.stdout.readline() for _ in range(2 if task == "leave" else 1)}
        assert b"b'\"program\"'\n" in told
        deadline = time.monotonic() + 20
        while not mark.exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        yield mark
    finally:
        parent.kill()
        parent.wait()
        assert parent.stdout is not None
        parent.stdout.close()


def test_what_cannot_run_in_a_process_is_told_with_the_remedy() -> None:
    def nested() -> None: ...

    reasons = {
        process_tasks.asynchronous: "is async",
        process_tasks.generator: "is a generator",
        nested: "is defined inside a function",
        lambda: None: "is a lambda",
        process_tasks.Holder.function: "is defined in a class",
        process_tasks.Holder(): "is not a plain function",
        process_tasks.Holder().method: "is not a plain function",
        len: "is not a plain function",
    }
    for function, reason in reasons.items():
        assert reason in (why_not_in_process(function) or "")
    assert why_not_in_process(process_tasks.square.function) is None
