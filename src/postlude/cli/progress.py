"""How far a command is that takes long: a bar on standard error, where that is a terminal."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


@contextmanager
def progress(what: str, total: int, *, worth_it: bool = True) -> Iterator[Callable[[int], None]]:
    """Show how far it is, from what is told as done since it was told last.

    Args:
        what: is counted, in words.
        total: how much there is of it.
        worth_it: it takes long enough for a bar.
    """
    console = Console(stderr=True, markup=False, highlight=False, emoji=False)
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console, disable=not (worth_it and console.is_terminal)) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.advance(task, done)
