"""The source keeps to its floor plan; and each rule notices when a tree does not."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.architecture import floor_plan, rules

SOURCE = Path(__file__).parents[2] / "src" / "postlude"

Tree = Callable[[dict[str, str]], Path]

LAYERS = (
    rules.Layer("low", ("model",), below=()),
    rules.Layer("tasks", ("tasks",), below=("low",)),
    rules.Layer("stores", ("stores",), below=("low",)),
    rules.Layer("runner", ("runner",), below=("low", "tasks", "stores.protocol")),
    rules.Layer("doors", ("web", "cli"), below=("low", "runner"), together=False),
)


def test_imports_run_downwards_only() -> None:
    assert rules.broken_layers(SOURCE, floor_plan.LAYERS) == []


def test_no_module_imports_itself_in_a_circle() -> None:
    assert rules.cycles(SOURCE) == []


def test_nothing_loads_code_from_data() -> None:
    assert rules.forbidden(SOURCE, floor_plan.FORBIDDEN_MODULES, floor_plan.FORBIDDEN_CALLS) == []


def test_files_are_short_or_have_a_reason() -> None:
    assert rules.too_long(SOURCE, floor_plan.LONGEST_FILE, floor_plan.LONGER_FOR_A_REASON) == []


def test_rooms_beside_each_other_stay_apart() -> None:
    assert rules.familiar(SOURCE, floor_plan.STRANGERS) == []


def test_a_room_that_imports_the_one_beside_it_is_noticed(tree: Tree) -> None:
    root = tree({"stores/sqlite/a.py": "", "stores/postgres/b.py": "from postlude.stores.sqlite import a"})
    assert rules.familiar(root, floor_plan.STRANGERS) == ["stores.postgres.b -> postlude.stores.sqlite.a"]


def test_sql_lives_with_its_store() -> None:
    assert rules.stray_sql(SOURCE, floor_plan.SQL_HOMES) == []


def test_asgi_applications_are_coroutine_functions() -> None:
    assert rules.plain_asgi(SOURCE) == []


def test_the_package_logs_through_its_guard_only() -> None:
    assert rules.stray_loggers(SOURCE, floor_plan.LOGGING_HOMES) == []


def test_what_happens_is_an_event_and_not_a_line_of_log() -> None:
    assert rules.wordings(SOURCE, floor_plan.WORDING_HOMES) == []


def test_no_home_of_wordings_is_without_one() -> None:
    others = set(floor_plan.WORDING_HOMES) - {"telemetry"}
    assert others == {
        home for home in others if rules.wordings(SOURCE, set(floor_plan.WORDING_HOMES) - {home})
    }


@pytest.mark.parametrize(
    "text",
    [
        "from postlude.telemetry.log import Log",
        "def f():\n    from postlude.telemetry.startup_log import announce",
        "from ..telemetry.log import Log",
    ],
)
def test_a_module_that_logs_by_itself_is_noticed(tree: Tree, text: str) -> None:
    root = tree({"runner/lease.py": text, "telemetry/logging.py": text, "runner/pace.py": "import logging"})
    assert rules.wordings(root, {"telemetry"}) == ["runner.lease"]


def test_private_names_of_others_are_in_their_places() -> None:
    assert rules.private_names(SOURCE, floor_plan.PRIVATE_NAMES_HOMES) == []


def test_tests_lie_in_the_rooms_that_they_are_of() -> None:
    tests = Path(__file__).parents[1]
    folders = rules.homeless_tests(tests, SOURCE, floor_plan.TESTS_OF_THE_WHOLE)
    assert [folder for folder in folders if Path(folder).name not in floor_plan.TEST_DATA] == []


def test_a_folder_of_tests_without_a_room_is_noticed(tree: Tree, tmp_path: Path) -> None:
    root = tree(_modules())
    for name in (
        "conftest.py",
        "tour/test_a.py",
        "model/test_job.py",
        "model/deep/test_a.py",
        "odd/test_a.py",
    ):
        file = tmp_path / "tests" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    assert rules.homeless_tests(tmp_path / "tests", root, frozenset({"tour"})) == ["model/deep", "odd"]


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """Write a small package."""

    def write(files: dict[str, str]) -> Path:
        root = tmp_path / "postlude"
        root.mkdir()
        (root / "__init__.py").touch()
        for name, text in files.items():
            file = root / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, "utf-8")
        return root

    return write


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("model/job.py", "import postlude.runner.loop"),
        ("model/job.py", "from postlude import runner"),
        ("model/job.py", "from postlude.runner import loop"),
        ("model/job.py", "from ..runner import loop"),
        ("model/job.py", "from .. import runner"),
        ("model/job.py", "def later():\n    from postlude.runner.loop import run"),
        ("model/job.py", "if TYPE_CHECKING:\n    from postlude.runner.loop import Loop"),
        ("model/job.py", "import importlib\nimportlib.import_module('postlude.runner.loop')"),
        ("model/job.py", "class A:\n    def f(self): __import__('postlude.runner')"),
        ("model/job.py", "import postlude"),
        ("tasks/task.py", "from postlude.stores import memory"),
        ("stores/memory.py", "from postlude.tasks.task import Task"),
        ("runner/claims.py", "from postlude.stores.memory import Memory"),
        ("web/status.py", "from postlude.cli import main"),
        ("strange.py", ""),
    ],
)
def test_an_import_that_runs_upwards_or_sideways_is_noticed(tree: Tree, file: str, text: str) -> None:
    root = tree(_modules() | {file: text})
    assert len(rules.broken_layers(root, LAYERS)) == 1


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("runner/claims.py", "from postlude.stores.protocol import Store"),
        ("runner/claims.py", "from . import loop"),
        ("tasks/task.py", "from postlude.model.job import Job\nimport asyncio"),
        ("cli/main.py", "from postlude.cli import table\nfrom postlude.runner import loop"),
        ("__init__.py", "from postlude.web import status"),
    ],
)
def test_an_import_that_runs_downwards_is_allowed(tree: Tree, file: str, text: str) -> None:
    root = tree(_modules() | {"cli/table.py": "", file: text})
    assert rules.broken_layers(root, LAYERS) == []


def test_a_circle_is_noticed_also_inside_one_layer(tree: Tree) -> None:
    root = tree(
        {
            "a.py": "from postlude.b import x",
            "b.py": "def f():\n    from postlude.c import y",
            "c.py": "from postlude import a",
            "d.py": "import postlude.a",
        }
    )
    assert rules.cycles(root) == ["a -> b -> c -> a"]


@pytest.mark.parametrize(
    "text",
    [
        "import pickle",
        "import pickle as p",
        "from pickle import loads",
        "def f():\n    import marshal",
        "from yaml import safe_load",
        "import xml.dom, shelve",
        "__import__('pickle')",
        "eval('1')",
        "def f(text):\n    return exec(text)",
    ],
)
def test_what_could_load_code_is_noticed(tree: Tree, text: str) -> None:
    root = tree({"codec.py": text})
    assert len(rules.forbidden(root, floor_plan.FORBIDDEN_MODULES, floor_plan.FORBIDDEN_CALLS)) == 1


def test_names_that_only_resemble_what_is_forbidden_are_allowed(tree: Tree) -> None:
    root = tree(
        {"codec.py": "import pickled, re\nre.compile('x')\nfrom model import evaluate\nevaluate('1')"}
    )
    assert rules.forbidden(root, floor_plan.FORBIDDEN_MODULES, floor_plan.FORBIDDEN_CALLS) == []


def test_a_long_file_needs_a_reason_and_a_reason_a_long_file(tree: Tree) -> None:
    root = tree({"long.py": "x = 1\n" * 11, "short.py": "x = 1\n" * 10})
    assert len(rules.too_long(root, 10, {})) == 1
    assert len(rules.too_long(root, 10, {"long.py": " "})) == 1
    assert rules.too_long(root, 10, {"long.py": "one table"}) == []
    assert len(rules.too_long(root, 10, {"long.py": "one table", "short.py": "was long once"})) == 1


@pytest.mark.parametrize(
    ("file", "text", "strays"),
    [
        ("runner/loop.py", "q = 'SELECT id FROM job'", 1),
        ("runner/loop.py", "q = f'''\n  UPDATE job SET x = {1}'''", 1),
        ("runner/loop.py", '"""SELECT is a word here."""', 0),
        ("runner/loop.py", "log('Select a job')", 0),
        ("stores/sqlite/claims.py", "q = 'SELECT id FROM job'", 0),
    ],
)
def test_sql_outside_its_store_is_noticed(tree: Tree, file: str, text: str, strays: int) -> None:
    assert len(rules.stray_sql(tree({file: text}), floor_plan.SQL_HOMES)) == strays


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("class A:\n    def __call__(self, scope, receive, send): ...", 1),
        ("def make(app):\n    def inner(scope, receive, send): ...", 1),
        ("class A:\n    async def __call__(self, scope, receive, send): ...", 0),
        ("def __call__(self, scope): ...", 0),
    ],
)
def test_an_asgi_application_that_is_no_coroutine_function_is_noticed(
    tree: Tree, text: str, plain: int
) -> None:
    assert len(rules.plain_asgi(tree({"middleware.py": text}))) == plain


@pytest.mark.parametrize(
    ("file", "text", "strays"),
    [
        ("a.py", "import logging\nlog = logging.getLogger('postlude')", 1),
        ("a.py", "from logging import getLogger as get, getLogger\ndef f(): getLogger().info('x')", 1),
        ("a.py", "import logging\nlogging.warning('x')", 1),
        ("a.py", "import logging\nlogging.LoggerAdapter(log)", 1),
        ("a.py", "import logging\nlogging.getLevelName(1)\nlog.warning('x')", 0),
        ("log.py", "import logging\nlogging.getLogger('postlude')", 0),
    ],
)
def test_a_logger_without_the_guard_is_noticed(tree: Tree, file: str, text: str, strays: int) -> None:
    assert len(rules.stray_loggers(tree({file: text}), ("log",))) == strays


@pytest.mark.parametrize(
    ("file", "text", "strays"),
    [
        ("a.py", "from asyncio import _get_running_loop", 1),
        ("a.py", "import asyncio\ndef f(): return asyncio._get_running_loop()", 1),
        ("a.py", "from anyio._core._eventloop import claim_worker_thread", 2),
        ("a.py", "import starlette._utils", 1),
        ("a.py", "def f(node): return node._exception_handlers", 1),
        ("a.py", "def f(node): return getattr(node, '_low_priority_routes', ())", 1),
        ("a.py", "def f(scope): return scope['fastapi_inner_astack']", 1),
        ("a.py", "MADE = 'request_response.<locals>.app'", 1),
        ("a.py", "class A:\n    def __init__(self): self._b = 1\ndef f(a): return a._b, a.__class__", 0),
        ("a.py", "import os\ndef f(named): os._exit(named._replace(a=1)._fields)", 0),
        ("a.py", "from postlude.b import _own", 0),
        ("compat.py", "from asyncio import _get_running_loop", 0),
    ],
)
def test_a_private_name_of_another_package_is_noticed(tree: Tree, file: str, text: str, strays: int) -> None:
    assert len(rules.private_names(tree({file: text}), ("compat",))) == strays


def test_public_names_are_read_from_a_file(tree: Tree) -> None:
    root = tree({"a.py": "__all__ = ['x', 'y']", "b.py": "__all__: list[str] = ['x']", "c.py": "x = 1"})
    assert [rules.public_names(root / name) for name in ("a.py", "b.py", "c.py")] == [["x", "y"], ["x"], []]


def _modules() -> dict[str, str]:
    return {
        "model/job.py": "",
        "tasks/task.py": "",
        "stores/protocol.py": "",
        "stores/memory.py": "",
        "runner/__init__.py": "",
        "runner/loop.py": "",
        "web/status.py": "",
        "cli/__init__.py": "",
    }
