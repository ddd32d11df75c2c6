"""The application that a worker of Celery's is started for."""

from tests.engines.celery.shop import from_environment

shop = from_environment()
postlude = shop.postlude
celery_app = shop.engine.app
