"""The payload of a call: `{"a": [...], "k": {...}}`, in JSON.

Arguments are bound to parameter names when a job is added, so a later release may reorder the
parameters. "a" holds only what has no name: positional-only parameters and `*args`. Defaults are
not stored: a job added without an argument gets the default of the release that runs it. Where
models have fields that nobody set, "u" says which (unset.py).
"""

import inspect
from collections.abc import Callable
from typing import Any, Final, cast

from pydantic_core import from_json, to_json

from postlude.compat import ParameterKind
from postlude.errors import InvalidArguments, NotDurable
from postlude.messages.quoting import cut, quoted
from postlude.tasks.codec.parameter import Field, write
from postlude.tasks.codec.payload import Limits, Payload
from postlude.tasks.codec.precheck import Refused
from postlude.tasks.codec.unset_fields import Note, restore_unset, unset_fields
from postlude.tasks.inject.dependencies import Refusal, find_refusal
from postlude.tasks.options import meant_by
from postlude.tasks.signature import read_parameters, read_signature, without_injected

_KEYWORDS: Final = frozenset({inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY})
_NAMED_ONLY: Final = b'{"a":[],"k":'
_NOTHING: Final = b'{"a":[],"k":{}}'
_LONGEST_INT: Final = 4300
"""Digits that the JSON parser takes; only a longer payload can hold a longer int."""
_NO_PAYLOAD: Final = "the stored arguments are not a payload of this version"


_LONGEST_TOLD: Final = 400
"""Characters of what Python says of arguments that fit no parameters: it repeats their names."""


class Codec:
    """The codec of one function, compiled from its signature.

    Raises:
        NotDurable: one of its dependencies asks for what only an HTTP request has.
        ValueError: the function has no signature.
    """

    def __init__(self, name: str, function: Callable[..., Any], limits: Limits) -> None:
        self.name = name
        self._limits = limits
        self._max = limits.payload
        self._signature = read_signature(function)
        every = read_parameters(function, self._signature)
        self.injected = frozenset(p.name for p in every if p.depends is not None)
        parameters = tuple(p for p in every if p.depends is None)
        self._problems = {p.name: p.problem for p in parameters if p.problem}
        refuse(name, find_refusal(every))
        if self.injected:
            self._signature = without_injected(self._signature, every)
            kinds = self._signature.parameters
            parameters = tuple(p._replace(kind=kinds[p.name].kind) for p in parameters)
        self.fields = {parameter.name: Field(parameter) for parameter in parameters}
        self._unnamed = [p.name for p in parameters if p.kind is inspect.Parameter.POSITIONAL_ONLY]
        self._positional = tuple(
            p.name for p in parameters if p.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
        )
        self._rest = _of_kind(parameters, inspect.Parameter.VAR_POSITIONAL)
        self._extra = _of_kind(parameters, inspect.Parameter.VAR_KEYWORD)
        self._simple = all(p.kind in _KEYWORDS for p in parameters)
        self._named = frozenset(p.name for p in parameters if p.kind in _KEYWORDS)
        self._required = frozenset(p.name for p in parameters if p.required)
        self._exact = {p.name: self.fields[p.name].exact for p in parameters if p.kind in _KEYWORDS}
        self._all = len(self._exact)
        self._careful = min(_LONGEST_INT, self._max)
        self._most = len(self._positional) if self._simple else -1
        self._bare = self._simple and not self._required and len(_NOTHING) <= self._max
        """Whether a call without arguments is one, and fits."""

    def encode(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Payload:
        """Return a call's arguments as the journal keeps them.

        Raises:
            TypeError: the function cannot be called with these arguments.
            NotDurable: one of them has no durable form; the message names it and the remedy.
        """
        if self._bare and not args and not kwargs:
            return tuple.__new__(Payload, (_NOTHING, (), {}))  # half of what calling the class takes
        encoded = self._encode_scalars(args, kwargs)
        return self._encode_any(args, kwargs) if encoded is None else encoded

    def _encode_scalars(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Payload | None:
        """Encode named arguments of exact scalar types; None if there are others, or anything is wrong.

        Nearly every job takes this path, so each of its steps counts.
        """
        positional, exact = self._positional, self._exact
        if len(args) > self._most:
            return None
        named = dict(zip(positional, args, strict=False), **kwargs)
        if len(named) != len(args) + len(kwargs):
            return None
        if len(named) != self._all and not self._required <= named.keys():
            return None
        characters = 0
        try:
            for name, value in named.items():
                kind = type(value)
                if kind not in exact[name]:
                    return None
                if kind is str:
                    characters += len(value)
            if characters > self._max:
                return None
            payload = _NAMED_ONLY + to_json(named, inf_nan_mode="constants") + b"}"
        except Exception:  # an unknown name, a lone surrogate: the other path says what is wrong
            return None
        if len(payload) > self._careful and not _holds_long_payload(payload, self._max):
            return None
        return tuple.__new__(Payload, (payload, (), named))

    def default_of(self, name: str) -> Any:
        """Return what the journal would keep of a parameter's default; the default, if it cannot be kept."""
        default = self._signature.parameters[name].default
        try:
            return from_json(self.fields[name].encode(default, self._limits)[0])
        except Refused:
            return default

    def decode(self, payload: bytes) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the arguments that a payload stands for.

        Raises:
            InvalidArguments: it is no payload, or does not fit the function's parameters.
        """
        if self._bare and payload == _NOTHING:
            return (), {}
        document = _parse(payload)
        named, exact = document["k"], self._exact
        if document["a"] or not self._simple:
            return self._decode_any(document)
        if len(named) != self._all and not self._required <= named.keys():
            return self._decode_any(document)
        try:
            for name, value in named.items():
                if type(value) not in exact[name]:
                    return self._decode_any(document)
        except KeyError:
            return self._decode_any(document)
        return (), named

    def _encode_any(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Payload:
        unnamed, named = self.bind(args, kwargs)
        notes: list[Note] = []
        items = [
            self._encode_one(field, label, value, ["a", place], notes)
            for place, (field, label, value) in enumerate(unnamed)
        ]
        pairs = [
            self._encode_one(field, label, value, ["k", label], notes, key=label)
            for field, label, value in named
        ]
        payload = b'{"a":[%b],"k":{%b}%b}' % (b",".join(items), b",".join(pairs), _unset_part(notes))
        if len(payload) > self._max:
            raise self._too_large(len(payload))
        return Payload(payload, None, None)

    def _encode_one(
        self,
        field: Field,
        label: str,
        value: Any,
        way: list[str | int],
        notes: list[Note],
        *,
        key: str | None = None,
    ) -> bytes:
        try:
            text, back = field.encode(value, self._limits)
            if back is not value:
                notes += unset_fields(value, back, way)
            return text if key is None else write(key) + b":" + text
        except Refused as refused:
            place = label[:80] + refused.place
            raise NotDurable(f"{self.name}: argument {place!r} {refused.reason}") from None

    def bind(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[list[tuple[Field, str, Any]], list[tuple[Field, str, Any]]]:
        """Return the unnamed and the named arguments, each with its field and its label.

        Raises:
            TypeError: the function cannot be called with these arguments.
        """
        if not self.injected.isdisjoint(kwargs):
            raise self._is_injected(min(self.injected & kwargs.keys()))
        try:
            bound = self._signature.bind(*args, **kwargs).arguments
        except TypeError as error:
            if self.injected and len(args) > len(self._unnamed) + len(self._positional):
                raise self._is_injected(", ".join(sorted(self.injected))) from None
            why = [f"; {n!r} {problem}" for n, problem in self._problems.items() if repr(n) in str(error)]
            told = cut(str(error), _LONGEST_TOLD)
            raise TypeError(f"{self.name}: {told}{''.join(why)}{meant_by(kwargs, self._named)}") from None
        unnamed = [(self.fields[name], name, bound[name]) for name in self._unnamed if name in bound]
        if self._rest is not None:
            rest = bound.get(self._rest, ())
            field = self.fields[self._rest]
            unnamed += [(field, f"{self._rest}[{i}]", value) for i, value in enumerate(rest)]
        named = [(self.fields[n], n, value) for n, value in bound.items() if n in self._named]
        if self._extra is not None:
            extra = self.fields[self._extra]
            named += [(extra, name, value) for name, value in bound.get(self._extra, {}).items()]
        return unnamed, named

    def _decode_any(self, document: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        args = self._decode_unnamed(document["a"])
        kwargs = self._decode_named(document["k"])
        restore_unset({"a": args, "k": kwargs}, document.get("u", []))
        if len(args) > len(self._unnamed):
            # What follows `*args` must be passed by position, and so must all that stands before it.
            middle = [kwargs.pop(name) for name in self._positional if name in kwargs]
            args[len(self._unnamed) : len(self._unnamed)] = middle
        try:
            self._signature.bind(*args, **kwargs)
        except TypeError as error:
            raise InvalidArguments(f"{self.name}: {cut(str(error), _LONGEST_TOLD)}") from None
        return tuple(args), kwargs

    def _decode_unnamed(self, values: list[Any]) -> list[Any]:
        own = len(self._unnamed)
        if len(values) > own and self._rest is None:
            raise InvalidArguments(f"{self.name}: takes {own} unnamed arguments, not {len(values)}")
        owners = [*self._unnamed, *[self._rest or ""] * (len(values) - own)]
        return [
            self._decode_one(name, f"{name}[{place - own}]" if place >= own else name, value)
            for place, (name, value) in enumerate(zip(owners, values, strict=False))
        ]

    def _decode_named(self, values: dict[str, Any]) -> dict[str, Any]:
        kwargs: dict[str, Any] = {}
        for name, value in values.items():
            field = name if name in self._named else self._extra
            if field is None or name in self.injected:
                raise InvalidArguments(f"{self.name}: it has no parameter {quoted(name)} any more")
            kwargs[name] = self._decode_one(field, name, value)
        return kwargs

    def _decode_one(self, field: str, label: str, value: Any) -> Any:
        try:
            return self.fields[field].decode(value)
        except Refused as refused:
            place = label[:80] + refused.place
            raise InvalidArguments(f"{self.name}: argument {place!r} {refused.reason}") from None

    def _is_injected(self, names: str) -> NotDurable:
        return NotDurable(
            f"{self.name}: {names!r} is filled by Depends when it runs; leave it out, "
            f"and pass what follows it by name"
        )

    def _too_large(self, size: int) -> NotDurable:
        return NotDurable(
            f"{self.name}: its arguments need {size:,} bytes and the limit is {self._max:,}; "
            f"store the data and pass its key, or raise max_payload"
        )


def _holds_long_payload(payload: bytes, most: int) -> bool:
    """Whether a long payload is within the limit and can be read: an int may be too long for the parser."""
    if len(payload) > most:
        return False
    try:
        from_json(payload)
    except ValueError:
        return False
    return True


def refuse(task: str, refusal: Refusal | None) -> None:
    """Raise if a task's dependencies cannot be resolved."""
    if refusal is not None:
        raise NotDurable(f"{task}: {refusal}")


def _of_kind(parameters: tuple[Any, ...], kind: ParameterKind) -> str | None:
    return next((p.name for p in parameters if p.kind is kind), None)


def _unset_part(notes: list[Note]) -> bytes:
    return b',"u":' + to_json(notes) if notes else b""


def _parse(payload: bytes) -> dict[str, Any]:
    try:
        document = from_json(payload)
        if type(document["a"]) is list and type(document["k"]) is dict:
            return cast("dict[str, Any]", document)
    except Exception as error:
        raise InvalidArguments(f"{_NO_PAYLOAD} ({type(error).__name__})") from None
    raise InvalidArguments(_NO_PAYLOAD)
