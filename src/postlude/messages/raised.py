"""What an exception is, and what it says, without trusting its class: that is the application's."""

from types import TracebackType


def is_a(error: BaseException, kind: type[BaseException]) -> bool:
    """Whether an error is of a kind. Not `isinstance`, which asks the error's own `__class__`, too."""
    return issubclass(type(error), kind)


def frames_of(error: BaseException) -> TracebackType | None:
    """Return an error's traceback. Not asked of the error itself, whose class may have its own idea."""
    return BaseException.__dict__["__traceback__"].__get__(error)  # type: ignore[no-any-return]


def origins_of(error: BaseException) -> tuple[BaseException | None, BaseException | None]:
    """Return what an error was raised from, and what was being handled when it was raised."""
    own = BaseException.__dict__
    return own["__cause__"].__get__(error), own["__context__"].__get__(error)


def leaves_of(error: BaseException) -> list[BaseException]:
    """Return the exceptions in a group, as `asyncio.TaskGroup` raises one, and in the groups in it; of any
    other error that itself."""
    leaves: list[BaseException] = []
    left = [error]
    while left:
        one = left.pop()
        if is_a(one, BaseExceptionGroup):
            left += reversed(BaseExceptionGroup.__dict__["exceptions"].__get__(one))
        else:
            leaves.append(one)
    return leaves


def kind_of(error: BaseException) -> str:
    """Return the name of an error's class, whatever its metaclass says."""
    return writable(type.__dict__["__name__"].__get__(type(error)))


def text_of(error: BaseException) -> str:
    """Return what an error says, fit to be written; a task's own class may fail to say it."""
    try:
        return writable(str(error))
    except BaseException:
        return "(its text cannot be had)"


def writable(text: str) -> str:
    """Return a text as UTF-8 can write it: one lone surrogate would keep all ends from the journal."""
    return str.encode(text, "utf-8", "backslashreplace").decode("utf-8")
