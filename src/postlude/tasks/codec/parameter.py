"""How the values of one parameter are written and restored: by its annotation, through pydantic.

Values of exact scalar types need no pydantic: JSON restores them as they are. `exact` tells which
types these are for the parameter, and is all that the hot path looks at.
"""

import types
import typing
from collections.abc import Iterable
from typing import Any, Final, NewType

from pydantic import ConfigDict, PydanticUserError, TypeAdapter, ValidationError
from pydantic_core import from_json, to_json

from postlude.tasks.codec.payload import Limits
from postlude.tasks.codec.precheck import SCALARS, Refused, explained, survey
from postlude.tasks.codec.roundtrip import check_same
from postlude.tasks.signature import Parameter

_NOTHING: Final[frozenset[type]] = frozenset()
_EXACT: Final[dict[Any, frozenset[type]]] = {
    str: frozenset({str}),
    int: frozenset({int}),
    bool: frozenset({bool}),
    # An int is fine where a float is asked for (PEP 484), and stays the int that it was.
    float: frozenset({float, int}),
    None: frozenset({type(None)}),
    type(None): frozenset({type(None)}),
}
_CONFIG: Final = ConfigDict(
    ser_json_bytes="base64",
    val_json_bytes="base64",
    ser_json_inf_nan="constants",
    arbitrary_types_allowed=True,
)


class Field:
    """The codec of one parameter. Frozen."""

    __slots__ = ("_adapter", "_problem", "annotation", "exact", "free", "name")

    def __init__(self, parameter: Parameter) -> None:
        annotation = _as_list(parameter.annotation)
        self.name = parameter.name
        self.annotation = annotation
        self.free = is_free(annotation)
        self._problem = parameter.problem
        self.exact = _NOTHING if parameter.problem else exact_types(annotation)
        self._adapter: TypeAdapter[Any] | None = None

    def encode(self, value: Any, limits: Limits) -> tuple[bytes, Any]:
        """Return the value as JSON, and what it will come back as.

        Raises:
            Refused: it has no durable form under this annotation.
        """
        if self._problem:
            raise Refused(self._problem)
        exact = type(value) in self.exact
        survey(value, limits, plain=self.free or exact)
        if exact or self.free:
            return _check_readable(write(value)), value
        try:
            adapter = self.adapter()
            text = self._dump(adapter, value)
            back = self._load(adapter, text)
            check_same(value, back)
        except Refused as refused:
            raise explained(value, refused) from None
        return text, back

    def decode(self, value: Any) -> Any:
        """Restore a value from what was parsed from its JSON.

        Raises:
            Refused: it does not validate against the annotation.
        """
        if self._problem:
            raise Refused(self._problem)
        if self.free or type(value) in self.exact:
            return value
        return self._load(self.adapter(), to_json(value, inf_nan_mode="constants"))

    def adapter(self) -> TypeAdapter[Any]:
        """Return pydantic's adapter for the annotation; made when it is first needed.

        Raises:
            Refused: pydantic cannot make one.
        """
        if self._adapter is None:
            try:
                self._adapter = _make_adapter(self.annotation)
            except Exception as error:
                raise Refused(f"has an annotation that pydantic cannot use ({_first_line(error)})") from None
        return self._adapter

    def _dump(self, adapter: TypeAdapter[Any], value: Any) -> bytes:
        try:
            return write(
                adapter.dump_python(value, mode="json", round_trip=True, by_alias=False, warnings="error")
            )
        except Refused:
            raise
        except Exception:
            # Not the error's text: it quotes the value.
            raise Refused(self._unfit(adapter, value)) from None

    def _unfit(self, adapter: TypeAdapter[Any], value: Any) -> str:
        """Return why a value cannot be written under the annotation."""
        kind, wanted = type(value), shown(self.annotation)
        what = f"is of type {kind.__qualname__}, which"
        try:
            adapter.validate_python(value, strict=True)
        except Exception:
            if kind.__qualname__ == wanted:
                return (
                    f"is of the {wanted} of {kind.__module__}, which is not that of its annotation; a module "
                    f"may have been reloaded, or imported under two names"
                )
            return (
                f"{what} does not fit its annotation {wanted}; pass a value of that type, or annotate the "
                f"parameter with what is passed"
            )
        return (
            f"{what} cannot be written as JSON; pass what it can be made from (an id, a path, an address), "
            f"and make it in the task"
        )

    def _load(self, adapter: TypeAdapter[Any], text: bytes) -> Any:
        try:
            return adapter.validate_json(text, strict=True, by_alias=False, by_name=True)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False, include_context=False)[0]
            why = "JSON cannot restore it" if first["type"] == "needs_python_object" else first["msg"]
            raise Refused(
                f"would not come back by its annotation {shown(self.annotation)}: {why}",
                "".join(f".{part}" if isinstance(part, str) else f"[{part}]" for part in first["loc"]),
            ) from None
        except Exception as error:
            raise Refused(
                f"would not come back by its annotation {shown(self.annotation)}: {type(error).__name__}"
            ) from None


def exact_types(annotation: Any) -> frozenset[type]:
    """Return the scalar types whose exact values this annotation takes and JSON restores unchanged.

    None of a union's may be left to pydantic, which could restore a `str` as a `UUID`: then only
    `None` is exact.
    """
    if is_free(annotation):
        return SCALARS
    if isinstance(annotation, NewType):
        return exact_types(annotation.__supertype__)
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        members = [exact_types(member) for member in typing.get_args(annotation)]
        if all(members):
            return frozenset(kind for member in members for kind in member)
        return _EXACT[None] if _EXACT[None] in members else _NOTHING
    try:
        return _EXACT.get(annotation, _NOTHING)
    except TypeError:
        return _NOTHING


def is_free(annotation: Any) -> bool:
    """Whether the annotation says nothing about the type."""
    return annotation is Any or annotation is object


def shown(annotation: Any) -> str:
    """Return an annotation as people write it."""
    return annotation.__qualname__ if type(annotation) is type else str(annotation)


def _as_list(annotation: Any) -> Any:
    """Return `list[X]` for `Iterable[X]`, which pydantic would restore as an iterator."""
    if typing.get_origin(annotation) is Iterable or annotation is Iterable:
        return types.GenericAlias(list, typing.get_args(annotation) or (Any,))
    return annotation


def _make_adapter(annotation: Any) -> TypeAdapter[Any]:
    try:
        return TypeAdapter(annotation, config=_CONFIG)
    except PydanticUserError as error:
        if error.code != "type-adapter-config-unused":
            raise
        error.__traceback__ = None  # it is part of a cycle, with the value that an adapter is wanted for
    return TypeAdapter(annotation)


def write(value: Any) -> bytes:
    """Return a value of JSON's own types as JSON.

    Raises:
        Refused: it cannot be written.
    """
    try:
        return to_json(value, inf_nan_mode="constants")
    except Exception as error:
        raise Refused(_unwritable(error)) from None


def _check_readable(text: bytes) -> bytes:
    try:
        from_json(text)
    except ValueError:
        raise Refused(
            "holds an int of more than 4,300 digits, which cannot be restored; pass it as str"
        ) from None
    return text


def _unwritable(error: Exception) -> str:
    if "surrogate" in str(error):
        return "holds a lone surrogate, which UTF-8 cannot write; decode it with errors='replace'"
    return f"cannot be written as JSON ({type(error).__name__})"


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0]
