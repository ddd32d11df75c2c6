"""Masking: what a job was called with, returned and said, without the secrets in it."""

import re
from collections.abc import Collection, Iterator, Mapping
from inspect import signature
from typing import Any, Final, get_args, get_type_hints

from pydantic import BaseModel, Secret, SecretBytes, SecretStr

from postlude.errors import PostludeError
from postlude.jobs.inspector import Arguments
from postlude.tasks.registry import Registry

MASK: Final = "•••"

SECRET_NAMES: Final = frozenset({
    "password", "passwd", "pwd", "passphrase", "secret", "token", "apikey", "authorization", "auth", "cookie",
    "session", "sessionid", "csrf", "privatekey", "accesskey", "secretkey", "clientsecret", "accesstoken",
    "refreshtoken", "idtoken", "bearer", "credential", "credentials", "signature", "otp", "pin", "cvv", "cvc",
    "cardnumber", "iban", "ssn",
})  # fmt: skip
"""Names of arguments and fields, in small letters, without `_` and `-`: nobody needs to see their values."""

_ENDS: Final = ("password", "secret", "token", "apikey", "privatekey", "credentials")
_SHORTEST: Final = 4
"""Characters of a secret that is looked for in texts: shorter ones would stand in too many words."""

_URL: Final = re.compile(r"(?<=://)([^\s/:@]*):([^\s/@]+)@")


class Masker:
    """Takes the secrets out of what is shown of one job.

    Args:
        names: names of arguments and fields that its task says are secret, beside `SECRET_NAMES`.
    """

    def __init__(self, names: Collection[str] = ()) -> None:
        self._names = frozenset(names)
        self._found: set[str] = set()

    def fresh(self) -> "Masker":
        """Return one for another job of the same task: what is secret of this one it does not know."""
        return Masker(self._names)

    def value(self, value: Any, name: str = "") -> Any:
        """Return JSON with its secrets masked, and remember them."""
        if name and self.hides(name):
            self._remember(value)
            return None if value is None else MASK
        if isinstance(value, Mapping):
            return {str(key): self.value(each, str(key)) for key, each in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(each) for each in value]
        return self.text(value) if isinstance(value, str) else value

    def hides(self, name: str) -> bool:
        """Whether what has this name is secret."""
        plain = name.lower().replace("_", "").replace("-", "")
        return name in self._names or plain in SECRET_NAMES or plain.endswith(_ENDS)

    def text(self, text: str) -> str:
        """Return a text without the secrets that were seen, and without passwords of addresses."""
        for secret in sorted(self._found, key=len, reverse=True):
            text = text.replace(secret, MASK)
        return _URL.sub(rf"\1:{MASK}@", text) if "://" in text else text

    def _remember(self, value: Any) -> None:
        match value:
            case str() if len(value) >= _SHORTEST:
                self._found.add(value)
            case dict():
                for each in value.values():
                    self._remember(each)
            case list():
                for each in value:
                    self._remember(each)
            case _:
                pass


class Called:
    """What a job was called with, by the names of its parameters as far as they are known.

    Args:
        arguments: as they are kept; None: they cannot be read.
        parameters: the names of the task's parameters, in their order.
        masker: takes secrets out.
    """

    def __init__(self, arguments: Arguments | None, parameters: Collection[str], masker: Masker) -> None:
        self.readable = arguments is not None
        self.named: list[tuple[str, Any]] = []
        """Names, empty where none is known, and values."""
        if arguments is not None:
            names = [*parameters, *[""] * len(arguments.positional)]
            given = list(zip(names, arguments.positional, strict=False)) + list(arguments.named.items())
            masked = [(name, masker.value(value, name)) for name, value in given]
            # Again: a secret of a later argument may stand in an earlier one.
            self.named = [(name, masker.value(value, name)) for name, value in masked]


def masker_of(registry: Registry, task: str) -> tuple[Masker, list[str]]:
    """Return what takes the secrets out of a task's jobs, and the names of its positional parameters."""
    try:
        known = registry.resolve(task)
        function: Any = known.function
        parameters = signature(function).parameters
    except (PostludeError, TypeError, ValueError):
        return Masker(), []
    try:
        hints = get_type_hints(function)
    except Exception:  # an annotation that cannot be evaluated says nothing
        hints = {}
    secret = {field for name, hint in hints.items() for field in _secrets_in(hint, name, frozenset())}
    names = [
        name
        for name, each in parameters.items()
        if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD) and name not in known.injected
    ]
    return Masker(secret), names


def _secrets_in(hint: Any, name: str, seen: frozenset[Any]) -> Iterator[str]:
    """Give the names of what is annotated as secret, also of the fields of models."""
    if isinstance(hint, type) and issubclass(hint, SecretStr | SecretBytes | Secret):
        yield name
    elif isinstance(hint, type) and issubclass(hint, BaseModel) and hint not in seen:
        for field, about in hint.model_fields.items():
            yield from _secrets_in(about.annotation, field, seen | {hint})
    for part in get_args(hint):
        yield from _secrets_in(part, name, seen)
