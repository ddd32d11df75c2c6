"""The floor plan of docs/architecture.md as a table. A new folder gets its place here, on purpose."""

from tests.architecture.rules import Layer

TRUTH = ("truth",)
MIDDLE = (*TRUTH, "tasks", "stores")
DESKS = (*MIDDLE, "runner", "asking")
REQUEST = (*DESKS, "request")

LAYERS = (
    Layer(
        "truth",
        (
            "errors",
            "spelling",
            "raised",
            "wait",
            "log",
            "clock",
            "ids",
            "quoting",
            "config",
            "job",
            "announce",
            "model",
        ),
        below=(),
    ),
    Layer("tracing", ("tracing",), below=TRUTH),
    Layer("tasks", ("tasks",), below=TRUTH),
    Layer("stores", ("stores",), below=TRUTH),
    Layer("runner", ("runner",), below=(*TRUTH, "tasks", "stores.protocol", "stores.reply", "tracing")),
    Layer(
        "asking",
        (
            "declaring",
            "gathering",
            "ordering",
            "visiting",
            "absence",
            "in_memory",
            "producer",
            "outside",
            "operations",
            "handles",
            "inspector",
            "desk",
        ),
        below=(*MIDDLE, "runner", "tracing"),
    ),
    Layer(
        "request",
        (
            "background",
            "calls",
            "listing",
            "order",
            "first_byte",
            "answers",
            "scopes",
            "off",
            "receipt",
            "pending",
            "exception_handlers",
            "watch",
            "middleware",
            "fastapi_canary",
            "fastapi_hook",
            "fastapi_routes",
            "install",
        ),
        below=(*TRUTH, "tasks", "asking", "tracing"),
    ),
    Layer(
        "injection",
        ("depends", "fastapi_depends"),
        below=(*TRUTH, "tasks", "runner.injection", "runner.overtime", "runner.unrun"),
    ),
    Layer("web", ("web",), below=REQUEST),
    Layer(
        "app",
        ("census", "engines", "maker", "served", "parts", "lifespan", "verbs", "app"),
        below=(*REQUEST, "web", "injection"),
    ),
    Layer(
        "doors", ("fastapi", "starlette", "cli", "testing"), below=(*REQUEST, "web", "app"), together=False
    ),
)

FORBIDDEN_MODULES = frozenset(
    {"pickle", "cPickle", "marshal", "shelve", "dill", "cloudpickle", "yaml", "jsonpickle"}
)
FORBIDDEN_CALLS = frozenset({"eval", "exec", "compile"})

SQL_HOMES = ("stores.sqlite",)

LOGGING_HOMES = ("log", "announce", "runner.log_lines", "runner.processes.child")
"""Who may ask `logging` for a logger: the guard that all else logs through, and those that set logging up."""

LONGEST_FILE = 300
LONGER_FOR_A_REASON: dict[str, str] = {}
"""File: the reason that it is better in one piece."""

PUBLIC_NAMES: dict[str, frozenset[str]] = {
    "__init__.py": frozenset({"BackgroundTask", "BackgroundTasks", "Postlude"}),
}
"""What users may rely on, at the least: a name that leaves this list breaks somebody."""
