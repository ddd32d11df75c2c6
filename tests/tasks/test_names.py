"""Which functions have a name that another process finds again, and which stored names lead anywhere."""

import functools
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from postlude.errors import NotDurable, TaskDefinitionError, UnknownTask
from postlude.tasks.names import name_of
from postlude.tasks.packages import Packages
from postlude.tasks.registry import Registry
from tests.tasks import sample

HERE = "tests.tasks.sample"

HOSTILE = [
    "shop:makedirs", "shop:box.run", "bazaar.__main__:send", "bazaar.__main__:eval",
    "os:system", "posix:system", "builtins:eval", "builtins:exec", "subprocess:Popen",
    "importlib:import_module", "a.b:__class__", "shop:__class__", "shop:__builtins__",
    "shop.__builtins__:eval", "shop:__builtins__.eval", "shop:Mail.__init__",
    "shop:Mail.__init__.__globals__", "shop:Mail.send.__globals__", "shop:send.__code__",
    "shop:Mail.__subclasses__", "shop:Mail.mro", "shop:Mail", "shop:mail", "shop:mail.send", "shop:system",
    "shop:os.system", "shop.os:system", "shop:path", "shop:alias", "shop:shout", "shop:Mail.trap",
    "shop:Mail.stolen", "shop:partial", "shop:anything", "shop:Meta.anything", "shop:", ":send", ":", "",
    "shop", "shop:send:send", "shop:.send", "shop:send.", "shop..tasks:send", ".shop:send", "..shop:send",
    "/etc/passwd:x", "shop/../os:system", "shop:send\0", "shop\0:send", " shop:send", "shop:send ",
    "shop:send\n", "shop:SEND", "Shop:send", "shop:send()", "shop:send;os", "json.tool:main", "this:d",
    "antigravity:fly", "idlelib.idle:main", "unimported_library:send", "shop.__main__:send",
    "__main__:send", "__mp_main__:send", "shop.tests.:x", "x" * 10_000_000, "shop:" + "a." * 5_000_000,
    "os:" + "s" * 1000, "shop:send" + "\u200b", "\ud800:\ud800",
    "\u0455hop:send", "shop:\u0455end", "\uff53hop:send", "shop:\uff53end", "os\uff1asystem",
]  # fmt: skip

SHOP = """
import functools, os
from os import makedirs, path, system

class Meta(type):
    def __getattr__(cls, name):
        raise AssertionError("a metaclass was asked")

class Mail(metaclass=Meta):
    @staticmethod
    def send(): return "sent"
    @property
    def trap(self): raise AssertionError
    stolen = staticmethod(os.system)
    def __init__(self): ...

class Descriptor:
    def __get__(self, *_): raise AssertionError("a descriptor was run")

def __getattr__(name):
    raise AssertionError("the module was asked for " + name)

def send(): return "sent"

Mail.descriptor = Descriptor()
alias = send
box = type("Box", (), {})()
def run(): ...
run.__qualname__ = "box.run"
box.run = run
partial = functools.partial(send)
mail = object.__new__(Mail)
shout = lambda: None
"""


@pytest.fixture
def registry() -> Registry:
    return Registry(packages=["tests"])


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A flat application: a module beside another, and a library installed below the same directory."""
    (tmp_path / "shop.py").write_text(SHOP)
    (tmp_path / "bazaar").mkdir()
    (tmp_path / "bazaar" / "__init__.py").touch()
    (tmp_path / "bazaar" / "__main__.py").write_text("def send(): ...")
    library = tmp_path / ".venv" / "lib" / "site-packages"
    library.mkdir(parents=True)
    (library / "unimported_library.py").write_text("raise AssertionError('imported')")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.syspath_prepend(str(library))
    yield tmp_path
    for name in ("shop", "bazaar", "late", "broken", "leaving"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (sample.send, f"{HERE}:send"),
        (sample.other_name, f"{HERE}:send"),
        (sample.wrapped, f"{HERE}:wrapped"),
        (sample.Mail.static, f"{HERE}:Mail.static"),
        (sample.Mail.of_class, f"{HERE}:Mail.of_class"),
        (sample.mail.of_class, f"{HERE}:Mail.of_class"),
        (sample.Mail.of_object, f"{HERE}:Mail.of_object"),
    ],
)
def test_a_durable_function_is_found_by_its_name(
    registry: Registry, function: Callable[..., Any], name: str
) -> None:
    task = registry.of(function)
    assert (task.name, task.plain) == (name, True)
    assert Registry(packages=["tests"]).resolve(name).function == function


REFUSED: dict[str, tuple[Any, str]] = {
    "lambda": (sample.shout, "is a lambda"),
    "closure": (sample.taking(int), "defined inside a function; move it to module level"),
    "bound method": (sample.mail.of_object, "bound to an object"),
    "object": (sample.mail, "register it: postlude.task"),
    "name of a function": ("shop:send", "'shop:send' is a text: pass the function itself, not its name"),
    "built-in": (print, "builtins:print is not a plain function; register it: postlude.task"),
    "C function of a library": (os.remove, "remove is not a plain function; register it: postlude.task"),
    "function of a library": (os.makedirs, "not in the application's own packages; register it"),
    "class": (sample.Mail, "register it"),
    "cached": (sample.cached, "register it"),
    "inherited class method": (sample.UrgentMail.of_class, "is not defined in this release"),
    "what a wrapper hides": (sample.wrapped.__wrapped__, "is not what"),  # type: ignore[attr-defined]
    "partial of a lambda": (functools.partial(sample.shout, "x"), "is a lambda"),
    "unhashable": (type("Unhashable", (), {"__hash__": None, "__call__": print})(), "register it"),
    "no callable": (7, "arguments apart"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_has_no_name_is_refused_with_the_remedy(registry: Registry, case: str) -> None:
    function, words = REFUSED[case]
    with pytest.raises(NotDurable, match=words):
        registry.call(function, (), {})


def test_a_registered_library_function_is_durable(registry: Registry) -> None:
    task = registry.task(os.remove)
    assert registry.of(os.remove) is task
    assert registry.resolve(task.name) is task
    assert task.encode(("/tmp/x",), {}).kwargs == {"path": "/tmp/x"}


def test_partials_are_taken_apart(registry: Registry) -> None:
    inner = functools.partial(sample.send, 7, tenant="acme")
    task, args, kwargs = registry.call(functools.partial(inner, tenant="other"), ("ada",), {})
    assert (task.function, args, kwargs) == (sample.send, (7, "ada"), {"tenant": "other"})


def test_a_function_that_has_been_met_costs_one_look_up(registry: Registry, monkeypatch: Any) -> None:
    task = registry.of(sample.send)
    monkeypatch.setattr(registry, "_meet", None)
    assert registry.of(sample.send) is task


def test_hostile_names_lead_nowhere_and_import_nothing(shop: Path) -> None:
    registry = Registry(root=shop)
    assert registry.resolve("shop:send").function() == registry.resolve("shop:Mail.send").function() == "sent"
    modules = set(sys.modules)
    with imports() as seen:
        for name in HOSTILE:
            with pytest.raises(UnknownTask) as caught:
                registry.resolve(name)
            assert len(str(caught.value)) < 1000, "the message repeats a huge name"
            assert not registry.knows(name)
    assert seen == []
    assert set(sys.modules) == modules


def test_strict_takes_declared_tasks_only(shop: Path) -> None:
    registry = Registry(root=shop, packages=["tests"], strict=True)
    declared = registry.task(sample.send)
    assert registry.resolve(declared.name) is declared
    assert registry.of(sample.send) is declared
    with imports() as seen, pytest.raises(UnknownTask):
        registry.resolve("shop:send")
    assert seen == []
    with pytest.raises(NotDurable, match="strict=True"):
        registry.of(sample.wrapped)


def test_a_module_is_imported_when_its_name_is_met_and_may_declare_it(shop: Path) -> None:
    registry = Registry(root=shop)
    (shop / "late.py").write_text("from tests.tasks.test_names import LATE\n@LATE[0].task\ndef run(): ...\n")
    LATE[:] = [registry]
    with imports() as seen:
        task = registry.resolve("late:run")
    assert seen, "the audit hook sees nothing, so the other tests prove nothing"
    assert (task.plain, task.policy.retry.attempts) == (False, 5)
    with pytest.raises(UnknownTask, match="not defined in this release"):
        registry.resolve("late:gone")


LATE: list[Registry] = []


@pytest.mark.parametrize(("module", "code"), [("broken", "1 / 0"), ("leaving", "raise SystemExit(3)")])
def test_a_module_that_fails_to_import_leaves_its_jobs_unknown(shop: Path, module: str, code: str) -> None:
    (shop / f"{module}.py").write_text(code)
    with pytest.raises(UnknownTask, match="importing its module raised"):
        Registry(root=shop).resolve(f"{module}:run")


def test_what_lies_beside_the_application_is_its_own(shop: Path) -> None:
    packages = Packages(root=shop)
    (shop / "package").mkdir()
    assert packages.own("shop")
    assert packages.own("package.tasks")
    for foreign in ("os", "sys", "json", "pydantic", "unimported_library", "builtins", "nowhere", "tests"):
        assert not packages.own(foreign)
    assert Packages(["tests.tasks"]).own("tests")
    assert not Packages().own("shop")


def test_a_root_inside_pythons_prefix_is_still_the_applications(shop: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(sys, "prefix", str(shop.parent))
    assert Packages(root=shop).own("shop")
    assert not Packages(root=shop).own("unimported_library")


def test_a_registered_name_and_its_twin() -> None:
    registry = Registry()
    first = registry.task(sample.send, name="mail.send")
    assert registry.resolve("mail.send") is first
    assert registry.task(sample.send, name="mail.send").function is sample.send
    with pytest.raises(TaskDefinitionError, match=r"'mail.send'; give one a name= of its own"):
        registry.task(sample.wrapped, name="mail.send")


@pytest.mark.parametrize("name", ["", "\n", "x" * 201, "a\0b"])
def test_a_name_is_a_short_printable_text(name: str) -> None:
    with pytest.raises(TaskDefinitionError, match="name= must be"):
        Registry().task(sample.send, name=name)


class TestMainModule:
    """`python main.py` and `uvicorn main:app` are to find each other's jobs."""

    @pytest.mark.parametrize(
        ("spec", "file", "name"),
        [
            (None, "/srv/shop/main.py", "main"),
            ("shop.main", "/srv/shop/main.py", "shop.main"),
            ("shop.__main__", "/srv/shop/__main__.py", "shop.__main__"),
        ],
    )
    @pytest.mark.parametrize("alias", ["__main__", "__mp_main__"])
    def test_it_has_its_importable_name(
        self, main: Any, spec: str | None, file: str, name: str, alias: str
    ) -> None:
        main(spec, file)
        assert name_of(function_in(alias)) == f"{name}:run"

    @pytest.mark.parametrize(
        ("spec", "file"), [(None, None), (None, "<stdin>"), ("__main__", "/x/__main__.py")]
    )
    def test_without_one_its_functions_are_not_durable(self, main: Any, spec: str, file: str) -> None:
        main(spec, file)
        with pytest.raises(NotDurable, match="move them to a module"):
            name_of(function_in("__main__"))

    def test_the_running_program_is_not_imported_a_second_time(self, main: Any, shop: Path) -> None:
        module = main(None, str(shop / "shop.py"))
        module.send = function_in("__main__", "send")
        with imports() as seen:
            task = Registry(root=shop).of(module.send)
            assert Registry(root=shop).resolve("shop:send").function is module.send
        assert (task.name, seen) == ("shop:send", [])


PROGRAM = """
from pathlib import Path
from postlude.tasks import Registry

def send(to: str) -> None: ...

if __name__ == "__main__":
    print(Registry(root=Path(__file__).parents[{levels}]).of(send).name)
"""


@pytest.mark.process
@pytest.mark.parametrize(
    ("file", "start", "name"),
    [
        ("main.py", ["main.py"], "main:send"),
        ("main.py", ["-m", "main"], "main:send"),
        ("shop/main.py", ["-m", "shop.main"], "shop.main:send"),
        ("shop/__main__.py", ["-m", "shop"], "shop.__main__:send"),
    ],
)
def test_what_a_program_stores_is_found_by_a_server_that_imports_it(
    tmp_path: Path, file: str, start: list[str], name: str
) -> None:
    path = tmp_path / file
    path.parent.mkdir(exist_ok=True)
    path.write_text(PROGRAM.format(levels=file.count("/")))
    stored = run_python(tmp_path, *start)
    assert stored == name
    server = (
        f"import pathlib, {name.split(':')[0]}\n"
        f"from postlude.tasks import Registry\n"
        f"print(Registry(root=pathlib.Path({str(tmp_path)!r})).resolve({stored!r}).name)"
    )
    assert run_python(tmp_path, "-c", server) == name


def run_python(directory: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments], cwd=directory, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture
def main(monkeypatch: pytest.MonkeyPatch) -> Callable[[str | None, str | None], Any]:
    """Put a main module in place that was started from a file, or with `-m`."""

    def put(spec: str | None, file: str | None) -> Any:
        module = type(sys)("__main__")
        module.__spec__ = None if spec is None else type(sys.__spec__)(spec, None)
        if file is not None:
            module.__file__ = file
        monkeypatch.setitem(sys.modules, "__main__", module)
        return module

    return put


def function_in(module: str, name: str = "run") -> Any:
    def function() -> None: ...

    function.__module__, function.__qualname__ = module, name
    return function


LOADING = frozenset({"import", "open", "compile", "exec", "marshal.loads"})


class imports:
    """Note all code that is loaded while it is open, by Python's own audit events."""

    _hooked = False
    _seen: list[str] | None = None

    def __enter__(self) -> list[str]:
        if not imports._hooked:
            sys.addaudithook(imports._note)
            imports._hooked = True
        seen: list[str] = []
        imports._seen = seen
        return seen

    def __exit__(self, *_: object) -> None:
        imports._seen = None

    @staticmethod
    def _note(event: str, arguments: tuple[Any, ...]) -> None:
        # `importlib.import_module` raises no "import" event, but it must read and run a file.
        if event in LOADING and imports._seen is not None:
            imports._seen.append(f"{event} {arguments[0]!r}")
