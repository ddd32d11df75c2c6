"""A team's application: Celery's tasks of its own, and the same as jobs, in one worker of Celery's."""

import os
from pathlib import Path

from celery import Celery, shared_task
from fastapi import BackgroundTasks, FastAPI

from postlude import CeleryEngine, Config, Postlude
from postlude.integrations.celery import adopt

FOLDER = Path(os.environ.get("TEAM_FOLDER", "."))

celery_app = Celery("team", broker=os.environ.get("TEAM_BROKER", "redis://localhost"))
celery_app.conf.worker_prefetch_multiplier = 1


@shared_task(name="team.note", bind=True, acks_late=True)
def note(self: object, number: int) -> int:
    """Write down who has run it, and as what."""
    request = self.request  # type: ignore[attr-defined]
    with (FOLDER / "noted").open("a") as file:
        file.write(f"{number} {os.getppid()} {request.id}\n")
    return 2 * number


web = FastAPI()
postlude = Postlude(
    web,
    store=f"sqlite:///{FOLDER}/jobs.db",
    config=Config(poll_every=0.1, reap_every=0.5),
    queues={"jobs": CeleryEngine(app=celery_app)},
)
(adopted,) = adopt(postlude, celery_app, tasks=["team.note"], queue="jobs")


@web.post("/{number}")
async def add(number: int, tasks: BackgroundTasks) -> str:
    """Have it run both ways."""
    tasks.add_task(note, number)
    return str(note.delay(-number).id)
