"""What the codec makes of a call's arguments, and the limits that it keeps."""

from typing import Any, NamedTuple


class Payload(NamedTuple):
    """A call's arguments in the form that the journal keeps."""

    payload: bytes
    args: tuple[Any, ...] | None
    """The arguments as the function gets them, if all are immutable scalars; None: decode the payload."""
    kwargs: dict[str, Any] | None


class Limits(NamedTuple):
    """What a call's arguments, and what it returns, may not exceed."""

    payload: int
    """Bytes of the whole payload."""
    depth: int
    """How many containers may be inside one another."""
    result: int = 256 * 1024
    """Bytes of what it returns."""
