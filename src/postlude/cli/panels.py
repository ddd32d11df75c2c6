"""The panels of the help, in which commands stand together; in the order in which they are registered."""

from typing import Final

LOOK: Final = "Look"
ACT: Final = "Act"
CHECK: Final = "Check"
SET_UP: Final = "Set up"
