"""Mails: sent by the shop's tasks over SMTP, and read from the mailbox for the page."""

import email
import email.policy
import time
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from smtplib import SMTP, SMTPException
from uuid import uuid4

from demo.jobs import postlude
from demo.settings import settings
from postlude import Exponential, Limit, Retry

SLOW_MAILS = 50
"""How many newsletters the page's button queues; the page and its script say the same number."""

PATIENT = Retry(attempts=30, backoff=Exponential(first=1, most=15), on=(SMTPException, OSError))
"""A mail waits for its server. Each wait is drawn at random between nothing and 1, 2, 4, 8, then 15 s:
that 29 of them together stay below a minute happens to one mail in 10^11, so a minute loses none."""


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail that has arrived."""

    to: str
    subject: str
    text: str
    arrived: float
    """Seconds since the epoch."""
    batch: str = ""
    """With which other newsletters it was queued."""


@postlude.task(queue="mail", retry=PATIENT, timeout=30)
def send_welcome(address: str, *, name: str = "friend") -> None:
    """Welcome a new customer."""
    send(address, f"Welcome, {name}!", f"Dear {name},\n\nyour account is open. Happy shopping!\n")


@postlude.task(queue="mail", retry=PATIENT, timeout=30, limit=Limit(concurrent=1))
def send_newsletter(address: str, number: int, of: int, batch: str = "") -> None:
    """Send one of many slow mails, one at a time."""
    time.sleep(settings().pace)
    send(address, f"Newsletter {number} of {of}", "This week: teapots.\n", batch)


def next_batch() -> str:
    """Return the name of the newsletters that are queued now: those that the page counts from now on."""
    name = uuid4().hex
    (settings().directory / "batch").write_text(name, "ascii")
    return name


def batch() -> str:
    """Return that of the newsletters that were queued last."""
    try:
        return (settings().directory / "batch").read_text("ascii")
    except FileNotFoundError:
        return ""


def send(address: str, subject: str, text: str, batch: str = "") -> None:
    """Hand a mail to the SMTP server; raises if the server does not take it."""
    mail = EmailMessage()
    mail["From"] = "shop@example.org"
    mail["To"] = address
    mail["Subject"] = subject
    if batch:
        mail["X-Batch"] = batch
    mail.set_content(text)
    # A name of its own, because smtplib would ask the DNS for one.
    with SMTP("127.0.0.1", settings().smtp_port, local_hostname="shop.localhost", timeout=10) as smtp:
        smtp.send_message(mail)


def arrived(mailbox: Path) -> list[Mail]:
    """Read all mails that have arrived, oldest first."""
    files = [(file.stat().st_mtime_ns, file) for file in (mailbox / "new").glob("*")]
    return [_read(file, when / 1e9) for when, file in sorted(files)]


def _read(file: Path, when: float) -> Mail:
    mail = email.message_from_bytes(file.read_bytes(), policy=email.policy.default)
    body = mail.get_body()
    text = body.get_content() if body is not None else ""
    return Mail(str(mail["To"]), str(mail["Subject"]), str(text).strip(), when, str(mail["X-Batch"] or ""))
