"""Templates: Jinja2, with everything escaped."""

import json
from functools import cache
from typing import Any

from postlude.dashboard.words import counted, number


@cache
def prepare() -> None:
    """Compile all templates. Blocks for a tenth of a second, once: not on a loop that others wait for."""
    environment = _environment()
    for name in environment.list_templates():
        environment.get_template(name)


def check() -> None:
    """Make sure that there is what writes templates.

    Raises:
        ImportError: the extra is not installed.
    """
    _environment()


@cache
def _environment() -> Any:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("postlude.dashboard", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters.update(
        counted=counted, number=number, thousands=lambda value: f"{value:,}", pretty=pretty
    )
    return environment


def render(template: str, **values: Any) -> str:
    """Return a template with values in it."""
    text: str = _environment().get_template(template).render(values)
    return text


def pretty(value: Any) -> str:
    """Write JSON for people."""
    return json.dumps(value, ensure_ascii=False, indent=2)
