"""A process with schedules that tick each second: run by `test_schedules`, and killed by it."""

import asyncio
import os
import signal
import sys

from postlude import Config, Postlude, current_job

postlude = Postlude(config=Config(lease=3.0, renew_every=1.0))


def note(job: object) -> None:
    """Append a line to the file that all processes share: one write, so lines stay whole."""
    current = current_job()
    assert current.scheduled_for is not None
    line = f"{current.schedule} {current.scheduled_for.timestamp():.0f} {current.id} {os.getpid()}\n"
    file = os.open(os.environ["TICKS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(file, line.encode())
    finally:
        os.close(file)


@postlude.every(1, name="every", missed="all")
async def tick() -> None:
    note("every")


@postlude.cron("* * * * * *", name="cron", timezone="America/New_York", missed="all")
def tock() -> None:
    note("cron")


async def main() -> None:
    over = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
    await postlude.open()
    await postlude.start()
    print("ready", flush=True)  # noqa: T201
    await over.wait()
    await postlude.drain()
    await postlude.close()


if __name__ == "__main__":
    asyncio.run(main())
    sys.exit(0)
