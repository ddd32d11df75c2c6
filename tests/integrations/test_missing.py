"""What is not installed is named, with what to install."""

import importlib
import sys

import pytest

from postlude import CannotJoin, Postlude


def leave_out(monkeypatch: pytest.MonkeyPatch, library: str, module: str) -> None:
    """Have a module imported once more, without a library."""
    for name in [name for name in sys.modules if f"{name}.".startswith(f"{module}.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, library, None)


@pytest.mark.parametrize(
    ("module", "library"),
    [("sentry", "sentry_sdk"), ("celery", "celery"), ("opentelemetry", "opentelemetry.metrics")],
)
def test_an_extra(module: str, library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    leave_out(monkeypatch, library, f"postlude.integrations.{module}")
    with pytest.raises(ImportError) as refused:
        importlib.import_module(f"postlude.integrations.{module}")
    says = f"postlude.integrations.{module} needs an extra: pip install 'postlude[{module}]' ("
    assert str(refused.value).startswith(says)


def test_sqlalchemy(monkeypatch: pytest.MonkeyPatch) -> None:
    leave_out(monkeypatch, "sqlalchemy", "postlude.enqueue.joined.outbox")
    with pytest.raises(
        CannotJoin, match=r"outbox\('x'\): give an engine of SQLAlchemy; pip install sqlalchemy"
    ):
        Postlude(store="memory").outbox("x")
