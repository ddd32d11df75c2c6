"""What every test may use."""

import pytest


@pytest.fixture
def anyio_backend() -> str:
    """Async tests are marked `pytest.mark.anyio` and run on asyncio, as the applications do."""
    return "asyncio"
