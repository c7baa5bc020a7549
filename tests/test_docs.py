"""What the documents say is what the code does: every setting, metric, problem, route, command, and every example."""

import ast
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

from service import app as wiring
from service.app import create_app
from service.cli import app as cli
from service.errors import FIELD_MESSAGES, PROBLEMS, RETRY_AFTER_S
from service.model import ACTIONS, KINDS
from service.settings import Settings
from service.telemetry import Metrics

ROOT = Path(__file__).resolve().parents[1]
API = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
OPERATIONS = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
MONITORING = (ROOT / "docs" / "monitoring.md").read_text(encoding="utf-8")
PROMISES = (ROOT / "docs" / "promises.md").read_text(encoding="utf-8")
README = ROOT / "README.md"


def cells(text: str) -> Iterator[list[str]]:
    """Yield the rows of every table."""
    for line in text.splitlines():
        if line.startswith("|") and not line.startswith("|-"):
            yield [cell.strip() for cell in line.strip("|").split("|")]


def first_cells(text: str) -> dict[str, list[str]]:
    return {row[0].strip("`"): row[1:] for row in cells(text) if row[0].startswith("`")}


def test_every_setting_is_documented() -> None:
    """Name, default and sentence; nothing that does not exist."""
    documented = {
        name: row for name, row in first_cells(OPERATIONS).items() if re.fullmatch(r"BENANG_[A-Z_]+", name)
    }
    expected = {}
    for name, field in Settings.model_fields.items():
        default = str(field.default).lower() if isinstance(field.default, bool) else str(field.default)
        expected[f"BENANG_{name.upper()}"] = [f"`{default}`", field.description]
    assert documented == expected


def test_documents_name_no_setting_that_is_not_there() -> None:
    known = {f"BENANG_{name.upper()}" for name in Settings.model_fields}
    for document in (*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), ROOT / "Dockerfile"):
        named = set(re.findall(r"\bBENANG_[A-Z_]+", document.read_text(encoding="utf-8")))
        assert {name for name in named if name not in known and not name.startswith("BENANG_TEST_")} == set()


def metric_names() -> set[str]:
    families = Metrics().registry.collect()
    return {
        f"{family.name}_total" if family.type == "counter" else family.name
        for family in families
        if family.name.startswith("benang_")
    }


def test_every_metric_is_documented() -> None:
    documented = {name for name in first_cells(MONITORING) if name.startswith("benang_")}
    assert documented == metric_names()


def test_every_problem_is_explained() -> None:
    table = API[API.index("## Problems") : API.index("Inside `errors`")]
    documented = first_cells(table)
    assert {code: row[0] for code, row in documented.items()} == {
        code: str(known.status) for code, known in PROBLEMS.items()
    }
    assert all(PROBLEMS[code].detail in row[1] for code, row in documented.items())
    for code, seconds in RETRY_AFTER_S.items():
        assert f"`{code}` ({seconds} s)" in table


def test_every_field_message_is_explained() -> None:
    documented = first_cells(API[API.index("Inside `errors`") :])
    assert {code: row[0] for code, row in documented.items()} == dict(FIELD_MESSAGES)


def test_every_kind_of_change_is_explained() -> None:
    table = API[API.index("## Changes") : API.index("## Numbers and health")]
    assert tuple(name for name in first_cells(table) if "." in name) == KINDS


def test_every_action_of_the_trail_is_explained() -> None:
    table = API[API.index("## The audit trail") : API.index("## Problems")]
    assert tuple(first_cells(table)) == ACTIONS


def test_every_route_is_documented() -> None:
    table = API[API.index("## Routes") : API.index("Filters:")]
    documented = set(re.findall(r"`(GET|POST|DELETE|PUT|PATCH) (/\S*?)`", table))
    routes = [route for router in wiring._ROUTERS for route in router.routes if isinstance(route, APIRoute)]
    assert documented == {(method, route.path) for route in routes for method in route.methods or ()}


def promises() -> dict[str, list[str]]:
    return {row[0]: row[1:] for row in cells(PROMISES) if re.fullmatch(r"P[0-9]+b?", row[0])}


def test_every_promise_has_a_row() -> None:
    """All of them, in order, each with how it is kept, and a test or the word that there is none yet."""
    numbered = [f"P{number}{letter}" for number in range(1, 32) for letter in ("", "b")]
    assert [*promises()] == [name for name in numbered if not name.endswith("b") or name in {"P4b", "P5b"}]
    for name, (promise, kept_by, shown_by, figure) in promises().items():
        assert promise, name
        assert kept_by, name
        assert ("::" in shown_by and figure) or shown_by == "not yet", name


@pytest.mark.parametrize("promise", promises())
def test_every_test_a_promise_names_is_there(promise: str) -> None:
    for name in re.findall(r"`([^`]+)`", promises()[promise][2]):
        file, _, function = name.partition("::")
        tree = ast.parse((ROOT / "tests" / file).read_text(encoding="utf-8"))
        assert function in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, name


@pytest.mark.parametrize("command", sorted(typer.main.get_group(cli).commands))
def test_every_command_is_documented(command: str) -> None:
    assert f"`benang {command}" in OPERATIONS


@pytest.mark.skipif(not README.exists(), reason="README.md is not written yet")
def test_readme_names_only_commands_and_routes_that_are_there() -> None:
    text = README.read_text(encoding="utf-8")
    assert set(re.findall(r"`benang ([a-z]+)", text)) <= set(typer.main.get_group(cli).commands)
    known = {re.sub(r"\{\w+\}", "{id}", path) for _, path in re.findall(r"`(GET|POST|DELETE) (/\S*?)`", API)}
    named = {path.partition("?")[0] for path in re.findall(r"`(?:GET |POST )?(/v1/[^\s`]*)`", text)}
    assert {path for path in named if re.sub(r"\{\w+\}", "{id}", path) not in known} == set()


@pytest.mark.skipif(not README.exists(), reason="README.md is not written yet")
def test_links_between_documents_lead_somewhere() -> None:
    for document in (*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")):
        for target, heading in re.findall(
            r"\]\(([^)#\s]*)#?([^)\s]*)\)", document.read_text(encoding="utf-8")
        ):
            if "://" in target:
                continue
            file = document.parent / target if target else document
            assert file.exists(), f"{document.name}: {target}"
            assert not heading or heading in headings(file), f"{document.name}: {target}#{heading}"


def headings(file: Path) -> set[str]:
    """The headings of a document as links name them."""
    lines = re.findall(r"^#+ (.*)", file.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", line.lower()).replace(" ", "-") for line in lines}


EXAMPLES = re.findall(r"```http\n(.*?)```\n\n```http\n(.*?)```", API, flags=re.DOTALL)
_ID = re.compile(r"\b(?:art|clu|sto|run|edt|whk)_[0-9A-Z]{26}\b")


def shape(value: Any) -> Any:
    """Say what a value is made of; numbers are alike, and what a field may hold beside null is not compared."""
    if isinstance(value, dict):
        return {name: shape(item) for name, item in value.items()}
    if isinstance(value, list):
        return [shape(item) for item in value]
    return (
        "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__
    )


def test_examples_are_what_the_service_answers(tmp_path: Path) -> None:
    """Replay every example in order: the same status and the same shape, and what is ours to choose is the same."""
    assert len(EXAMPLES) >= 10
    real: dict[str, str] = {}

    def mine(text: str) -> str:
        return _ID.sub(lambda found: real[found.group()], text)

    settings = Settings(data=tmp_path, webhook_hosts="hooks.example")
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        for asked, told in EXAMPLES:
            head, _, body = asked.partition("\n\n")
            line, *headers = head.strip().split("\n")
            method, path = mine(line).split(" ")
            given = dict(header.split(": ", 1) for header in headers)
            answer = client.request(method, path, content=mine(body.rstrip("\n")).encode(), headers=given)
            while method == "GET" and '"status":"running"' in answer.text:  # told as it is at its end
                time.sleep(0.1)
                answer = client.get(path)
            status, _, expected = told.partition("\n\n")
            assert f"HTTP/1.1 {answer.status_code} " in status, line
            if not expected:
                assert answer.content == b""
                continue
            assert f"Content-Type: {answer.headers['content-type']}" in status
            assert shape(answer.json()) == shape(json.loads(expected)), line
            told_ids, real_ids = _ID.findall(expected), _ID.findall(json.dumps(answer.json(), indent=2))
            real.update(zip(told_ids, real_ids, strict=True))
