"""Whose the files of a journal are: whoever can write them has this process call its own functions.

In a folder in which anybody may make files (`/tmp`), somebody else may have made the journal, its
folder or a link to another place before. Files of this user and of root are trusted, and of the
folder's owner, who could put others in their place anyway.
"""

import os
import pwd
import stat
from collections import deque
from pathlib import Path
from typing import Final

from postlude.errors import JournalRefused

_MOST_LINKS: Final = 40
"""As many the kernel follows."""


def check_owner(path: Path, found: os.stat_result, folder: os.stat_result) -> None:
    """Refuse a file that is another user's.

    Args:
        path: of the file.
        found: its state.
        folder: that of the folder in which it lies.

    Raises:
        JournalRefused: it is.
    """
    me = os.geteuid()
    if found.st_uid in (me, 0, folder.st_uid):
        return
    raise JournalRefused(
        f"{path} belongs to {_name(found.st_uid)}, who may want {_name(me)} to run jobs from it; remove it, "
        f"or make it {_name(me)}'s (chown), or put the journal in a folder of the application's own"
    )


def check_way(folder: Path) -> None:
    """Refuse a way to a folder on which another user could have put a link, or a folder.

    Raises:
        JournalRefused: there is one.
    """
    at, links = Path("/"), 0
    around = at.lstat()
    parts = deque(folder.absolute().parts[1:])
    while parts:
        part = parts.popleft()
        if part == "..":
            at = at.parent
            around = at.lstat()
            continue
        try:
            found = (at / part).lstat()
        except OSError:
            return  # it is said elsewhere that there is no such folder
        if around.st_mode & stat.S_IWOTH:
            check_owner(at / part, found, around)
        if not stat.S_ISLNK(found.st_mode):
            at, around = at / part, found
            continue
        links += 1
        if links > _MOST_LINKS:
            return
        target = Path(os.readlink(at / part))
        if target.is_absolute():
            at = Path("/")
            around = at.lstat()
        parts.extendleft(part for part in reversed(target.parts) if part != "/")


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"
