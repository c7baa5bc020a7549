"""Honest health (P29) and no slow leak (P31)."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from fastapi.testclient import TestClient
from newsroom import example
from sqlalchemy.exc import OperationalError
from test_api import assert_problem
from test_desk import opened, post
from wire import FIRE, article

from service.app import create_app

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from service.desk import Desk


@pytest.fixture
def desk(database: str, tmp_path: Path) -> Iterator[Desk]:
    with opened(tmp_path) as one:
        post(one, article("a", "Kebakaran Pasar", FIRE))
        yield one


def a_thread_ended(desk: Desk, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(desk, "_threads", [desk._threads[0], threading.Thread()])


def the_index_is_gone(desk: Desk, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(desk, "_window", None)


def another_schema(desk: Desk, patch: pytest.MonkeyPatch) -> None:
    patch.setattr("service.store.engine.known_schemas", lambda: ("0001", "9999"))


def little_room(desk: Desk, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(desk.settings, "min_disk_free_bytes", 2**62)


def no_database(desk: Desk, patch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise OperationalError("SELECT", None, Exception("unable to open database file"))

    patch.setattr(desk.reader, "connect", fail)


def damage_was_met(desk: Desk, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(desk, "_is_damaged", True)


def read_only_server(desk: Desk, patch: pytest.MonkeyPatch) -> None:
    patch.setattr("service.store.postgres.is_writable", lambda _connection: False)


def another_owner(desk: Desk, patch: pytest.MonkeyPatch) -> None:
    patch.setattr("service.store.postgres.writer_name", lambda: "benang elsewhere 1")


BROKEN: dict[str, Callable[[Desk, pytest.MonkeyPatch], None]] = {
    "writer_alive": a_thread_ended,
    "index_complete": the_index_is_gone,
    "schema_current": another_schema,
    "store_undamaged": damage_was_met,
    "disk_free": little_room,
    "store_writable": read_only_server,
    "lock_held": another_owner,
    "store_reachable": no_database,
}
OTHERS = {"sqlite": {"store_writable", "lock_held"}, "postgresql": {"disk_free"}}
"""What does not apply to a database."""


@pytest.mark.parametrize("condition", BROKEN)
def test_each_condition_of_readiness(
    desk: Desk, database: str, monkeypatch: pytest.MonkeyPatch, condition: str
) -> None:
    """P29: broken one by one: 503 that names this one and no other, alive all the while, and ready again afterwards."""
    with TestClient(create_app(desk.settings, desk), raise_server_exceptions=False) as client:
        told = client.get("/readyz").json()["conditions"]
        assert {*told} | {"store_reachable"} == {*BROKEN} - OTHERS[database]
        if condition in OTHERS[database]:
            pytest.skip(f"no condition on {database}")
        with monkeypatch.context() as patch:
            BROKEN[condition](desk, patch)
            answer = client.get("/readyz")
            problem = assert_problem(answer, "not_ready")
            assert [one["code"] for one in problem["errors"]] == [condition]
            assert answer.headers["Retry-After"] == "5"
            assert client.get("/livez").status_code == 200
            if condition != "store_reachable":
                assert client.get("/v1/articles").json()["items"]
        assert all(client.get("/readyz").json()["conditions"].values())


def used() -> dict[str, Any]:
    """Open files, threads and children of this process."""
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return {
        "files": len(list(Path("/proc/self/fd").iterdir())),
        "threads": threading.active_count(),
        "children": len(children),
    }


@pytest.mark.parametrize("times", [10, pytest.param(50, marks=pytest.mark.slow)])
def test_fd_and_thread_leak(tmp_path: Path, times: int) -> None:
    """P31: many times opened, used and closed: no file, no thread and no process more than after the first time."""

    def once(number: int) -> None:
        with (
            opened(tmp_path) as desk,
            TestClient(create_app(desk.settings, desk), raise_server_exceptions=False) as client,
        ):
            page = f"<html><body><h1>Gempa {number}</h1><p>{FIRE}</p></body></html>"
            body = example(number, text=None, html=page)
            assert client.post("/v1/articles", json=body).status_code == 201
            assert client.get("/v1/stories").status_code == 200
            assert client.get("/v1/changes").status_code == 200

    once(0)
    before = used()
    for number in range(1, times + 1):
        once(number)
    assert used() == before
