"""Applications as the tests of requests have them."""

from tests.request.conftest import install as install
from tests.request.conftest import log as log
from tests.request.conftest import make_desk as make_desk
from tests.request.conftest import never_installed as never_installed
from tests.request.conftest import newly_installed as newly_installed
from tests.request.conftest import port as port
