"""Journals for the tests of what runs a queue."""

from tests.app.conftest import folder as folder
from tests.app.conftest import location as location
from tests.app.conftest import log as log
