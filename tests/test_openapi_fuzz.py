"""Schemathesis over the whole OpenAPI document, as an outsider would run it against the service."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from served import served
from wire import demo_articles

from service.desk import Desk
from service.keys import Key
from service.learned import load_models
from service.settings import Settings
from service.store.keys import add_key
from service.telemetry import Metrics

if TYPE_CHECKING:
    from collections.abc import Iterator

SECRET = "only-for-this-test"
HERE = Path(__file__).parent
SUMMARY = re.compile(r"Test cases:\s+(\d[\d,]*) generated, (.*)")


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    settings = Settings(data=tmp_path, failure_rate=0, webhook_hosts="hooks.example")
    with Desk.open(settings, Metrics(), models=load_models("bundled")) as desk:
        desk.submit(demo_articles()).result(60)
        # There is a key, so that every route has to refuse who shows none; we show one that nobody can revoke.
        desk.write(lambda connection: add_key(connection, Key("key_a", "", "read", b"digest", 0))).result(60)
        with served(desk, own_secret=SECRET) as address:
            yield address


def assert_nothing_found(url: str, examples: int, tmp_path: Path, least: int) -> None:
    """Run all checks in all phases (examples, coverage, fuzzing, stateful) with right and wrong data."""
    command = [
        str(Path(sys.executable).with_name("st")), "--config-file", str(HERE / "schemathesis.toml"),
        "run", f"{url}/openapi.json", "--no-color", "--seed", "1", "--max-examples", str(examples),
        "--header", f"Authorization: Bearer {SECRET}", "--request-timeout", "120", "--warnings", "off", "--suppress-health-check", "too_slow",
        "--generation-database", "none",
    ]  # fmt: skip
    environment = os.environ | {"SCHEMATHESIS_HOOKS": "st_hooks", "PYTHONPATH": str(HERE)}
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=tmp_path, env=environment, timeout=1500
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said[-8000:]
    summary = SUMMARY.search(said)
    assert summary, said
    assert int(summary[1].replace(",", "")) > least


@pytest.mark.timeout(600)
def test_schemathesis_finds_nothing(url: str, tmp_path: Path) -> None:
    """No server error, every answer is of a status, type and shape that the document declares, and none comes without a key."""
    assert_nothing_found(url, 5, tmp_path, 300)


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_schemathesis_finds_nothing_in_thousands(url: str, tmp_path: Path) -> None:
    """The same with many more cases."""
    assert_nothing_found(url, 20, tmp_path, 1000)
