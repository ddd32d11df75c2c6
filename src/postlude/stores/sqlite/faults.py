"""What errors of SQLite speak of: the connection, the values that were given, what stands in the journal."""

from typing import Final

import apsw

from postlude.errors import PostludeError
from postlude.stores.grouped.backend import Broken, Busy

BROKEN: Final = (
    apsw.IOError,
    apsw.CantOpenError,
    apsw.CorruptError,
    apsw.NotADBError,
    apsw.ReadOnlyError,
    apsw.ProtocolError,
    apsw.NoMemError,
)
"""What is said of the connection or the disk: nothing more is asked of it."""

MALFORMED: Final = (
    apsw.ConstraintError,
    apsw.MismatchError,
    apsw.TooBigError,
    OverflowError,
    TypeError,
    UnicodeError,
)
"""What is said of the values that were given, and not of the journal."""

NOT_OF_ROWS: Final = (
    PostludeError, Busy, Broken, apsw.FullError, apsw.BusyError, apsw.LockedError, UnicodeEncodeError,
)  # fmt: skip
"""What is not said because of what stands in the journal."""
