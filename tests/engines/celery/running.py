"""The application that a worker of Celery's is started for."""

import os
from pathlib import Path

from tests.engines.celery.shop import from_environment
from tests.engines.celery.tracing import SpanFile, traced

shop = from_environment()
postlude = shop.postlude
celery_app = shop.engine.app
if os.environ.get("SHOP_TRACED"):
    traced(postlude, SpanFile(Path(os.environ["SHOP_FOLDER"]) / "spans"))
