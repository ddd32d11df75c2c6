"""Whose a job is: a text that the application chooses, for instance a user's id."""

from typing import Any, Final

LONGEST: Final = 500
"""Characters that an owner may have."""


def problem_of(owner: Any) -> str | None:
    """Say what is to be given instead of a value that cannot be an owner; None: it can, or it is None."""
    if owner is None:
        return None
    if not isinstance(owner, str):
        return "give a text (str(user.id), say), or None for nobody"
    if not 0 < len(owner) <= LONGEST:
        return f"give a text of 1 to {LONGEST} characters, or None for nobody"
    try:
        owner.encode()
    except UnicodeEncodeError:
        return "holds a lone surrogate, which UTF-8 cannot write"
    return None
