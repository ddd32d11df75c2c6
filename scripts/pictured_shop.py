"""The application of the pictures; `scripts/pictures.py` lets it live through an hour."""

import logging
import random
import threading

from fastapi import FastAPI

from postlude import Access, Config, Postlude, Retry, current_job
from postlude.clock import SECOND, ManualClock

NINE: int = 1_795_942_800
"""In the morning of the 29th of November 2026, in seconds since 1970."""

clock = ManualClock(NINE * SECOND)
chance = random.Random(7)
door = threading.Event()
log = logging.getLogger("shop.mail")
log.setLevel(logging.INFO)

app = FastAPI(title="Shop")
postlude = Postlude(app, packages=["shop"], clock=clock, config=Config(release="2026.11.3"))
app.mount(
    "/background", postlude.dashboard(auth=lambda request: Access.admin("ada"), environment="production")
)


class SMTPServerDisconnected(OSError):
    """What a mail server does."""


@postlude.task(queue="mail", retry=Retry(attempts=1))
def send_receipt(order: int, to: str, tenant: str) -> str:
    """Send a mail: those of one tenant are refused for a while."""
    clock.set(chance.uniform(0.05, 0.5))
    log.info("sending the receipt of order %d", order)
    if tenant == "acme":
        connect(to)
    return f"sent {order}"


def connect(to: str) -> None:
    """Be refused."""
    raise SMTPServerDisconnected(f"mail.example.org closed the connection for {to}")


@postlude.task(queue="payments")
def charge_card(order: int) -> None:
    """Charge a card."""
    clock.set(chance.uniform(0.2, 0.9))


@postlude.task(queue="imports")
def import_orders(file: str) -> None:
    """Read a file, for long."""
    current_job().progress(640, 1000, "orders")
    door.wait(120)


@postlude.cron("0 7 * * MON-FRI", timezone="Europe/Paris")
@postlude.task
def morning_report() -> None:
    """Write a report."""
