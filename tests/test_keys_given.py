"""Keys given out and taken back: over HTTP, in the terminal alone on a folder, and in the terminal beside the service."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient
from newsroom import NOW, FakeDesk
from served import served
from structlog.testing import capture_logs
from test_api import assert_problem
from test_cli import run, said
from test_door import bearer

from service import issuing
from service.app import create_app
from service.key_schemas import KeyIn
from service.server import Running
from service.settings import Settings
from service.store import keys as kept
from service.store.engine import reader_engine
from service.store.trail import FOLDER

SHOWN = {"id", "name", "scope", "status", "created_at", "expires_at", "revoked_at"}
HERE = ("127.0.0.1", 50_000)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[FakeDesk]:
    made = FakeDesk(Settings(data=tmp_path))
    yield made
    made.close()


@pytest.fixture
def client(desk: FakeDesk) -> Iterator[TestClient]:
    app = create_app(desk.settings, desk, clock=lambda: NOW)
    with TestClient(app, raise_server_exceptions=False, client=HERE) as opened:
        yield opened


# --- over HTTP --------------------------------------------------------------------------------------------------------


def test_key_is_created_used_listed_and_revoked(client: TestClient) -> None:
    """Each step holds at the very next request."""
    assert client.get("/v1/keys").json() == {"items": []}
    first = client.post("/v1/keys", json={"name": "redaksi", "scope": "admin"})
    assert (first.status_code, set(first.json())) == (201, SHOWN | {"secret"})
    assert_problem(client.get("/v1/stats"), "unauthenticated")

    admin = bearer(first.json()["secret"])
    until = (NOW + timedelta(days=1)).isoformat()
    wanted = {"name": "perayap", "scope": "write", "expires_at": until}
    second = client.post("/v1/keys", json=wanted, headers=admin).json()
    assert (second["name"], second["scope"], second["status"]) == ("perayap", "write", "live")
    assert (second["expires_at"], second["created_at"]) == (until, NOW.isoformat())
    assert client.get("/v1/stats", headers=bearer(second["secret"])).status_code == 200
    assert_problem(client.get("/v1/keys", headers=bearer(second["secret"])), "forbidden")

    assert client.delete(f"/v1/keys/{second['id']}", headers=admin).status_code == 204
    assert client.delete(f"/v1/keys/{second['id']}", headers=admin).status_code == 204
    assert_problem(client.get("/v1/stats", headers=bearer(second["secret"])), "unauthenticated")
    listed = client.get("/v1/keys", headers=admin).json()["items"]
    assert [set(one) for one in listed] == [SHOWN, SHOWN]
    assert [(one["id"], one["status"]) for one in listed] == [
        (first.json()["id"], "live"),
        (second["id"], "revoked"),
    ]
    for unknown in ("key_01J8ZC5W5E6Q8R9S0T1V2W3X4Y", "x", "%00"):
        assert_problem(client.delete(f"/v1/keys/{unknown}", headers=admin), "not_found")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"name": "a", "scope": "root"}, "unknown_value"),
        ({"name": " ", "scope": "read"}, "blank"),
        ({"name": "a" * 256, "scope": "read"}, "too_long"),
        ({"name": "a", "scope": "read", "expires_at": "2020-01-01T00:00:00"}, "naive_time"),
        ({"name": "a", "scope": "read", "expires_at": NOW.isoformat()}, "in_past"),
        ({"name": "a", "scope": "read", "secret": "benang_mine"}, "unknown_field"),
        ({"scope": "read"}, "missing"),
    ],
)
def test_bad_keys_are_refused(body: dict[str, Any], code: str, client: TestClient) -> None:
    problem = assert_problem(client.post("/v1/keys", json=body), "invalid")
    assert [one["code"] for one in problem["errors"]] == [code]
    assert client.get("/v1/stats").status_code == 200, "none was created"


def test_first_key_is_not_made_from_elsewhere(desk: FakeDesk) -> None:
    """Where the network is said to be closed everybody may write, but nobody in it may lock the others out."""
    app = create_app(desk.settings, desk, clock=lambda: NOW)
    with TestClient(app, client=("192.0.2.7", 5)) as far:
        assert far.get("/v1/stats").status_code == 200
        assert_problem(far.post("/v1/keys", json={"name": "a", "scope": "admin"}), "forbidden")
        assert far.get("/v1/stats").status_code == 200


def test_only_live_keys_are_bounded(
    client: TestClient, desk: FakeDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "MAX_KEYS", 3)
    wanted = {"name": "a", "scope": "admin"}
    first = client.post("/v1/keys", json=wanted).json()
    admin = bearer(first["secret"])
    others = [client.post("/v1/keys", json=wanted, headers=admin).json() for _ in range(2)]
    assert_problem(client.post("/v1/keys", json=wanted, headers=admin), "too_many_keys")
    client.delete(f"/v1/keys/{others[0]['id']}", headers=admin)
    assert client.post("/v1/keys", json=wanted, headers=admin).status_code == 201


# --- in the terminal --------------------------------------------------------------------------------------------------


def test_keys_alone_on_a_folder(tmp_path: Path) -> None:
    """The first key comes before the first start: there is no store yet, and none of what is shown again opens."""
    data = tmp_path / "new"
    made = run("keys", "create", "redaksi", "--scope", "write", "--expires", "12h", "--data", data)
    assert made.exit_code == 0, made.stderr
    secret = made.stdout.splitlines()[1]
    assert (len(secret), secret[:7]) == (50, "benang_")
    assert "cannot be shown again" in said(made)
    other = json.loads(run("keys", "create", "lain", "--data", data, "--json").stdout)
    assert (other["scope"], other["expires_at"]) == ("read", None)

    listed = json.loads(run("keys", "list", "--data", data, "--json").stdout)["items"]
    assert [(one["name"], one["scope"], one["status"]) for one in listed] == [
        ("redaksi", "write", "live"),
        ("lain", "read", "live"),
    ]
    assert listed[0]["expires_at"] > listed[0]["created_at"]
    shown = run("keys", "list", "--data", data).stdout
    assert listed[0]["id"] in shown
    assert secret not in shown

    assert run("keys", "revoke", other["id"], "--data", data).exit_code == 0
    assert [
        one["status"] for one in json.loads(run("keys", "list", "-d", data, "--json").stdout)["items"]
    ] == [
        "live",
        "revoked",
    ]


@pytest.mark.parametrize("command", ["create", "list", "revoke"])
def test_every_command_of_keys_has_help(command: str) -> None:
    shown = run("keys", command, "--help")
    assert (shown.exit_code, "Usage:" in shown.stdout) == (0, True)


def test_what_cannot_be_done_is_said(tmp_path: Path) -> None:
    assert "There is no store" in said(run("keys", "list", "--data", tmp_path))
    assert "There is no store" in said(run("keys", "revoke", "key_x", "--data", tmp_path))
    for arguments, message in (
        (("create", " "), "/name: This holds nothing that can be read."),
        (("create", "a", "--expires", "soon"), "--expires soon is no length of time"),
        (("create", "a", "--scope", "root"), "Invalid value for '--scope'"),
    ):
        result = run("keys", *arguments, "--data", tmp_path / "data")
        assert result.exit_code == 2
        assert message in said(result)
    assert run("keys", "create", "a", "--data", tmp_path).exit_code == 0
    result = run("keys", "revoke", "key_x", "--data", tmp_path)
    assert (result.exit_code, "There is no key key_x" in said(result)) == (2, True)
    assert run("keys", "list", "--data", tmp_path / "data").exit_code == 2


def test_keys_beside_a_running_service(desk: FakeDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands come in by what stands in the folder, also when keys are needed, and what they do holds at once."""
    data = desk.settings.data
    own = "of-the-folder"
    with served(desk, own_secret=own) as url, capture_logs():
        monkeypatch.setattr("service.locksmith.running_service", lambda _folder: Running(url, own))
        made = json.loads(run("keys", "create", "a", "--scope", "admin", "--data", data, "--json").stdout)
        assert httpx.get(f"{url}/v1/stats", trust_env=False).status_code == 401
        admin = bearer(made["secret"])
        assert httpx.get(f"{url}/v1/stats", headers=admin, trust_env=False).status_code == 200

        assert run("keys", "revoke", "../keys", "--data", data).exit_code == 2
        assert run("keys", "revoke", "key_x", "--data", data).exit_code == 2
        assert run("keys", "revoke", made["id"], "--data", data).exit_code == 0
        assert httpx.get(f"{url}/v1/stats", headers=admin, trust_env=False).status_code == 401
        assert "/name" in said(run("keys", "create", " ", "--data", data))
        assert run("keys", "create", "b", "--data", data).exit_code == 0
    assert len(json.loads(run("keys", "list", "--data", data, "--json").stdout)["items"]) == 2


def test_secret_is_told_once(desk: FakeDesk) -> None:
    with desk.writer.begin() as connection:
        made = issuing.create_key(connection, KeyIn(name="a", scope="read"), FOLDER, 0)
    engine = reader_engine(desk.settings.data)
    with engine.connect() as connection:
        (row,) = connection.exec_driver_sql("SELECT * FROM keys").all()
    engine.dispose()
    assert made["secret"] not in repr(tuple(row))
    assert made["secret"] not in repr(Running("http://x", made["secret"]))
