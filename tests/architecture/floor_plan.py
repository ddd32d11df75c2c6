"""The floor plan of docs/architecture.md as a table. A new folder gets its place here, on purpose."""

from tests.architecture.rules import Layer

TRUTH = ("truth",)
MIDDLE = (*TRUTH, "tasks", "stores", "jobs")
RUN = (*MIDDLE, "runner")
ENQUEUE = (*RUN, "enqueue")
REQUEST = (*ENQUEUE, "request")

LAYERS = (
    Layer("truth", ("compat", "errors", "config", "clock", "model", "messages", "telemetry"), below=()),
    Layer("tasks", ("tasks",), below=TRUTH),
    Layer("stores", ("stores",), below=TRUTH),
    Layer("jobs", ("jobs",), below=(*TRUTH, "tasks", "stores")),
    Layer("engines", ("engines",), below=TRUTH),
    Layer(
        "runner",
        ("runner",),
        below=(*TRUTH, "tasks", "jobs", "stores.protocol", "stores.reply", "stores.loops", "stores.signals"),
    ),
    Layer("enqueue", ("enqueue",), below=RUN),
    Layer("request", ("request",), below=(*TRUTH, "tasks", "jobs", "enqueue")),
    Layer("frameworks", ("frameworks",), below=(*REQUEST,)),
    Layer("web", ("web",), below=(*TRUTH, "jobs", "request")),
    Layer("dashboard", ("dashboard",), below=(*MIDDLE, "web.events")),
    Layer("app", ("app",), below=(*REQUEST, "engines", "frameworks", "web", "dashboard")),
    Layer("check", ("check",), below=(*REQUEST, "frameworks", "app")),
    Layer("worker", ("worker",), below=(*REQUEST, "app")),
    Layer("new", ("new",), below=TRUTH),
    Layer(
        "doors",
        ("fastapi", "starlette", "cli", "testing", "integrations"),
        below=(*REQUEST, "engines", "web", "dashboard", "app", "check", "worker", "new"),
        together=False,
    ),
)

FORBIDDEN_MODULES = frozenset(
    {"pickle", "cPickle", "marshal", "shelve", "dill", "cloudpickle", "yaml", "jsonpickle"}
)
FORBIDDEN_CALLS = frozenset({"eval", "exec", "compile"})

SQL_HOMES = ("stores.relational", "stores.sqlite", "stores.postgres")

STRANGERS = {
    "stores.relational": ("stores.sqlite", "stores.postgres"),
    "stores.sqlite": ("stores.postgres", "stores.memory"),
    "stores.postgres": ("stores.sqlite", "stores.memory"),
}
"""Rooms beside each other, and those that each may not import."""

LOGGING_HOMES = ("telemetry", "runner.attempt.logs", "runner.executors.process.child")
"""Who may ask `logging` for a logger: the guard that all else logs through, and those that set logging up."""

WORDING_HOMES: dict[str, str] = {
    "telemetry": "the listener that writes the log",
    "app": "a door: the lines of a start",
    "worker": "a door: sees to it that the lines of a start are written",
    "runner.attempt.logs": "keeps what tasks log: a handler, and no line of its own",
}
"""Who may import the log: all else says what happens by events. Each with its reason."""

PRIVATE_NAMES_HOMES = (
    "compat",
    "frameworks.fastapi.internals",
    "request.replaced",
    "telemetry.tracing",
    "tasks.remedies",
    "messages.spelling",
)
"""Where names of other packages may stand that nothing promises: those of Python, anyio and Starlette;
FastAPI's; wrapt's; tracers'; SQLAlchemy's mark of a model; other libraries' options of tasks."""

LONGEST_FILE = 300
LONGER_FOR_A_REASON: dict[str, str] = {}
"""File: the reason that it is better in one piece."""

TESTS_OF_THE_WHOLE = frozenset(
    {"architecture", "demo", "durability", "scripts", "servers", "tour", "typing", "versions"}
)
"""The folders of tests that are of no one room; `app` has those of a whole application."""

TEST_DATA = frozenset({"golden"})
