"""Assets: the style sheet and the script, under names that change with what is in them."""

from hashlib import sha256
from importlib.resources import files
from typing import Final

from starlette.responses import Response

_TYPES: Final = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
_FOREVER: Final = {"Cache-Control": "public, max-age=31536000, immutable"}


class Assets:
    """The files beside this module that browsers ask for."""

    def __init__(self) -> None:
        self._files: dict[str, tuple[bytes, str]] = {}
        self._names: dict[str, str] = {}
        for each in sorted(
            files("postlude.dashboard").joinpath("static").iterdir(), key=lambda file: file.name
        ):
            stem, _, suffix = each.name.rpartition(".")
            if suffix in _TYPES:
                content = each.read_bytes()
                name = f"{stem}.{sha256(content).hexdigest()[:12]}.{suffix}"
                self._names[each.name], self._files[name] = name, (content, _TYPES[suffix])

    def name(self, plain: str) -> str:
        """Return the name under which a file is served."""
        return self._names[plain]

    def answer(self, name: str) -> Response | None:
        """Return a file; None: none is served under this name."""
        found = self._files.get(name)
        return None if found is None else Response(found[0], media_type=found[1], headers=_FOREVER)
