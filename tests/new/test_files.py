"""A project's files: how many, what is in them, and that all of them are written or none."""

import ast
import functools
import json
import re
import tomllib
from collections.abc import Mapping
from configparser import RawConfigParser
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]
from check_jsonschema.schema_loader import BuiltinSchemaLoader  # type: ignore[import-untyped]
from jinja2 import UndefinedError
from jsonschema.validators import validator_for  # type: ignore[import-untyped]

from postlude.new import files as module
from postlude.new.files import files, write
from postlude.new.project import CannotMake, Project, Variant

VARIANTS = pytest.mark.parametrize("variant", Variant)
NAMES = ("shop", "web-shop", "a-name-as-long-as-it-may")


@functools.cache
def of(variant: Variant, name: str = "shop") -> Mapping[str, str]:
    return files(Project(name, variant))


@VARIANTS
def test_few_files_and_short_ones(variant: Variant) -> None:
    texts = of(variant)
    assert len(texts) <= 15
    assert sum(bool(line.strip()) for text in texts.values() for line in text.splitlines()) <= 400


@VARIANTS
@pytest.mark.parametrize("name", NAMES)
def test_nothing_of_a_template_is_left(variant: Variant, name: str) -> None:
    for path, text in of(variant, name).items():
        assert re.search(r"\{[{%#]|[%#]\}", text) is None, path
        assert [line for line in text.splitlines() if line.endswith((" ", "\t"))] == [], path
        assert text == "" or text.endswith("\n"), path
        if path.endswith(".py"):
            assert max((len(line) for line in text.splitlines()), default=0) <= 110, path


@VARIANTS
def test_a_variant_has_nothing_of_another(variant: Variant) -> None:
    whole = "\n".join(of(variant).values()).lower()
    assert ("postgres" in whole) == variant.postgres
    assert ("celery" in whole) == bool(variant.broker)
    for broker in ("rabbitmq", "redis"):
        assert (broker in whole) == (variant.broker == broker)
    assert ("outbox" in whole) == (not variant.postgres)


@VARIANTS
@pytest.mark.parametrize("name", NAMES)
def test_python_is_python_and_toml_is_toml(variant: Variant, name: str) -> None:
    texts = of(variant, name)
    for path, text in texts.items():
        if path.endswith(".py"):
            ast.parse(text)
    project = tomllib.loads(texts["pyproject.toml"])
    package = name.replace("-", "_")
    assert project["project"]["name"] == name
    assert project["tool"]["fastapi"]["entrypoint"] == f"{package}.main:app"
    assert f"{package}/main.py" in texts


@VARIANTS
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("path", "schema"),
    [("compose.yaml", "vendor.compose-spec"), (".github/workflows/test.yml", "vendor.github-workflows")],
)
def test_yaml_is_what_its_reader_takes(variant: Variant, name: str, path: str, schema: str) -> None:
    document = yaml.safe_load(of(variant, name)[path])
    document.setdefault("on", document.pop(True, None))  # YAML 1.1 reads the word as a yes
    if schema == "vendor.compose-spec":
        del document["on"]
    assert broken(schema, document) == []


def test_what_its_reader_does_not_take_would_be_seen() -> None:
    assert broken("vendor.compose-spec", {"services": {"web": {"bild": "."}}}) != []
    assert broken("vendor.github-workflows", {"on": "push", "jobs": {"test": {}}}) != []


def broken(schema: str, document: Any) -> list[str]:
    return [error.message for error in validator(schema).iter_errors(document)]


@functools.cache
def validator(name: str) -> Any:
    schema = BuiltinSchemaLoader(name).get_schema()
    return validator_for(schema)(schema)


@VARIANTS
def test_services_of_compose_and_volumes_fit_each_other(variant: Variant) -> None:
    texts = of(variant)
    compose = yaml.safe_load(texts["compose.yaml"])
    services = compose["services"]
    expected = {"web"}
    expected |= {"worker", "database"} if variant.postgres else set()
    expected |= {"broker"} if variant.broker else set()
    assert set(services) == expected
    for service in services.values():
        assert set(service.get("depends_on", {})) <= set(services)
        assert {volume.partition(":")[0] for volume in service.get("volumes", [])} <= set(compose["volumes"])
    made = set(re.findall(r"SHOP_\w+(?==)", texts["Makefile"]))
    assert set(re.findall(r"\$\{(\w+)\}", texts["compose.yaml"])) <= made


@VARIANTS
def test_each_variable_is_a_setting(variant: Variant) -> None:
    texts = of(variant)
    declared = re.findall(r"^    (\w+):", texts["shop/settings.py"], re.MULTILINE)
    fields = {f"SHOP_{name}".upper() for name in declared}
    fields |= {"SHOP_DATABASE_PASSWORD", "SHOP_BROKER_PASSWORD"}  # for compose alone
    for path, text in texts.items():
        assert set(re.findall(r"SHOP_[A-Z_]+[A-Z]", text)) <= fields, path


INSTRUCTIONS = {"FROM", "RUN", "WORKDIR", "COPY", "USER", "ENV", "VOLUME", "CMD"}


@VARIANTS
def test_the_dockerfile_copies_what_there_is_and_starts_no_shell(variant: Variant) -> None:
    texts = of(variant)
    lines = [line.split(maxsplit=1) for line in texts["Dockerfile"].splitlines()]
    assert {word for word, _ in lines} <= INSTRUCTIONS
    assert lines[0][0] == "FROM"
    copied = [source for word, rest in lines if word == "COPY" for source in rest.split()[:-1]]
    assert copied
    for source in copied:
        assert any(path == source or path.startswith(f"{source}/") for path in texts), source
    assert [json.loads(rest)[0] for word, rest in lines if word == "CMD"] == ["uvicorn"]


@VARIANTS
def test_units_start_what_is_installed_and_wait_for_jobs(variant: Variant) -> None:
    units = {path: text for path, text in of(variant).items() if path.endswith(".service")}
    assert len(units) == (2 if variant.postgres else 1)
    for path, text in units.items():
        unit = RawConfigParser(strict=False)
        unit.optionxform = str  # type: ignore[assignment, method-assign]
        unit.read_string(text)
        assert set(unit.sections()) == {"Unit", "Service", "Install"}, path
        command = unit["Service"]["ExecStart"]
        assert re.match(r"/srv/shop/\.venv/bin/(uvicorn|postlude( celery)? worker) ", command), path
        assert int(unit["Service"]["TimeoutStopSec"]) > 20
        assert unit["Service"]["KillMode"] == "mixed"


def test_all_is_written(tmp_path: Path) -> None:
    project = Project("shop", Variant.POSTGRES)
    folder = write(project, tmp_path)
    assert folder == tmp_path / "shop"
    written = {
        str(path.relative_to(folder)): path.read_text("utf-8") for path in folder.rglob("*") if path.is_file()
    }
    assert written == files(project)
    assert folder.stat().st_mode & 0o700 == 0o700
    assert folder.stat().st_mode == (tmp_path / "shop/tests").stat().st_mode
    assert list(tmp_path.iterdir()) == [folder]


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    assert (write(Project("shop", Variant.SQLITE), tmp_path) / "Makefile").exists()


@pytest.mark.parametrize("kind", ["a folder with something in it", "a file"])
def test_what_is_there_is_left_alone(tmp_path: Path, kind: str) -> None:
    place = tmp_path / "shop"
    if kind == "a file":
        place.write_text("mine")
    else:
        place.mkdir()
        (place / "mine").write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(CannotMake, match="is there already"):
        write(Project("shop", Variant.SQLITE), tmp_path)
    assert sorted(tmp_path.rglob("*")) == before


def test_nothing_is_left_if_a_template_is_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Project, "values", {"name": "shop"})
    with pytest.raises(UndefinedError):
        write(Project("shop", Variant.SQLITE), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_left_if_the_disk_takes_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Path.write_text

    def full(path: Path, text: str, encoding: str) -> int:
        if path.name == "compose.yaml":
            raise OSError(28, "No space left on device")
        return whole(path, text, encoding)

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(CannotMake, match="No space left"):
        write(Project("shop", Variant.SQLITE), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    with pytest.raises(CannotMake, match="nothing can be made in"):
        write(Project("shop", Variant.SQLITE), tmp_path / "none")


def test_each_template_is_used() -> None:
    used = {*module._ALWAYS.values(), *module._WITH_WORKERS.values()} - {""}
    there = {
        path.name.removesuffix(".jinja") for path in Path(module.__file__).with_name("templates").iterdir()
    }
    assert used == there
