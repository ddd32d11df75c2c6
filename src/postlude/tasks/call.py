"""A call that has not been made: what `add_tasks` takes many of."""

from typing import Any, NamedTuple


class Call(NamedTuple):
    """A task with the arguments of one call; made by `Task.call`, so that type checkers see them."""

    task: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
