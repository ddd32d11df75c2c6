"""What an application that exists already has to change, as a diff of the file that makes it."""

import ast
import difflib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from postlude.messages.quoting import quoted
from postlude.new.project import CannotMake

_KINDS: Final = {"FastAPI": ("fastapi",), "Starlette": ("starlette", "starlette.applications")}
_NAME: Final = "postlude"

_Import = ast.Import | ast.ImportFrom


@dataclass(frozen=True, slots=True)
class Made:
    """A statement that makes an application and gives it a name."""

    name: str
    kind: str
    """`FastAPI` or `Starlette`."""
    line: int
    end: int
    column: int


def changed(source: str, *, app: str | None = None, router: bool = True, dashboard: bool = True) -> str:
    """Return a module with a Postlude on the application that it makes.

    Args:
        source: the module's text.
        app: the name of the application; needed where several are made.
        router: whether to include the status routes, if it is FastAPI's.
        dashboard: whether to mount the dashboard, for who sits at the machine.

    Raises:
        CannotMake: it is no Python, makes no application, or several, or has a Postlude; or the change is
            not certain to be right. The message says what to write.
    """
    try:
        module = ast.parse(source)
    except (SyntaxError, ValueError) as error:
        raise CannotMake(f"that is no Python: {error}") from error
    made = _chosen(list(_made(module)), app)
    _refuse_second(module)
    lines = _lines(source)
    newline = "\r\n" if lines[0].endswith("\r\n") else "\n"
    before = lines[made.line - 1][: made.column]
    if before.strip():
        raise CannotMake(
            f"line {made.line} has more than one statement: put `postlude = Postlude({made.name})` after it"
        )
    added = [f"{_NAME} = Postlude({made.name})"]
    if router and made.kind == "FastAPI":
        prefix = "/background-jobs" if _has_route(module, "/jobs") else "/jobs"
        added.append(f'{made.name}.include_router({_NAME}.router(prefix="{prefix}"))')
    if dashboard:
        added.append(f'{made.name}.mount("/background", {_NAME}.dashboard(auth="local"))')
    if not lines[made.end - 1].endswith("\n"):
        lines[made.end - 1] += newline
    lines[made.end : made.end] = [f"{before}{line}{newline}" for line in added]
    lines.insert(_place_of_import(module), f"from postlude import Postlude{newline}")
    return "".join(lines)


def difference(before: str, after: str, path: str) -> str:
    """Return the change of a file as `git apply` takes it."""
    return "".join(
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"
        for line in difflib.unified_diff(_lines(before), _lines(after), f"a/{path}", f"b/{path}")
    )


def _lines(source: str) -> list[str]:
    """Return the lines as Python counts them, and their ends with them."""
    return io.StringIO(source, newline="").readlines()


def _made(module: ast.Module) -> Iterator[Made]:
    kinds = dict(_imported(module))
    for node in ast.walk(module):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call(func=called)):
                pass
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.Call(func=called)):
                pass
            case _:
                continue
        if (kind := kinds.get(ast.unparse(called))) is not None:
            yield Made(name, kind, node.lineno, node.end_lineno or node.lineno, node.col_offset)


def _imported(module: ast.Module) -> Iterator[tuple[str, str]]:
    """Return by which names the classes of applications are called, and which each is."""
    for node in module.body:
        for kind, homes in _KINDS.items():
            if isinstance(node, ast.ImportFrom) and node.module in homes and not node.level:
                yield from ((one.asname or one.name, kind) for one in node.names if one.name == kind)
            elif isinstance(node, ast.Import):
                yield from (
                    (f"{one.asname or one.name}.{kind}", kind) for one in node.names if one.name in homes
                )


def _chosen(found: Sequence[Made], app: str | None) -> Made:
    meant = [one for one in found if app in (None, one.name)]
    told = ", ".join(f"{one.name} (line {one.line})" for one in sorted(found, key=lambda one: one.line))
    match meant:
        case [one]:
            return one
        case []:
            if app is not None and found:
                raise CannotMake(f"--app {quoted(app)}: the applications made here are {told}")
            raise CannotMake("no application is made here: give the file that has `app = FastAPI()`")
    if len({one.name for one in meant}) == 1:
        raise CannotMake(f"an application is made in several places: {told}; put `Postlude(app)` after each")
    raise CannotMake(f"several applications are made here: {told}; say which by --app")


def _refuse_second(module: ast.Module) -> None:
    for node in ast.walk(module):
        match node:
            case ast.ImportFrom(module=str(home), level=0) if home.partition(".")[0] == _NAME:
                raise CannotMake(f"there is a Postlude already: see line {node.lineno}")
            case ast.Name(id="postlude", ctx=ast.Store()) | ast.FunctionDef(name="postlude"):
                raise CannotMake(_taken(node.lineno))
            case ast.Import(names=names) | ast.ImportFrom(names=names):
                if any((one.asname or one.name.partition(".")[0]) == _NAME for one in names):
                    raise CannotMake(_taken(node.lineno))


def _taken(line: int) -> str:
    return f"line {line} has something else called {_NAME}: write `Postlude(app)` with another name by hand"


def _has_route(module: ast.Module, path: str) -> bool:
    return any(
        isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and (node.value == path or node.value.startswith(f"{path}/"))
        for node in ast.walk(module)
    )


def _place_of_import(module: ast.Module) -> int:
    """Return the index of the line before which the import belongs, as ruff and isort sort it."""
    imports = [node for node in module.body if isinstance(node, _Import)]
    homes = {home.partition(".")[0] for homes in _KINDS.values() for home in homes}
    last = next(node for node in imports if not homes.isdisjoint(_tops(node)))
    if isinstance(last, ast.ImportFrom) and (last.module or "") > _NAME:
        before = [one for one in imports if one.end_lineno == last.lineno - 1]
        while before and isinstance(before[0], ast.ImportFrom) and (before[0].module or "") > _NAME:
            last, before = before[0], [one for one in imports if one.end_lineno == before[0].lineno - 1]
        return last.lineno - 1
    for node in imports[imports.index(last) + 1 :]:
        if node.lineno != (last.end_lineno or last.lineno) + 1:
            break
        if isinstance(node, ast.ImportFrom) and (node.level or (node.module or "") > _NAME):
            break
        last = node
    return last.end_lineno or last.lineno


def _tops(node: _Import) -> set[str]:
    if isinstance(node, ast.ImportFrom):
        return {(node.module or "").partition(".")[0]} if not node.level else set()
    return {one.name.partition(".")[0] for one in node.names}
