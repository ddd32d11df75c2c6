"""The shop's Postlude, in a module of its own, so that tasks need not import the application."""

import os

from demo.visitors import visitor
from postlude import CeleryEngine, Local, Postlude

broker = os.environ.get("DEMO_BROKER", "")

# The one setting by which Celery's workers run the imports, on RabbitMQ or Redis.
postlude = Postlude(owner=visitor, queues={"imports": CeleryEngine(broker) if broker else Local()})
