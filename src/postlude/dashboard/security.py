"""Security: the headers of all answers, and which requests come from the dashboard's own pages."""

from typing import Final

from starlette.requests import Request

from postlude.errors import PostludeError

HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not `no-referrer`: with it, browsers send `Origin: null` with the dashboard's own forms.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Robots-Tag": "noindex",
}
"""What every answer has."""

NO_STORE: Final = {"Cache-Control": "no-store"}

_PORTS: Final = {"http": "80", "https": "443"}


class ForeignRequest(PostludeError):
    """A request that would change something does not come from a page of the dashboard."""


def refuse_foreign(request: Request) -> None:
    """Refuse what another site has had a browser send, or ask for.

    Browsers say it themselves, on https and on this machine by `Sec-Fetch-Site`, on plain http by `Origin`.

    Raises:
        ForeignRequest: it comes from elsewhere, or does not say where from. The text names the header.
    """
    site = request.headers.get("sec-fetch-site")
    looks = request.method in ("GET", "HEAD")
    if looks and (site is None or site.strip().lower() == "none"):
        return  # by its address, or by a browser that says nothing with pages
    if site is not None:
        if site.strip().lower() != "same-origin":
            raise ForeignRequest(f"Sec-Fetch-Site is {site[:40]!r}, and not 'same-origin'")
        return
    origin = request.headers.get("origin")
    if origin is None:
        raise ForeignRequest("there is neither Sec-Fetch-Site nor Origin")
    if _normal(origin) != own_origin(request):
        raise ForeignRequest(f"Origin is {origin[:200]!r}, and not {own_origin(request)!r}")


def own_origin(request: Request) -> str:
    """Return the origin that a request was sent to: as the server says, which applies forwarding headers."""
    return _normal(f"{request.url.scheme}://{request.headers.get('host', '')}")


def _normal(origin: str) -> str:
    scheme, colon, rest = origin.strip().lower().partition("://")
    if not colon:
        return origin
    host, colon, port = rest.rpartition(":")
    return f"{scheme}://{host}" if colon and port == _PORTS.get(scheme) else f"{scheme}://{rest}"
