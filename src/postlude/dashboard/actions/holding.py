"""Holding: queues, tasks and schedules are paused and go on; a schedule is run now."""

from starlette.responses import Response

from postlude.dashboard.actions.form import BadForm, Form, back, by, need, read_form
from postlude.dashboard.site import Visit
from postlude.jobs.schedules import not_found
from postlude.model.ids import IdSource, id_text
from postlude.stores.protocol import Pause

_IDS = IdSource()


async def pause(visit: Visit) -> Response:
    """Let no job of a queue, or of a task, start."""
    form = await read_form(visit)
    need(visit, "pause")
    what = _meant(form)
    done = await visit.desk.control.pause_it(what, by(visit, "pause", f"--{what.kind} {what.name}"))
    return back(visit, form, f"pause.{int(done)}.{int(not done)}", "tasks")


async def resume(visit: Visit) -> Response:
    """Let them start again."""
    form = await read_form(visit)
    need(visit, "pause")
    what = _meant(form)
    done = await visit.desk.control.resume_it(what, by(visit, "resume", f"--{what.kind} {what.name}"))
    return back(visit, form, f"resume.{int(done)}.{int(not done)}", "tasks")


async def pause_schedule(visit: Visit) -> Response:
    """Add no jobs of a schedule."""
    form = await read_form(visit)
    need(visit, "pause")
    name = await _schedule(visit, form)
    done = await visit.desk.store.pause_schedule(name, by(visit, "pause", f"schedule {name}"))
    return back(visit, form, f"pause.{int(done)}.{int(not done)}", "schedules")


async def resume_schedule(visit: Visit) -> Response:
    """Undo that."""
    form = await read_form(visit)
    need(visit, "pause")
    name = await _schedule(visit, form)
    done = await visit.desk.store.resume_schedule(name, by(visit, "resume", f"schedule {name}"))
    return back(visit, form, f"resume.{int(done)}.{int(not done)}", "schedules")


async def run_schedule(visit: Visit) -> Response:
    """Add a job of a schedule now, and go to it."""
    form = await read_form(visit)
    need(visit, "run_schedule")
    name = await _schedule(visit, form)
    id = _IDS.new(visit.desk.store.now())
    await visit.desk.store.run_schedule(name, id, by(visit, "run", f"schedule {name}"))
    return back(visit, Form({"back": [visit.url(f"jobs/{id_text(id)}")]}), "run.1.0")


def _meant(form: Form) -> Pause:
    kind, name = form.one("kind"), form.one("name")
    if kind not in ("queue", "task") or not name:
        raise BadForm("the form says not what to pause; load the page anew")
    return Pause(kind, name)


async def _schedule(visit: Visit, form: Form) -> str:
    name = form.one("name")
    records = await visit.desk.store.schedules()
    if all(record.schedule.name != name for record in records):
        raise not_found(name, records)
    return name
