"""The files of a project: rendered from templates, and written all at once."""

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from postlude.messages.quoting import quoted
from postlude.new.project import CannotMake, Project

_ALWAYS: Final = {
    "README.md": "README.md",
    "pyproject.toml": "pyproject.toml",
    "Makefile": "Makefile",
    ".gitignore": "gitignore",
    "{package}/__init__.py": "",
    "{package}/main.py": "main.py",
    "{package}/tasks.py": "tasks.py",
    "{package}/database.py": "database.py",
    "{package}/settings.py": "settings.py",
    "tests/test_{package}.py": "test_app.py",
    "Dockerfile": "Dockerfile",
    "compose.yaml": "compose.yaml",
    "deploy/{name}.service": "web.service",
    ".github/workflows/test.yml": "test.yml",
}
"""Each file's path and its template; without one it is empty."""

_WITH_WORKERS: Final = {"deploy/{name}-worker.service": "worker.service"}


def files(project: Project) -> Mapping[str, str]:
    """Return what a project consists of: each file's path in it, and its text.

    Raises:
        CannotMake: Jinja2 is not installed.
    """
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined
    except ImportError as error:
        raise CannotMake("`postlude new` needs an extra: pip install 'postlude[cli]'") from error
    environment = Environment(
        loader=PackageLoader("postlude.new", "templates"),
        undefined=StrictUndefined,
        autoescape=False,  # none of it is HTML
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    wanted = _ALWAYS | (_WITH_WORKERS if project.variant.postgres else {})
    return {
        path.format(name=project.name, package=project.package): (
            environment.get_template(f"{template}.jinja").render(project.values) if template else ""
        )
        for path, template in wanted.items()
    }


def write(project: Project, parent: Path) -> Path:
    """Make a project's folder; all of it is there, or nothing.

    Returns:
        The folder.

    Raises:
        CannotMake: there is one already, and it is not empty, or the folder cannot be written to.
    """
    texts = files(project)
    folder = parent / project.name
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise CannotMake(f"{quoted(str(folder))} is there already: choose another name, or move it away")
    try:
        made = Path(tempfile.mkdtemp(prefix=f".{project.name}-", dir=parent))
    except OSError as error:
        raise CannotMake(f"nothing can be made in {quoted(str(parent))}: {error.strerror}") from error
    try:
        for path, text in texts.items():
            (made / path).parent.mkdir(parents=True, exist_ok=True)
            (made / path).write_text(text, "utf-8")
        made.chmod(0o777 & ~_umask())
        made.rename(folder)
    except OSError as error:
        shutil.rmtree(made, ignore_errors=True)
        raise CannotMake(f"{quoted(str(folder))} cannot be made: {error.strerror}") from error
    return folder


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
