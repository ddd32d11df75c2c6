"""`postlude`, with a worker of Celery's that meets an error as it reconnects, as kombu 5.7 does at times."""

from typing import Any

from celery.worker.consumer import Consumer

from postlude.cli.commands import app


def break_off(self: Any, error: BaseException) -> None:
    raise AttributeError("'NoneType' object has no attribute 'hostname'") from error


if __name__ == "__main__":
    Consumer.on_connection_error_after_connected = break_off
    app()
