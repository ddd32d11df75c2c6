"""The shop's mail server: real SMTP on loopback. It keeps what it takes in a Maildir."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from aiosmtpd.handlers import Mailbox
from aiosmtpd.smtp import SMTP, Envelope, Session

from demo.settings import Settings

NOT_NOW = "421 4.3.2 The mail server refuses for a while"


@contextlib.asynccontextmanager
async def mail_server(settings: Settings) -> AsyncIterator[int]:
    """Run the server; yields its port, a free one if the settings name none."""
    loop = asyncio.get_running_loop()
    mailbox = Takes(settings)

    def answer() -> asyncio.Protocol:
        if settings.outage.left():
            return Refuses()
        return SMTP(mailbox, hostname="localhost", loop=loop, enable_SMTPUTF8=True)

    server = await loop.create_server(answer, "127.0.0.1", settings.smtp_port)
    async with server:
        yield server.sockets[0].getsockname()[1]


class Refuses(asyncio.Protocol):
    """The answer to whoever connects during an outage."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say 421, and hang up."""
        assert isinstance(transport, asyncio.Transport)
        transport.write(f"{NOT_NOW}\r\n".encode())
        transport.close()


class Takes(Mailbox):
    """Keeps mails; not those of a client that connected just before an outage."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings.mailbox)
        self._outage = settings.outage

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """Keep a mail, or refuse it."""
        if self._outage.left():
            return NOT_NOW
        return await super().handle_DATA(server, session, envelope)
