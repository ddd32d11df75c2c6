"""How a task finds out that Starlette's background task calls it, while Postlude is off."""

import functools
import importlib.util
from typing import Any

import pytest
from starlette.background import BackgroundTask

from postlude.tasks.inject import filling


def test_a_tracer_that_wraps_the_call_is_no_surprise(monkeypatch: pytest.MonkeyPatch) -> None:
    original = BackgroundTask.__call__

    @functools.wraps(original)
    async def traced(self: Any) -> None:
        await original(self)

    monkeypatch.setattr(BackgroundTask, "__call__", traced)
    spec = importlib.util.spec_from_file_location("imported_later", filling.__file__)
    assert spec is not None
    assert spec.loader is not None
    later = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(later)
    assert later._CALLS is original
