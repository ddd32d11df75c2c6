"""A function's parameters as the codec sees them.

The signature is read once per function, and late: annotations may name classes that are defined
further down in the module.
"""

import functools
import inspect
import sys
import types
import typing
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from postlude.compat import ParameterKind

_MISSING: Final = inspect.Parameter.empty
_ANYTHING: Final = frozenset({inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD})


class Parameter(NamedTuple):
    """One parameter, with its annotation resolved."""

    name: str
    kind: ParameterKind
    annotation: Any
    """`Any` if it has none."""
    required: bool
    problem: str | None
    """Why no argument can be kept for it, if its annotation cannot be resolved."""
    default: Any = None
    """None also if it has none: `required` tells."""
    depends: Any = None
    """FastAPI's `Depends`, if that fills it; it gets no argument then."""


def read_signature(function: Callable[..., Any]) -> inspect.Signature:
    """Return the signature by which the function is called.

    A wrapper that takes anything (`*args, **kwargs`) is described by what it wraps; any other
    wrapper by itself, because it may add or take away arguments.

    Raises:
        ValueError: the function has none (some built-in functions).
    """
    own = inspect.signature(function, follow_wrapped=False)
    if {parameter.kind for parameter in own.parameters.values()} == _ANYTHING:
        return inspect.signature(function)
    return own


def read_parameters(function: Callable[..., Any], signature: inspect.Signature) -> tuple[Parameter, ...]:
    """Return the function's parameters, in order."""
    hints, problems = resolve(function, signature)
    parameters: list[Parameter] = []
    for name, parameter in signature.parameters.items():
        hint = hints.get(name, Any)
        depends = depends_of(parameter.default, hints.get(name, parameter.annotation))
        parameters.append(
            Parameter(
                name=name,
                kind=parameter.kind,
                annotation=_annotation(hint, parameter.default) if depends is None else bare(hint),
                required=parameter.default is _MISSING and parameter.kind not in _ANYTHING,
                problem=problems.get(name),
                default=None if parameter.default is _MISSING else parameter.default,
                depends=depends,
            )
        )
    return tuple(parameters)


def without_injected(signature: inspect.Signature, parameters: tuple[Parameter, ...]) -> inspect.Signature:
    """Return the signature of what is stored: without the parameters that `Depends` fills.

    One that has a default keeps its place for those who call: what follows it is passed by name.
    """
    kept: list[inspect.Parameter] = []
    by_name = False
    for parameter in parameters:
        own = signature.parameters[parameter.name]
        if parameter.depends is not None:
            by_name = by_name or not parameter.required
        elif by_name and own.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD:
            kept.append(own.replace(kind=inspect.Parameter.KEYWORD_ONLY))
        else:
            kept.append(own)
    return inspect.Signature(kept)


def injected_parameters(function: Callable[..., Any]) -> tuple[Parameter, ...]:
    """Return the parameters that `Depends` fills, as far as annotations can be resolved yet."""
    if "fastapi.params" not in sys.modules:
        return ()
    try:
        parameters = read_parameters(function, read_signature(function))
    except (TypeError, ValueError):
        return ()
    return tuple(p for p in parameters if p.depends is not None)


def depends_of(default: Any, annotation: Any) -> Any:
    """Return the `Depends` of a parameter, from its default or its annotation; None if it has none."""
    if is_a(type(default), "fastapi.params", "Depends"):
        return default
    while type(annotation).__name__ == "TypeAliasType":  # `type Session = Annotated[...]`
        annotation = annotation.__value__
    parts = reversed(getattr(annotation, "__metadata__", ()))
    return next((part for part in parts if is_a(type(part), "fastapi.params", "Depends")), None)


def bare(annotation: Any) -> Any:
    """Return an annotation without what `Annotated` adds to it."""
    while type(annotation).__name__ == "TypeAliasType":
        annotation = annotation.__value__
    return annotation.__origin__ if typing.get_origin(annotation) is typing.Annotated else annotation


def is_a(kind: type, module: str, name: str) -> bool:
    """Whether a class is one of FastAPI's, or is derived from it.

    By name: FastAPI is optional, and this package must not import it.
    """
    return any(each.__name__ == name and each.__module__ == module for each in kind.__mro__)


def _annotation(hint: Any, default: Any) -> Any:
    if default is None and hint is not Any:
        return hint | None if isinstance(hint, (type, types.UnionType)) else typing.Optional[hint]  # noqa: UP045
    return hint


def resolve(
    function: Callable[..., Any], signature: inspect.Signature
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the annotations of parameters, and why some of them cannot be resolved, by name."""
    names = _namespace(function)
    written = {
        name: parameter.annotation
        for name, parameter in signature.parameters.items()
        if parameter.annotation is not _MISSING
    }
    hints: dict[str, Any] = {}
    problems: dict[str, str] = {}
    for name, annotation in written.items():
        holder = types.SimpleNamespace(__annotations__={name: annotation})
        try:
            hints.update(typing.get_type_hints(holder, names, include_extras=True))
        except Exception as error:
            problems[name] = (
                f"has an annotation that cannot be resolved ({type(error).__name__}: {error}); "
                f"import the name outside `if TYPE_CHECKING:`, or define it at module level"
            )
    return hints, problems


def _namespace(function: Callable[..., Any]) -> dict[str, Any]:
    """Return the global names of the function that was written, below its wrappers."""
    inner: Any = inspect.unwrap(function)
    while isinstance(inner, functools.partial):
        inner = inspect.unwrap(inner.func)
    inner = getattr(inner, "__func__", inner)
    if isinstance(inner, type):
        written = getattr(getattr(inner, "__init__", None), "__globals__", None)
        return written or dict(vars(sys.modules.get(inner.__module__, types)))
    if not hasattr(inner, "__globals__"):
        inner = getattr(type(inner).__call__, "__func__", type(inner).__call__)
    type_parameters = {p.__name__: p for p in getattr(inner, "__type_params__", ())}
    return {**getattr(inner, "__globals__", {}), **type_parameters}


def refuse_unfilled(
    name: str,
    function: Callable[..., Any],
    injected: frozenset[str],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> None:
    """Make sure that a direct call passes what `Depends` would fill.

    Raises:
        TypeError: it does not, so the function would get the `Depends` object itself; or what nothing
            fills is missing, which is said first.
    """
    signature = read_signature(function)
    passed = signature.bind_partial(*args, **kwargs).arguments
    missing = sorted(injected - passed.keys())
    for one in signature.parameters.values() if missing else ():
        if one.default is _MISSING and one.kind not in _ANYTHING and one.name not in {*passed, *injected}:
            raise TypeError(f"{name}: missing a required argument: {one.name!r}")
    if missing:
        raise TypeError(
            f"{name}: Depends fills {', '.join(map(repr, missing))} in jobs only; a direct call must pass it"
        )
