"""A piece of code that begins with its imports can be copied: only the reader's own names are missing."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.tour.programs import DOCS, pieces

pytestmark = pytest.mark.process

YOURS: Final = {
    "../README": {"send_welcome"},
    "dashboard": {"User", "current_user"},
    "from-backgroundtasks": {"Order", "Session", "mail", "pay", "sessions"},
    "from-celery": {"busy", "gone"},
    "policy": {"Annotated", "AsyncSession", "Depends", "SMTPException", "get_session", "postlude", "tasks"},
    "schedules": {"postlude"},
}
"""What each page takes for granted, and says so, or has at its beginning."""


def test_names_are_there(tmp_path: Path) -> None:
    for page in [*(path.stem for path in DOCS.glob("*.md")), "../README"]:
        for number, code in enumerate(pieces(page)):
            if re.match("from |import ", code):
                (tmp_path / f"{page.replace('../', 'top_')}-{number}.py").write_text(code, "utf-8")
    ruff = [sys.executable, "-m", "ruff", "check", "--isolated", "--no-cache", "--exit-zero"]
    command = [*ruff, "--select", "F821", "--output-format", "json", str(tmp_path)]
    told = subprocess.run(command, capture_output=True, text=True, check=True)
    missing: dict[str, set[str]] = {}
    for one in json.loads(told.stdout):
        page = Path(one["filename"]).stem.rpartition("-")[0].replace("top_", "../")
        missing.setdefault(page, set()).update(re.findall("`(.*?)`", one["message"]))
    assert missing == YOURS
