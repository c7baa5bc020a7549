"""The service as a process: what holds from the moment it says where it listens."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from places import settings_of
from wire import models

from service.desk import Desk
from service.server import ADDRESS_FILE, _listen, _open_for_all
from service.telemetry import Metrics

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_whoever_reads_the_address_can_connect(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By file and by what is printed, though the server itself has not begun to accept."""
    own = settings_of(tmp_path)
    with (
        Desk.open(own, Metrics(), models=models()) as desk,
        _listen("127.0.0.1", 0) as listener,
        _open_for_all(own, desk, listener, "secret"),
    ):
        told = json.loads((tmp_path / ADDRESS_FILE).read_text(encoding="utf-8"))["url"]
        assert f"listens on {told} " in capsys.readouterr().out
        address = urlsplit(told)
        with socket.create_connection((address.hostname, address.port), timeout=5):
            pass
