"""The pytest plug-in: under pytest the journal is in memory, so that tests never write a developer's.

It comes with the package and needs no configuration. A test that wants another journal sets the
variable `POSTLUDE_STORE` itself, before the application is imported or in the process it starts,
or gives `Postlude(store=...)` a store instead of a text.
"""

import os

from postlude.stores.choose import VARIABLE


def pytest_configure() -> None:
    """Choose the journal in memory, unless the environment has chosen."""
    os.environ.setdefault(VARIABLE, "memory")
