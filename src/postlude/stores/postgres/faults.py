"""What errors of the server and of its driver mean."""

from typing import Final

import psycopg
from psycopg import errors

CONFLICTS: Final = (
    errors.DeadlockDetected,
    errors.SerializationFailure,
    errors.LockNotAvailable,
    errors.QueryCanceled,
)
"""Others' transactions were in the way: the group is tried again."""

MALFORMED: Final = (
    psycopg.DataError,
    psycopg.IntegrityError,
    OverflowError,
    TypeError,
    ValueError,
)
"""What is said of the values that were given, and not of the journal."""
