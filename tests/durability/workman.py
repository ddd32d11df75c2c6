"""A process that does what it is told, line by line: adds jobs, runs them, cancels them.

    python -m tests.durability.workman MODULE

`MODULE` has the Postlude and its tasks. Each line of standard input is a JSON array of a verb below and
its arguments by name; each is answered by one line. The end of input ends the process in good order, as
an application's shutdown does.
"""

import asyncio
import importlib
import json
import random
import signal
import sys
from typing import Any

from postlude import Job, KeyTaken, Postlude


class Workman:
    """Understands the verbs.

    Args:
        module: the name of the module that has the Postlude and its tasks.
    """

    def __init__(self, module: str) -> None:
        self._tasks = importlib.import_module(module)
        self._postlude: Postlude = self._tasks.postlude

    async def start(self) -> None:
        """Begin to run jobs, as the lifespan does."""
        await self._postlude.start()

    async def ping(self) -> bool:
        """Answer, when the journal is open."""
        return True

    async def add(self, task: str, calls: list[dict[str, Any]], **using: Any) -> list[str]:
        """Add jobs; returns their ids."""
        wanted = self._task(task, using)
        jobs = await self._postlude.add_tasks(wanted.call(**arguments) for arguments in calls)
        return [job.id for job in jobs]

    async def hammer(
        self, task: str, times: int, keys: int, at_once: int, seconds: float, **using: Any
    ) -> list[tuple[str, str | None]]:
        """Add jobs one by one with keys drawn at random; returns each key with the id, or None if refused."""
        drawn = [f"k{random.randrange(keys)}" for _ in range(times)]
        answers: list[tuple[str, str | None]] = []

        async def add_all() -> None:
            while drawn:
                key = drawn.pop()
                try:
                    job: Job[Any] = await self._postlude.add_task(
                        self._task(task, {"key": key, **using}), key, seconds
                    )
                except KeyTaken:
                    answers.append((key, None))
                else:
                    answers.append((key, job.id))

        await asyncio.gather(*(add_all() for _ in range(at_once)))
        return answers

    async def resolve(self, ids: list[str]) -> list[str]:
        """Return the ids of the jobs that these ids stand for."""
        return [(await self._postlude.inspector.get(id)).id for id in ids]

    async def status(self, id: str) -> dict[str, Any]:
        """Return how a job is, as people see it."""
        status = await self._postlude.inspector.get(id)
        return {
            "state": status.state.value,
            "reason": status.reason,
            "attempt": status.attempt,
            "cancel_asked": status.cancel_asked,
            "errors": [attempt.error for attempt in status.attempts],
        }

    async def end(self, id: str) -> dict[str, Any]:
        """Return how a job is, once it has ended."""
        job = await self._postlude.job(id)
        async for snapshot in job.changes():
            if snapshot.ended:
                break
        return await self.status(id)

    async def hung(self) -> int:
        """Return how many threads run work whose time is over."""
        runner: Any = self._postlude.components.producer.attached
        return int(runner.executors.hung)

    async def cancel(self, id: str) -> str:
        """Ask for a job's end."""
        return (await self._postlude.cancel(id)).value

    async def pause(self, queue: str) -> bool:
        """Pause a queue."""
        return await self._postlude.pause(queue)

    async def resume(self, queue: str) -> bool:
        """Resume a queue."""
        return await self._postlude.resume(queue)

    async def _ask(self, line: bytes) -> Any:
        verb, arguments = json.loads(line)
        return await getattr(self, verb)(**arguments)

    def _task(self, name: str, using: dict[str, Any]) -> Any:
        task = getattr(self._tasks, name)
        return task.using(**using) if using else task

    async def serve(self) -> None:
        """Do what is asked until the end of the input, or SIGTERM."""
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=1 << 26)
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        loop.add_signal_handler(signal.SIGTERM, reader.feed_eof)
        await self._postlude.open()
        try:
            while line := await reader.readline():
                print(json.dumps(await self._ask(line)), flush=True)  # noqa: T201 (its answer)
        finally:
            await self._postlude.drain()
            await self._postlude.close()


if __name__ == "__main__":
    asyncio.run(Workman(sys.argv[1]).serve())
