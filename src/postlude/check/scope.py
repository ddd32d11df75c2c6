"""What names stand for where they are used, as far as that is certain."""

import ast
import builtins
import functools
import inspect
import sys
import typing
from collections.abc import Iterator, Mapping, Sequence
from types import FunctionType, MethodType, ModuleType
from typing import Any, Final, NamedTuple

from postlude.check.source import Source
from postlude.tasks.task import Task

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef

_NESTED: Final = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)


class Known(NamedTuple):
    """An object that an expression stands for."""

    value: Any


class Local(NamedTuple):
    """A function that is made where the expression stands: nobody can import it."""

    what: str


class Unknown(NamedTuple):
    """What an expression stands for is not certain."""

    why: str


Meaning = Known | Local | Unknown


class Scope:
    """The functions that a piece of code lies in, the innermost last.

    Args:
        source: the module.
        functions: the functions around the code.
        owner: the class whose method the innermost function is, if it is one and is known.
    """

    def __init__(
        self, source: Source, functions: Sequence[FunctionNode] = (), owner: type | None = None
    ) -> None:
        self.source = source
        self.functions = tuple(functions)
        self.owner = owner

    @functools.cached_property
    def _bindings(self) -> list[Mapping[str, list[ast.AST]]]:
        return [bindings(function) for function in self.functions]

    def meaning(self, node: ast.expr) -> Meaning:
        """Return what an expression stands for."""
        match node:
            case ast.Lambda():
                return Local("a lambda")
            case ast.Name(id=name):
                return self._named(name)
            case ast.Attribute(value=value, attr=attr):
                return self._attribute(value, attr)
            case ast.Call(func=ast.Attribute(value=task, attr="using")):
                found = self.meaning(task)
                whole = isinstance(found, Known) and isinstance(found.value, Task)
                return found if whole else Unknown("what a call gives")
            case ast.Call():
                return Unknown("what a call gives")
            case _:
                return Unknown("an expression")

    def binding(self, name: str) -> list[ast.AST] | None:
        """Return what binds a name in the functions around; None: it is global."""
        for names, function in zip(reversed(self._bindings), reversed(self.functions), strict=True):
            if name in names:
                return None if _is_global(function, name) else names[name]
        return None

    def annotation(self, name: str) -> Any:
        """Return the annotation of the parameter that a name stands for; None: it is no such parameter."""
        match self.binding(name):
            case [ast.arg(annotation=ast.expr() as annotation)]:
                return self.evaluated(annotation)
        return None

    def evaluated(self, annotation: ast.expr) -> Any:
        """Return what an annotation says, without what `Annotated` and `| None` add; None: not certain."""
        match annotation:
            case ast.Constant(value=str(text)):
                try:
                    return self.evaluated(ast.parse(text, mode="eval").body)
                except SyntaxError:
                    return None
            case ast.BinOp(left=left, op=ast.BitOr(), right=ast.Constant(value=None)):
                return self.evaluated(left)
            case ast.Subscript(value=value, slice=inner):
                outer = self.meaning(value)
                first = inner.elts[0] if isinstance(inner, ast.Tuple) and inner.elts else inner
                if isinstance(outer, Known) and outer.value in (typing.Annotated, typing.Optional):
                    return self.evaluated(first)
                return bare(outer.value) if isinstance(outer, Known) else None
            case ast.Name() | ast.Attribute():
                found = self.meaning(annotation)
                return bare(found.value) if isinstance(found, Known) else None
        return None

    def _named(self, name: str) -> Meaning:
        bound = self.binding(name)
        if bound is None:
            if name in self.source.unsteady:
                return Unknown(f"`{name}` is global, and set while the program runs")
            if name in self.source.names:
                return Known(self.source.names[name])
            if hasattr(builtins, name):
                return Known(getattr(builtins, name))
            return Unknown(f"`{name}` is not defined in the module")
        match bound:
            case [ast.FunctionDef(decorator_list=[]) | ast.AsyncFunctionDef(decorator_list=[])]:
                return Local(f"`{name}` is defined inside a function")
            case [ast.Assign(value=ast.Lambda())]:
                return Local("a lambda")
            case [ast.Assign(targets=[ast.Name()], value=value)] if not _mentions(value, name):
                return self.meaning(value)
            case [ast.ImportFrom() | ast.Import() as statement]:
                return _imported(statement, name, self.source)
            case [ast.arg()]:
                return Unknown(f"`{name}` is a parameter")
        return Unknown(f"`{name}` is bound here, and may be several things")

    def _attribute(self, value: ast.expr, attr: str) -> Meaning:
        if isinstance(value, ast.Name) and self.owner is not None and self._is_self(value.id):
            found = inspect.getattr_static(self.owner, attr, None)
            if isinstance(found, FunctionType):
                return Local(f"`{value.id}.{attr}` is bound to an object")
            return Unknown(f"`{value.id}.{attr}` belongs to an object")
        whole = self.meaning(value)
        if not isinstance(whole, Known):
            return whole if isinstance(whole, Unknown) else Unknown("part of a function")
        owner = whole.value
        if isinstance(owner, ModuleType):
            names = vars(owner)
            return Known(names[attr]) if attr in names else Unknown(f"`{attr}` is not in its module")
        kind = owner if isinstance(owner, type) else type(owner)
        found = inspect.getattr_static(owner, attr, None)
        if found is not inspect.getattr_static(kind, attr, None):
            return Unknown(f"`{attr}` belongs to an object")
        if isinstance(found, classmethod):
            return Known(MethodType(found.__func__, kind))
        if isinstance(found, staticmethod):
            return Known(found.__func__)
        if owner is kind:
            return Known(found)
        if isinstance(found, FunctionType):
            return Known(getattr(owner, attr))
        return Unknown(f"`{attr}` belongs to an object")

    def _is_self(self, name: str) -> bool:
        arguments = self.functions[-1].args
        first = [*arguments.posonlyargs, *arguments.args][:1]
        return bool(first) and first[0].arg == name and len(self.binding(name) or ()) == 1


def bare(annotation: Any) -> Any:
    """Return an annotation without what `Annotated` and `None` add to it."""
    while True:
        if type(annotation).__name__ == "TypeAliasType":
            annotation = annotation.__value__
        elif typing.get_origin(annotation) is typing.Annotated:
            annotation = annotation.__origin__
        else:
            break
    some = [part for part in typing.get_args(annotation) if part is not type(None)]
    if len(some) == 1 and type(None) in typing.get_args(annotation):
        return bare(some[0])
    return annotation


def bindings(function: FunctionNode) -> dict[str, list[ast.AST]]:
    """Return what binds each local name of a function."""
    found: dict[str, list[ast.AST]] = {}

    def bind(name: str, node: ast.AST) -> None:
        found.setdefault(name, []).append(node)

    arguments = function.args
    for each in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
        bind(each.arg, each)
    for rest in (arguments.vararg, arguments.kwarg):
        if rest is not None:
            bind(rest.arg, function)  # not the parameter: it holds several
    statements: dict[int, ast.AST] = {}
    for node in _within(function):
        if isinstance(node, ast.Assign) and len(node.targets) == 1:
            statements[id(node.targets[0])] = node
        for name in _bound(node):
            bind(name, statements.get(id(node), node))
    return found


def _bound(node: ast.AST) -> Iterator[str]:
    """Yield the names that a node binds by itself."""
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
        case ast.Import(names=names) | ast.ImportFrom(names=names):
            yield from ((alias.asname or alias.name).partition(".")[0] for alias in names)
        case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
            yield name
        case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
            yield name


def _within(function: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes of a function's body, not those of functions and classes in it.

    Those of comprehensions count: that their names are others only makes the answer less certain.
    """
    waiting: list[ast.AST] = list(getattr(function, "body", ()))
    while waiting:
        node = waiting.pop(0)
        yield node
        if not isinstance(node, _NESTED):
            waiting[:0] = ast.iter_child_nodes(node)


def _is_global(function: ast.AST, name: str) -> bool:
    return any(isinstance(node, ast.Global) and name in node.names for node in _within(function))


def _mentions(value: ast.expr, name: str) -> bool:
    return any(isinstance(node, ast.Name) and node.id == name for node in ast.walk(value))


def _imported(statement: ast.Import | ast.ImportFrom, name: str, source: Source) -> Meaning:
    unknown = Unknown(f"`{name}` is imported here, from a module that has not been imported")
    for alias in statement.names:
        if (alias.asname or alias.name).partition(".")[0] != name:
            continue
        if isinstance(statement, ast.Import):
            module = sys.modules.get(alias.name if alias.asname else name)
            return unknown if module is None else Known(module)
        package = str(source.names.get("__package__") or "")
        parts = package.split(".") if statement.level else []
        parts = parts[: len(parts) - statement.level + 1] if statement.level else parts
        origin = ".".join([*parts, *([statement.module] if statement.module else [])])
        module = sys.modules.get(origin)
        if module is None:
            return unknown
        if alias.name in vars(module):
            return Known(vars(module)[alias.name])
        whole = sys.modules.get(f"{origin}.{alias.name}")
        return unknown if whole is None else Known(whole)
    return unknown
