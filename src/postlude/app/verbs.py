"""What is asked of a `Postlude`, and acted on through it: each is awaited, and `blocking` has the same."""

from postlude.app.forwarding import of_control, of_looks, of_queries, of_schedules
from postlude.jobs.control import Control
from postlude.jobs.looks import Looks
from postlude.jobs.queries import JobQueries
from postlude.jobs.schedules import Schedules


class Verbs:
    """The verbs of the command line and of handles, for programs."""

    job = of_queries(JobQueries.find)
    cancel = of_control(Control.cancel)
    retry = of_control(Control.retry)
    delete = of_control(Control.delete)
    cancel_all = of_control(Control.cancel_all)
    retry_all = of_control(Control.retry_all)
    delete_all = of_control(Control.delete_all)
    prune = of_control(Control.prune)
    pause = of_control(Control.pause)
    resume = of_control(Control.resume)
    paused = of_control(Control.paused)
    schedules = of_schedules(Schedules.schedules)
    pause_schedule = of_schedules(Schedules.pause_schedule)
    resume_schedule = of_schedules(Schedules.resume_schedule)
    run_schedule = of_schedules(Schedules.run_schedule)
    find = of_looks(Looks.find)
    show = of_looks(Looks.show)
    queues = of_looks(Looks.queues)
    tasks = of_looks(Looks.tasks)
    processes = of_looks(Looks.processes)
    history = of_looks(Looks.history)
    groups = of_looks(Looks.groups)
    audit = of_looks(Looks.audit)
