"""The engine whose jobs are run by Celery's workers: RabbitMQ or Redis carry their ids."""

from postlude.engines.celery.engine import CeleryEngine

__all__ = ["CeleryEngine"]
