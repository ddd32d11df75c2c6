"""Journals for the tests of what is told over HTTP."""

from tests.app.conftest import folder as folder
from tests.app.conftest import location as location
