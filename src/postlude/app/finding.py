"""An application, and its Postlude: found by the text that a person has typed."""

import importlib
import re
import sys
import tomllib
import traceback
from pathlib import Path
from typing import Any, Final

from starlette.applications import Starlette

from postlude.app.instances import EVERY_POSTLUDE
from postlude.app.postlude import Postlude
from postlude.errors import PostludeError
from postlude.messages.quoting import quoted

_WRITTEN: Final = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")


class NoApplication(PostludeError):
    """There is no Postlude where one was looked for."""


def checked_application(text: str) -> str:
    """Return where a Postlude is, if that can be meant.

    Raises:
        NoApplication: it is no module and name.
    """
    if not _WRITTEN.fullmatch(text):
        raise NoApplication(
            f"{quoted(text)} does not say where the application is: write module:name, such as main:postlude"
        )
    return text


def entrypoint(directory: Path) -> str | None:
    """Return where the application is that `fastapi dev` starts in a directory; None: nothing says so.

    That is `entrypoint` of `[tool.fastapi]` in its pyproject.toml.

    Raises:
        NoApplication: the file cannot be read, or it says nothing that can be meant.
    """
    file = directory / "pyproject.toml"
    try:
        told = tomllib.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise NoApplication(f"{file} cannot be read: {error}") from error
    table = told.get("tool", {})
    fastapi = table.get("fastapi", {}) if isinstance(table, dict) else {}
    named = fastapi.get("entrypoint") if isinstance(fastapi, dict) else None
    return None if named is None else checked_application(str(named))


def find(text: str, directory: str) -> Postlude:
    """Import an application, and return its Postlude: what `text` names, or the one of the app that it names.

    Args:
        text: `module:name`.
        directory: where modules are looked for first.

    Raises:
        NoApplication: there is none.
        Exception: whatever the import raises.
    """
    return _postlude_of(imported(text, directory), text)


def imported(text: str, directory: str) -> Any:
    """Import what a text names.

    Args:
        text: `module:name`.
        directory: where modules are looked for first.

    Raises:
        NoApplication: there is no such module, or nothing of that name in it.
        Exception: whatever the import raises.
    """
    module, _, path = checked_application(text).partition(":")
    if directory not in sys.path:
        sys.path.insert(0, directory)
    try:
        found: Any = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise  # the application's own import fails
        raise NoApplication(
            f"there is no module {quoted(error.name)} in {directory}: write module:name, such as "
            f"main:postlude, and say with --app-dir where it is"
        ) from error
    for name in path.split("."):
        try:
            found = getattr(found, name)
        except AttributeError as error:
            raise NoApplication(f"{module} has no {quoted(path)}: {error}") from error
    return found


def trace_of(error: BaseException) -> str:
    """Return the traceback of an import that has failed, from the application's own first line on."""
    trace = error.__traceback__
    while trace is not None and _is_on_the_way(trace.tb_frame.f_globals):
        trace = trace.tb_next
    return "".join(traceback.format_exception(type(error), error, trace))


def why_not(application: str, error: BaseException) -> str:
    """Return in a sentence that an application cannot be imported, and what helps; the trace says why."""
    if isinstance(error, ModuleNotFoundError) and error.name is not None:
        missing = quoted(error.name)
        return f"{application} cannot be imported; install {missing} for {sys.executable}, or give --app-dir"
    return f"{application} cannot be imported; its own lines stand first in the traceback above"


def _is_on_the_way(space: dict[str, Any]) -> bool:
    """Whether a frame is of Postlude, or of Python's import, and not of the application."""
    return str(space.get("__name__")).partition(".")[0] in ("postlude", "importlib")


def _postlude_of(found: Any, text: str) -> Postlude:
    if isinstance(found, Starlette):
        known: list[Postlude] = []
        with EVERY_POSTLUDE.watched(known.append):
            joined = [postlude for postlude in known if postlude.application is found]
        if not joined:
            raise NoApplication(
                f"{text} is an application without a Postlude: Postlude(app) gives it one, and "
                "postlude.install(app) one that is made already"
            )
        return joined[0]
    if not isinstance(found, Postlude):
        raise NoApplication(f"{text} is {quoted(found)}: name a Postlude, or an application that has one")
    return found
