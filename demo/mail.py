"""Mails: sent by the shop's tasks over SMTP, and read from the mailbox for the page."""

import email
import email.policy
import smtplib
import time
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path

from demo.settings import settings

SLOW_MAILS = 50
"""How many newsletters the page's button queues; the page and its script say the same number."""


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail that has arrived."""

    to: str
    subject: str
    text: str
    arrived: float
    """Seconds since the epoch."""


def send_welcome(address: str, *, name: str = "friend") -> None:
    """Welcome a new customer. An ordinary function: nothing in it knows of Postlude."""
    send(address, f"Welcome, {name}!", f"Dear {name},\n\nyour account is open. Happy shopping!\n")


def send_newsletter(address: str, number: int, of: int) -> None:
    """Send one of many slow mails."""
    time.sleep(settings().pace)
    send(address, f"Newsletter {number} of {of}", "This week: teapots.\n")


def send(address: str, subject: str, text: str) -> None:
    """Hand a mail to the SMTP server; raises if the server does not take it."""
    mail = EmailMessage()
    mail["From"] = "shop@example.org"
    mail["To"] = address
    mail["Subject"] = subject
    mail.set_content(text)
    # A name of its own, because smtplib would ask the DNS for one.
    with smtplib.SMTP("127.0.0.1", settings().smtp_port, local_hostname="shop.localhost", timeout=10) as smtp:
        smtp.send_message(mail)


def arrived(mailbox: Path) -> list[Mail]:
    """Read all mails that have arrived, oldest first."""
    files = [(file.stat().st_mtime_ns, file) for file in (mailbox / "new").glob("*")]
    return [_read(file, when / 1e9) for when, file in sorted(files)]


def _read(file: Path, when: float) -> Mail:
    mail = email.message_from_bytes(file.read_bytes(), policy=email.policy.default)
    body = mail.get_body()
    text = body.get_content() if body is not None else ""
    return Mail(str(mail["To"]), str(mail["Subject"]), str(text).strip(), when)
