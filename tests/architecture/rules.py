"""The project's rules about its own source, as functions of a directory. Each returns what breaks it."""

import ast
import functools
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

PACKAGE = "postlude"
_LOGS = (f"{PACKAGE}.telemetry.log.", f"{PACKAGE}.telemetry.startup_log.")


@dataclass(frozen=True, slots=True)
class Layer:
    """Places on one level of the floor plan, and the levels below that they may import."""

    name: str
    places: tuple[str, ...]
    below: tuple[str, ...]
    """Names of layers; an entry with a dot is one module instead of a layer."""
    together: bool = True
    """Whether its places may import each other."""


@dataclass(frozen=True, slots=True)
class Import:
    """One import, at the top of a file or hidden anywhere in it."""

    file: Path
    line: int
    module: str


def sources(root: Path) -> list[Path]:
    """Return the Python files of a package's directory."""
    return sorted(path for path in root.rglob("*.py") if not any(part.startswith(".") for part in path.parts))


@functools.cache
def nodes(file: Path) -> Sequence[ast.AST]:
    """Return what a file consists of; each rule asks for the same files."""
    return tuple(ast.walk(ast.parse(file.read_text("utf-8"))))


def module_name(root: Path, file: Path) -> str:
    """Name a file's module, without the package's own name: `stores.memory`, "" for the package itself."""
    parts = list(file.relative_to(root).with_suffix("").parts)
    if parts[-1] == "__init__":
        parts.pop()
    return ".".join(parts)


@functools.cache
def imports(root: Path, file: Path) -> Sequence[Import]:
    """Return every import in a file, also those in functions and under TYPE_CHECKING."""
    return tuple(_imports(root, file))


def _imports(root: Path, file: Path) -> Iterator[Import]:
    package = [PACKAGE, *file.relative_to(root).parent.parts]
    for node in nodes(file):
        if isinstance(node, ast.Import):
            for name in node.names:
                yield Import(file, node.lineno, name.name)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            origin = ".".join(part for part in (base, node.module) if part)
            for name in node.names:
                yield Import(file, node.lineno, f"{origin}.{name.name}")
        elif isinstance(node, ast.Call) and _called(node) in {"import_module", "__import__"}:
            match node.args:
                case [ast.Constant(value=str(module)), *_]:
                    yield Import(file, node.lineno, module)


def broken_layers(root: Path, layers: Sequence[Layer]) -> list[str]:
    """Return the imports that do not run downwards, and the files that no layer claims."""
    known = {module_name(root, file) for file in sources(root)}
    problems: list[str] = []
    for file in sources(root):
        module = module_name(root, file)
        layer = _layer_of(module, layers)
        if module and layer is None:
            problems.append(f"{file.name}: `{module}` has no place in the floor plan")
            continue
        for found in imports(root, file):
            target = _inside(found.module, known)
            if target is None or layer is None or _allowed(module, layer, target, layers):
                continue
            problems.append(
                f"{file.relative_to(root)}:{found.line}: `{module}` must not import `{found.module}`"
            )
    return problems


def familiar(root: Path, strangers: Mapping[str, Collection[str]]) -> list[str]:
    """Return the imports between rooms beside each other that may not know each other."""
    return [
        f"{module} -> {found.module}"
        for file in sources(root)
        for module in (module_name(root, file),)
        for found in imports(root, file)
        for room, others in strangers.items()
        if _within(module, room)
        and any(_within(found.module.removeprefix(f"{PACKAGE}."), other) for other in others)
    ]


def cycles(root: Path) -> list[str]:
    """Return the groups of modules that import each other in a circle, each once."""
    known = {module_name(root, file) for file in sources(root)}
    graph: dict[str, set[str]] = {}
    for file in sources(root):
        name = module_name(root, file)
        reached = (_inside(found.module, known) for found in imports(root, file))
        graph[name] = {target for target in reached if target is not None and target != name}
    problems: list[str] = []
    done: set[str] = set()

    def walk(module: str, trail: list[str]) -> None:
        if module in trail:
            problems.append(" -> ".join([*trail[trail.index(module) :], module]))
        elif module not in done:
            for target in sorted(graph.get(module, ())):
                walk(target, [*trail, module])
            done.add(module)

    for module in sorted(graph):
        walk(module, [])
    return problems


def forbidden(root: Path, modules: frozenset[str], calls: frozenset[str]) -> list[str]:
    """Return the uses of modules and built-ins that may not occur anywhere."""
    problems = [
        f"{file.relative_to(root)}:{found.line}: {found.module}"
        for file in sources(root)
        for found in imports(root, file)
        if found.module in modules or found.module.partition(".")[0] in modules
    ]
    for file in sources(root):
        problems += [
            f"{file.relative_to(root)}:{node.lineno}: {node.func.id}()"
            for node in nodes(file)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in calls
        ]
    return problems


def too_long(root: Path, limit: int, excused: Mapping[str, str]) -> list[str]:
    """Return the files over `limit` lines that have no reason to be, and the reasons without a need."""
    lengths = {
        str(file.relative_to(root)): len(file.read_text("utf-8").splitlines()) for file in sources(root)
    }
    problems = [
        f"{name}: {length} lines, at most {limit}"
        for name, length in lengths.items()
        if length > limit and not excused.get(name, "").strip()
    ]
    problems += [f"{name}: excused and not long" for name in excused if lengths.get(name, 0) <= limit]
    return problems


def stray_sql(root: Path, homes: tuple[str, ...]) -> list[str]:
    """Return the strings that look like SQL outside the stores that speak it."""
    problems: list[str] = []
    for file in sources(root):
        if module_name(root, file).startswith(homes):
            continue
        parts = nodes(file)
        prose = _docstrings(parts)
        problems += [
            f"{file.relative_to(root)}:{node.lineno}: {node.value.strip()[:40]!r}"
            for node in parts
            if isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in prose
            and node.value.lstrip().startswith(_SQL)
        ]
    return problems


def plain_asgi(root: Path) -> list[str]:
    """Return the functions that take what an ASGI application takes and are no coroutine functions.

    Middlewares that still serve ASGI 2 call such an application with its scope alone.
    """
    return [
        f"{file.relative_to(root)}:{node.lineno}: {node.name}"
        for file in sources(root)
        for node in nodes(file)
        if isinstance(node, ast.FunctionDef)
        and [argument.arg for argument in node.args.args][-3:] == ["scope", "receive", "send"]
    ]


def stray_loggers(root: Path, homes: tuple[str, ...]) -> list[str]:
    """Return where a logger is asked for by itself, whose handlers may raise into the code that logs."""
    return [
        f"{file.relative_to(root)}:{node.lineno}: {_called(node)}"
        for file in sources(root)
        if not any(_within(module_name(root, file), home) for home in homes)
        for node in nodes(file)
        if isinstance(node, ast.Call) and (_called(node) in _LOGGERS or _logs_on_root(node))
    ]


def wordings(root: Path, homes: Collection[str]) -> list[str]:
    """Return the modules that log by themselves, and not by an event."""
    return [
        module
        for file in sources(root)
        if not any(_within(module := module_name(root, file), home) for home in homes)
        and any(each.module.startswith(_LOGS) for each in imports(root, file))
    ]


def private_names(root: Path, homes: tuple[str, ...]) -> list[str]:
    """Return where a module reaches for a name of other packages that nothing promises.

    Those are imported or mentioned with an underscore at their beginning and are none of the package's own,
    name what is inside a function (`make.<locals>.inner`), or where FastAPI keeps something in a scope.
    """
    known = _PROMISED.union(*(_own_private(nodes(file)) for file in sources(root)))
    return [
        f"{file.relative_to(root)}:{line}: {name}"
        for file in sources(root)
        if not any(_within(module_name(root, file), home) for home in homes)
        for line, name in _foreign(nodes(file))
        if name not in known
    ]


def homeless_tests(tests: Path, root: Path, others: frozenset[str]) -> list[str]:
    """Return the folders with Python files under `tests` that are neither rooms of the package nor others."""
    folders = {file.parent.relative_to(tests) for file in sources(tests)}
    return sorted(
        str(folder)
        for folder in folders
        if folder.parts and folder.parts[0] not in others and not (root / folder).is_dir()
    )


def public_names(file: Path) -> list[str]:
    """Return what a module's `__all__` lists, without importing it."""
    for node in ast.parse(file.read_text("utf-8")).body:
        match node:
            case ast.Assign(targets=[ast.Name(id="__all__")], value=value):
                return list(ast.literal_eval(value))
            case ast.AnnAssign(target=ast.Name(id="__all__"), value=ast.expr() as value):
                return list(ast.literal_eval(value))
    return []


_SQL = ("SELECT ", "INSERT ", "UPDATE ", "DELETE FROM", "CREATE TABLE", "BEGIN IMMEDIATE", "PRAGMA ", "WITH ")


_LOGGERS = frozenset({"getLogger", "getChild", "LoggerAdapter", "Logger"})
_LEVELS = frozenset({"debug", "info", "warning", "error", "exception", "critical", "log"})


_PROMISED = frozenset(
    {"_asdict", "_fields", "_make", "_replace"}  # of named tuples
    | {"_getframe", "_current_frames", "_exit"}  # of sys and os
)
_OURS = (PACKAGE, "__future__")
_INSIDE = re.compile(r"_[A-Za-z]\w*|fastapi_\w+|.+\.<locals>\..+")


def _foreign(parts: Sequence[ast.AST]) -> Iterator[tuple[int, str]]:
    """Return the names in a file that may be private to other packages, and where they stand."""
    for node in parts:
        match node:
            case ast.ImportFrom(module=str(module)) if _top(module) not in _OURS:
                names = [*module.split("."), *(name.name for name in node.names)]
                yield from ((node.lineno, name) for name in names if _is_private(name))
            case ast.Import():
                names = [part for name in node.names for part in name.name.split(".")]
                yield from ((node.lineno, name) for name in names if _is_private(name))
            case ast.Attribute(attr=name) if _is_private(name):
                yield node.lineno, name
            case ast.Constant(value=str(text)) if _INSIDE.fullmatch(text):
                yield node.lineno, text


def _own_private(parts: Sequence[ast.AST]) -> Iterator[str]:
    """Return what a file itself defines: attributes of `self`, classes, functions, variables."""
    for node in parts:
        match node:
            case ast.Attribute(value=ast.Name(id="self" | "cls"), attr=name, ctx=ast.Store()):
                yield name
            case ast.Subscript(
                value=ast.Attribute(attr="__dict__"), slice=ast.Constant(value=str(name)), ctx=ast.Store()
            ):
                yield name
            case ast.Call(func=ast.Attribute(value=ast.Attribute(attr="__dict__"), attr="update")):
                yield from (keyword.arg for keyword in node.keywords if keyword.arg is not None)
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name
            case ast.Name(id=name, ctx=ast.Store()):
                yield name


def _top(module: str) -> str:
    return module.partition(".")[0]


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def _called(node: ast.Call) -> str:
    match node.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def _logs_on_root(node: ast.Call) -> bool:
    match node.func:
        case ast.Attribute(value=ast.Name(id="logging"), attr=name):
            return name in _LEVELS
    return False


def _docstrings(parts: Sequence[ast.AST]) -> set[int]:
    """Return the ids of the strings that stand alone: docstrings, also those of attributes."""
    return {id(node.value) for node in parts if isinstance(node, ast.Expr)}


def _layer_of(module: str, layers: Sequence[Layer]) -> Layer | None:
    return next((layer for layer in layers if any(_within(module, place) for place in layer.places)), None)


def _within(module: str, place: str) -> bool:
    return module == place or module.startswith(f"{place}.")


def _inside(module: str, known: set[str]) -> str | None:
    """Return the package's own module that an import reaches: `postlude.jobs.handle.Job` reaches `job`."""
    if module == PACKAGE:
        return ""
    if not module.startswith(f"{PACKAGE}."):
        return None
    name = module.removeprefix(f"{PACKAGE}.")
    while name and name not in known:
        name = name.rpartition(".")[0]
    return name


def _place_of(module: str, layer: Layer) -> str:
    return next(place for place in layer.places if _within(module, place))


def _allowed(module: str, layer: Layer, target: str, layers: Sequence[Layer]) -> bool:
    if target == "":
        return False  # the package itself imports everything
    if any("." in entry and _within(target, entry) for entry in layer.below):
        return True
    home = _layer_of(target, layers)
    if home is None:
        return False
    if home is layer:
        return layer.together or _place_of(module, layer) == _place_of(target, layer)
    return home.name in layer.below
