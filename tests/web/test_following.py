"""Many clients follow jobs by events, over several workers of a real server, which then is told to stop."""

import sys
from pathlib import Path

import pytest

from bench.following import SERVERS, measure

pytestmark = [pytest.mark.slow, pytest.mark.alone, pytest.mark.anyio]


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
async def test_a_thousand_clients_of_uvicorn(tmp_path: Path) -> None:
    found = await measure("uvicorn", clients=1000, jobs=100, workers=4, folder=tmp_path)
    assert found.seen == 1000
    assert found.mebibytes <= 60
    assert found.streams_ended < 2


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
@pytest.mark.parametrize("server", sorted(SERVERS.keys() - {"uvicorn"}))
async def test_a_hundred_clients_of_other_servers(tmp_path: Path, server: str) -> None:
    """A tenth of what `python -m bench.following` measures, over two workers: for the time that takes."""
    found = await measure(server, clients=100, jobs=20, workers=2, folder=tmp_path)
    assert found.seen == 100
    assert found.streams_ended < 2
