"""What the tests of duties need of those of applications."""

from tests.app.conftest import log as log
