"""The `postlude` command."""

import sys
from io import TextIOWrapper

_EXTRA = frozenset({"typer", "rich"})


def main() -> None:
    """Run the command line; ends the process."""
    try:
        from postlude.cli.commands import app
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _EXTRA:
            raise
        print("postlude: the command line needs an extra: pip install 'postlude[cli]'", file=sys.stderr)
        raise SystemExit(1) from None
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names that the terminal's encoding does not have
    app()
