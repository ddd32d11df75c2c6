"""The systems that are measured: what each needs, how it is started, and in which settings."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

Server = Literal["redis", "rabbitmq", "postgres"]


@dataclass(frozen=True, slots=True)
class System:
    """One system, as it is measured.

    Attributes:
        name: short, as on the command line and in the results.
        title: for people.
        module: of `bench.peers.apps`.
        environment: the name of its requirements in `requirements/peers`; empty: this project's own.
        packages: those whose versions are told.
        store: where its jobs lie: a server, `sqlite` or `memory`.
        broker: a second server, that carries ids.
        worker: the command of its worker; its first word is a program of its environment. `{}` are the jobs
            that it runs at once in the measurements of kills; words with `{}` are left out in those of speed.
            Empty: it has none of its own.
        durable_worker: words that are added for its durable settings.
        jobs: how many are drained in one measurement, some three seconds' worth at most.
        prepare: makes its tables before anything else.
        default: its settings as it comes, in words.
        durable: the settings that its documentation has for not losing jobs; empty: it has no others.
        window: seconds that jobs have to run in after a kill, in its durable settings.
    """

    name: str
    title: str
    module: str
    store: Server | Literal["sqlite", "memory"]
    jobs: int
    default: str
    environment: str = ""
    packages: Sequence[str] = ()
    broker: Server | None = None
    worker: Sequence[str] = ()
    durable_worker: Sequence[str] = ()
    prepare: bool = False
    durable: str = ""
    window: float = 30.0

    @property
    def ours(self) -> bool:
        """Whether it is Postlude."""
        return self.module == "ours"

    @property
    def in_process(self) -> bool:
        """Whether its web process runs its jobs too."""
        return self.name in IN_PROCESS

    @property
    def modes(self) -> tuple[str, ...]:
        """The settings that differ."""
        return ("default", "durable") if self.durable else ("default",)


IN_PROCESS: Final = ("native", "postlude-sqlite", "postlude-postgres")
_AOF: Final = "Redis with `appendonly yes`, `appendfsync always`"
_POSTLUDE: Final = ("postlude", "worker", "bench.peers.apps.ours:postlude", "--concurrency={}")
_CELERY: Final = (
    "celery", "-A", "bench.peers.apps.celery_app:celery_app", "worker", "--pool=prefork", "--concurrency=2",
    "--loglevel=ERROR",
)  # fmt: skip

SYSTEMS: Final[tuple[System, ...]] = (
    System("none", "FastAPI without a job", "none", "memory", 0, "the route alone", packages=("fastapi",)),
    System(
        "native", "FastAPI's BackgroundTasks", "native", "memory", 0,
        "in the memory of the web process; it has no worker and no settings", packages=("fastapi",),
    ),
    System(
        "postlude-sqlite", "Postlude on SQLite", "ours", "sqlite", 15_000,
        "as it comes: `synchronous=FULL`, the web process runs its jobs; drained by `postlude worker`",
        packages=("postlude",), worker=_POSTLUDE,
    ),
    System(
        "postlude-postgres", "Postlude on PostgreSQL", "ours", "postgres", 9_000,
        "as it comes; the web process runs its jobs; drained by `postlude worker`",
        packages=("postlude",), worker=_POSTLUDE,
    ),
    System(
        "postlude-celery", "Postlude with Celery's workers", "ours", "postgres", 900,
        "journal in PostgreSQL, RabbitMQ carries ids; `postlude celery worker`, prefork, 2 processes",
        packages=("postlude", "celery"), broker="rabbitmq",
        worker=("postlude", "celery", "worker", "bench.peers.apps.ours:postlude", "--concurrency", "2"),
    ),
    System(
        "celery-rabbitmq", "Celery on RabbitMQ", "celery_app", "rabbitmq", 2_400,
        "prefork, 2 processes, messages acknowledged when taken, no results",
        environment="celery", packages=("celery",), worker=_CELERY,
        durable="`task_acks_late`, `task_reject_on_worker_lost`, `confirm_publish`",
    ),
    System(
        "celery-redis", "Celery on Redis", "celery_app", "redis", 1_500,
        "prefork, 2 processes, messages acknowledged when taken, no results",
        environment="celery", packages=("celery",), worker=_CELERY,
        durable="`task_acks_late`, `task_reject_on_worker_lost`, `visibility_timeout` 10 s instead of "
        f"an hour (it looks each 100 s); {_AOF}", window=130.0,
    ),
    System(
        "arq", "ARQ", "arq_app", "redis", 1_000, "10 jobs at once, asks Redis each 0.5 s",
        environment="arq", packages=("arq",), worker=("arq", "bench.peers.apps.arq_app.WorkerSettings"),
        durable=f"`job_timeout` 5 s instead of 300 (a dead worker's jobs wait 10 s longer); {_AOF}",
    ),
    System(
        "taskiq", "Taskiq", "taskiq_app", "redis", 4_000,
        "`RedisStreamBroker`, one process, acknowledged when the result is saved",
        environment="taskiq", packages=("taskiq", "taskiq-redis"),
        worker=(
            "taskiq", "worker", "bench.peers.apps.taskiq_app:broker", "--workers=1", "--log-level=ERROR",
            "--max-async-tasks={}",
        ),
        durable=f"`idle_timeout` 5 s instead of ten minutes; {_AOF}",
    ),
    System(
        "procrastinate", "Procrastinate", "procrastinate_app", "postgres", 1_000,
        "`--concurrency 10` (1 by default), `LISTEN`", environment="procrastinate",
        packages=("procrastinate",), prepare=True,
        worker=(
            "procrastinate", "--app=bench.peers.apps.procrastinate_app.app", "worker", "--concurrency=10",
            "--concurrency={}",
        ),
        durable="its documentation's task that retries stalled jobs, each 5 s; a worker is dead after 6 s "
        "without its heartbeat",
    ),
    System(
        "rq", "RQ", "rq_app", "redis", 240, "`rq worker`: forks for each job",
        environment="rq", packages=("rq",), worker=("rq", "worker", "--quiet"),
        durable_worker=("--job-monitoring-interval=5", "--maintenance-interval=5", "--worker-ttl=30"),
        durable="`Retry(max=3)`; a dead worker's jobs are looked for each 15 s instead of 600 s, and are "
        f"its own for a minute; {_AOF}", window=110.0,
    ),
    System(
        "huey", "Huey", "huey_app", "redis", 6_000, "`RedisHuey`, 4 threads",
        environment="huey", packages=("huey",),
        worker=("huey_consumer", "bench.peers.apps.huey_app.huey", "-w", "4", "-q"),
        durable=f"{_AOF}; it has no acknowledgement",
    ),
    System(
        "dramatiq", "Dramatiq", "dramatiq_app", "rabbitmq", 6_000,
        "RabbitMQ, one process, 8 threads, acknowledged when done",
        environment="dramatiq", packages=("dramatiq",),
        worker=("dramatiq", "bench.peers.apps.dramatiq_app", "--processes=1", "--threads={}"),
        durable="`confirm_delivery=True`",
    ),
    System(
        "saq", "SAQ", "saq_app", "redis", 2_500, "10 jobs at once",
        environment="saq", packages=("saq",), worker=("saq", "bench.peers.apps.saq_app.settings"),
        durable=f"`retries=5` (1 by default), looks after stuck jobs each 5 s instead of 60; {_AOF}",
    ),
    System(
        "dbos", "DBOS", "dbos_app", "postgres", 600,
        "the library alone; a queue, asked each second; a worker that comes back takes up what it had",
        environment="dbos", packages=("dbos",), prepare=True,
        worker=("python", "-m", "bench.peers.child", "work", "dbos_app"),
    ),
)  # fmt: skip
BY_NAME: Final = {system.name: system for system in SYSTEMS}
