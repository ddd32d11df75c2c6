"""A function's parameters as the codec sees them.

The signature is read once per function, and late: annotations may name classes that are defined
further down in the module.
"""

import functools
import inspect
import types
import typing
from collections.abc import Callable
from typing import Any, Final, NamedTuple

_MISSING: Final = inspect.Parameter.empty
_ANYTHING: Final = frozenset({inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD})
_INJECTED: Final = frozenset({"Depends", "Security"})


class Parameter(NamedTuple):
    """One parameter, with its annotation resolved."""

    name: str
    kind: inspect._ParameterKind
    annotation: Any
    """`Any` if it has none."""
    required: bool
    problem: str | None
    """Why no argument can be kept for it, if its annotation cannot be resolved."""


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
    hints, problems = _hints(function, signature)
    return tuple(
        Parameter(
            name=name,
            kind=parameter.kind,
            annotation=_annotation(hints.get(name, Any), parameter.default),
            required=parameter.default is _MISSING and parameter.kind not in _ANYTHING,
            problem=problems.get(name),
        )
        for name, parameter in signature.parameters.items()
    )


def injected_parameter(signature: inspect.Signature, parameters: tuple[Parameter, ...] = ()) -> str | None:
    """Return the name of the first parameter that FastAPI's `Depends` would fill, if there is one."""
    for name, parameter in signature.parameters.items():
        if _is_injected(parameter.default) or _has_injection(parameter.annotation):
            return name
    return next((p.name for p in parameters if _has_injection(p.annotation)), None)


def _has_injection(annotation: Any) -> bool:
    return any(_is_injected(part) for part in getattr(annotation, "__metadata__", ()))


def _is_injected(value: Any) -> bool:
    # By name: FastAPI is optional, and this package must not import it.
    kind = type(value)
    return kind.__module__ == "fastapi.params" and kind.__name__ in _INJECTED


def _annotation(hint: Any, default: Any) -> Any:
    if default is None and hint is not Any:
        return hint | None if isinstance(hint, (type, types.UnionType)) else typing.Optional[hint]  # noqa: UP045
    return hint


def _hints(
    function: Callable[..., Any], signature: inspect.Signature
) -> tuple[dict[str, Any], dict[str, str]]:
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
    if not hasattr(inner, "__globals__"):
        inner = getattr(type(inner).__call__, "__func__", type(inner).__call__)
    type_parameters = {p.__name__: p for p in getattr(inner, "__type_params__", ())}
    return {**getattr(inner, "__globals__", {}), **type_parameters}
