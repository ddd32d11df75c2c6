"""What an existing application has to change: the changed module is run, and has a Postlude."""

import subprocess
import types
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from starlette.applications import Starlette

from postlude.new.adding import changed, difference
from postlude.new.project import CannotMake

PLAIN = """\
import os

import httpx2
from fastapi import BackgroundTasks, FastAPI
from pydantic import BaseModel

app = FastAPI(
    title="shop",
)


def send(address: str) -> None: ...


@app.post("/accounts")
def account(tasks: BackgroundTasks) -> None:
    tasks.add_task(send, "ada@example.org")
"""


@pytest.fixture(autouse=True)
def in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSTLUDE_STORE", "memory")


def run(source: str) -> types.ModuleType:
    module = types.ModuleType("changed_shop")
    exec(compile(source, "changed_shop.py", "exec"), module.__dict__)
    return module


def lines(source: str) -> list[str]:
    return source.splitlines()


def test_the_change_is_four_lines_in_their_places() -> None:
    before, after = lines(PLAIN), lines(changed(PLAIN))
    assert [line for line in after if line not in before] == [
        "from postlude import Postlude",
        "postlude = Postlude(app)",
        'app.include_router(postlude.router(prefix="/jobs"))',
        'app.mount("/background", postlude.dashboard(auth="local"))',
    ]
    assert [line for line in after if line in before] == before
    place = after.index("from postlude import Postlude")
    assert after[place - 1].startswith("from fastapi")
    assert after[place + 1].startswith("from pydantic")
    assert after[after.index("postlude = Postlude(app)") - 1] == ")"


def test_what_comes_out_runs() -> None:
    module = run(changed(PLAIN))
    with TestClient(module.app) as client:
        assert client.post("/accounts").status_code == 200
        assert client.get("/jobs/01990000-0000-7000-8000-000000000000").status_code == 404
        assert client.get("/openapi.json").json()["paths"].keys() >= {"/jobs/{id}"}


def test_parts_can_be_left_out() -> None:
    after = changed(PLAIN, router=False, dashboard=False)
    assert "include_router" not in after
    assert "mount" not in after
    assert "postlude = Postlude(app)" in after


@pytest.mark.parametrize(
    "source",
    [
        "import fastapi\n\napi: fastapi.FastAPI = fastapi.FastAPI()\n",
        "import fastapi as web\napi = web.FastAPI()",
        "from fastapi import FastAPI as Api\napi = Api()\n",
        "from starlette.applications import Starlette\n\napi = Starlette()\n",
        "from fastapi import FastAPI\r\nimport os\r\n\r\napi = FastAPI()\r\n",
        "from fastapi import FastAPI\n\nname = 'ä\x0c\u2028'; other = 1\napi = FastAPI()  # ü\nlast = 2\n",
    ],
)
def test_ways_to_make_one(source: str) -> None:
    module = run(changed(source))
    assert isinstance(module.api, FastAPI | Starlette)
    assert module.postlude.application is module.api


def test_one_in_a_function() -> None:
    source = "from fastapi import FastAPI\n\n\ndef make():\n    api = FastAPI()\n    return api\n"
    after = changed(source)
    assert "    postlude = Postlude(api)\n" in after
    assert run(after).make().router.routes


def test_line_ends_stay_what_they_are() -> None:
    after = changed("from fastapi import FastAPI\r\n\r\napp = FastAPI()\r\n")
    assert after.count("\n") == after.count("\r\n") == len(lines(after))


def test_routes_of_the_same_name_are_left_alone() -> None:
    after = changed(PLAIN.replace('"/accounts"', '"/jobs/{number}"'))
    assert 'prefix="/background-jobs"' in after


@pytest.mark.parametrize(
    ("head", "place"),
    [
        ("import fastapi\nfrom fastapi import FastAPI\nfrom zlib import crc32\n", 2),
        ("from fastapi import FastAPI\nfrom fastapi.responses import (\n    Response,\n)\n", 4),
        ("from fastapi import FastAPI\nfrom . import sibling\n", 1),
        ("from fastapi import FastAPI\n\nfrom aaa import own\n", 1),
        ("from pydantic import BaseModel\nfrom starlette.applications import Starlette as FastAPI\n", 0),
    ],
)
def test_where_the_import_belongs(head: str, place: int) -> None:
    source = f"{head}\napp = FastAPI()\n"
    assert lines(changed(source))[place] == "from postlude import Postlude"


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("app = FastAPI(\n", "no Python"),
        ("x = 1\n", "no application is made here"),
        ("from mine import FastAPI\napp = FastAPI()\n", "no application is made here"),
        (
            "from fastapi import FastAPI\na = FastAPI()\nb = FastAPI()\n",
            r"a \(line 2\), b \(line 3\); say which",
        ),
        (
            "from fastapi import FastAPI\nif 1:\n    a = FastAPI()\nelse:\n    a = FastAPI()\n",
            "several places",
        ),
        ("from fastapi import FastAPI\nif 1: a = FastAPI()\n", "more than one statement"),
        (
            "from fastapi import FastAPI\nfrom postlude import Postlude\napp = FastAPI()\n",
            "already: see line 2",
        ),
        ("from fastapi import FastAPI\napp = FastAPI()\npostlude = 1\n", "line 3 has something else"),
        (
            "from fastapi import FastAPI\nimport music as postlude\napp = FastAPI()\n",
            "line 2 has something else",
        ),
        ("from fastapi import FastAPI\napp = FastAPI()\ndef postlude(): ...\n", "line 3 has something else"),
    ],
)
def test_what_is_not_certain_is_refused(source: str, reason: str) -> None:
    with pytest.raises(CannotMake, match=reason):
        changed(source)


def test_one_of_several() -> None:
    source = "from fastapi import FastAPI\n\na = FastAPI()\nb = FastAPI()\n"
    assert "Postlude(b)" in changed(source, app="b")
    with pytest.raises(CannotMake, match="made here are a"):
        changed(source, app="c")


@pytest.mark.process
@pytest.mark.parametrize(
    "source", [PLAIN, PLAIN.replace("\n", "\r\n"), "from fastapi import FastAPI\napp = FastAPI()"]
)
def test_git_applies_the_diff(tmp_path: Path, source: str) -> None:
    path = tmp_path / "main.py"
    path.write_bytes(source.encode())
    diff = difference(source, changed(source), "main.py")
    subprocess.run(["git", "apply", "-"], cwd=tmp_path, input=diff.encode(), check=True)
    assert path.read_bytes().decode() == changed(source)
