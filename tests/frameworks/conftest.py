"""Journals for the tests of how an application is joined."""

from tests.app.conftest import folder as folder
from tests.app.conftest import location as location
from tests.app.conftest import log as log
from tests.request.conftest import never_installed as never_installed
