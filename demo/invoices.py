"""Invoices: drawn point by point, which keeps a processor busy, so in a process of their own."""

import os
import zlib
from base64 import b64encode
from html import escape
from math import cos, hypot, sin
from pathlib import Path
from struct import pack

from pydantic import BaseModel

from demo.jobs import postlude
from demo.settings import settings
from postlude import current_job

WIDTH, HEIGHT = 700, 990


class Invoice(BaseModel):
    """An invoice that has been drawn."""

    url: str
    process: int
    """The process that drew it."""


@postlude.task(run="process", timeout=60)
def draw_invoice(customer: str) -> Invoice:
    """Draw an invoice on paper with a fine pattern, as on banknotes. Drawn again, it replaces itself."""
    number = current_job().id
    paper = b64encode(png([pattern(y) for y in range(HEIGHT)])).decode()
    file = file_of(number)
    file.with_suffix(".new").write_text(
        f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif">
<image width="{WIDTH}" height="{HEIGHT}" href="data:image/png;base64,{paper}"/>
<text x="70" y="120" font-size="40">Teapots &amp; Co.</text>
<text x="70" y="190" font-size="18">Invoice {number}</text>
<text x="70" y="220" font-size="18">to {escape(customer)}</text>
<text x="70" y="320" font-size="24">1 teapot, brown</text>
<text x="630" y="320" font-size="24" text-anchor="end">19.90</text>
</svg>""",
        "utf-8",
    )
    file.with_suffix(".new").replace(file)
    return Invoice(url=f"/invoices/{number}.svg", process=os.getpid())


def file_of(number: str) -> Path:
    """Return where an invoice is kept."""
    return settings().folder("invoices") / f"{number}.svg"


def pattern(y: int) -> bytes:
    """Return one line of the paper: a grey for each point."""
    current_job().progress(y + 1, HEIGHT, "lines")
    return bytes(
        235 + int(20 * sin(hypot(x - 350, y - 495) / 3 + 4 * sin(x / 37) * cos(y / 41))) for x in range(WIDTH)
    )


def png(lines: list[bytes]) -> bytes:
    """Return lines of greys as a PNG file."""
    head = pack(">IIBBBBB", len(lines[0]), len(lines), 8, 0, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + line for line in lines), 9)
    chunks = ((b"IHDR", head), (b"IDAT", data), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        pack(">I", len(body)) + kind + body + pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )
