"""The command line: help for everything, one sentence and a status for what goes wrong, and company with a service."""

import fcntl
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog
import typer.main
from alembic import command
from alembic.config import Config
from helpers import HashingEncoder
from typer.testing import CliRunner, Result

from embeddings.encoder import BUNDLED
from embeddings.pair_model import PairModel
from embeddings.terms import Background
from service.cli import app
from service.demo.show import read_articles
from service.desk import Desk
from service.keys import Key
from service.learned import Models
from service.prepare import prepare
from service.schemas import ArticleIn
from service.server import CannotListenError, check_address, running_service
from service.settings import Settings
from service.store.engine import MIGRATIONS, writer_engine
from service.store.failures import StoreInUseError
from service.store.keys import add_key
from service.telemetry import Metrics

COMMANDS = sorted(typer.main.get_group(app).commands)
PATIENCE_S = 90


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(one) for one in arguments])


def said(result: Result) -> str:
    """Join what was said on standard error: a terminal's width breaks lines where it likes."""
    return " ".join(result.stderr.split())


def write_lines(file: Path, articles: list[dict[str, Any]]) -> Path:
    file.write_text("".join(json.dumps(one) + "\n" for one in articles), encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of the first twelve invented articles: a shipwreck, its aftermath, an earthquake, a fire."""
    folder = tmp_path_factory.mktemp("store")
    fill(folder, read_articles()[:12])
    return folder


def fill(folder: Path, wanted: list[dict[str, Any]]) -> None:
    settings = Settings(data=folder)
    models = Models(
        HashingEncoder(),
        Background.load(BUNDLED / "background.safetensors"),
        PairModel.load(BUNDLED / "event.json"),
        PairModel.load(BUNDLED / "story.json"),
    )
    with Desk.open(settings, Metrics(), models=models) as desk:
        articles = [
            prepare(
                ArticleIn.model_validate(fields),
                now=datetime.now(tz=UTC),
                future_tolerance_s=settings.future_tolerance_s,
                pages=desk.pages,
            )
            for fields in wanted
        ]
        desk.submit(articles).result(PATIENCE_S)


# --- help and arguments -----------------------------------------------------------------------------------------------


def test_commands_are_listed() -> None:
    result = run("--help")
    assert result.exit_code == 0
    assert all(name in result.stdout for name in COMMANDS)


def test_logs_go_where_errors_go_at_that_moment(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Not to the stream that stood when the command began, which may be closed by then."""
    run("stories", "--data", tmp_path)

    structlog.get_logger().info("told_later")

    said_now = capsys.readouterr()
    assert "told_later" in said_now.err
    assert "told_later" not in said_now.out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str) -> None:
    result = run(command, "--help")
    assert result.exit_code == 0
    assert "Usage:" in result.stdout


@pytest.mark.parametrize(
    "arguments", [("tell",), ("why",), ("stories", "--limit", "0"), ("story",), ("serve", "--port", "x")]
)
def test_wrong_arguments_are_refused(arguments: tuple[str, ...]) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert "Usage:" in result.stderr


def test_help_starts_fast() -> None:
    """Asking for help must not load the model libraries."""
    code = "import sys; from service.cli import app; app(['--help'], standalone_mode=False); print('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=PATIENCE_S
    )
    assert done.stdout.splitlines()[-1] == "False"


# --- reading a store --------------------------------------------------------------------------------------------------


def test_stories_are_listed(store: Path) -> None:
    result = run("stories", "--data", store, "--json")
    found = json.loads(result.stdout)

    assert (result.exit_code, found["next_cursor"]) == (0, None)
    assert sum(item["article_count"] for item in found["items"]) == 12
    assert run("stories", "--data", store).exit_code == 0


def test_stories_are_filtered(store: Path) -> None:
    found = json.loads(run("stories", "--data", store, "--json", "--q", "LINTANG ARUNIKA").stdout)["items"]
    assert found
    assert all("lintang arunika" in item["title"].casefold() for item in found)
    assert len(json.loads(run("stories", "--data", store, "--json", "--limit", "1").stdout)["items"]) == 1
    assert json.loads(run("stories", "--data", store, "--json", "--min-sources", "99").stdout)["items"] == []


def test_story_is_told(store: Path) -> None:
    listed = json.loads(run("stories", "--data", store, "--json").stdout)["items"]
    largest = max(listed, key=lambda item: int(item["article_count"]))
    told = json.loads(run("story", largest["id"], "--data", store, "--json").stdout)

    assert told["id"] == told["story_id"] == largest["id"]
    assert len(told["events"]) == largest["cluster_count"]
    assert [event["date"] for event in told["events"]] == sorted(event["date"] for event in told["events"])
    seen = run("story", largest["id"], "--data", store)
    assert seen.exit_code == 0
    assert all(" ".join(event["headline"].split()[:3]) in seen.stdout for event in told["events"])


def test_places_are_explained(store: Path) -> None:
    """Every sentence of the answer is printed, each quoting what the two texts share."""
    listed = json.loads(run("stories", "--data", store, "--json").stdout)["items"]
    story = max(listed, key=lambda item: item["article_count"])
    events = json.loads(run("story", story["id"], "--data", store, "--json").stdout)["events"]
    event = max(events, key=lambda one: one["article_count"])
    article = event["reports"][-1]["id"]
    told = json.loads(run("why", article, "--data", store, "--json").stdout)
    shown = " ".join(run("why", article, "--data", store).stdout.split())

    assert (told["article_id"], told["cluster_id"], told["story_id"]) == (
        article,
        event["cluster_id"],
        story["id"],
    )
    assert all(sentence in shown for name in ("cluster", "story") for sentence in told[name]["sentences"])
    assert told["cluster"]["nearest_title"] in shown
    assert run("why", "art_none", "--data", store).exit_code == 2


def test_titles_are_text_not_markup(store: Path, tmp_path: Path) -> None:
    """What an outlet writes can neither colour the terminal nor move its cursor."""
    article = read_articles()[0] | {
        "title": "[red]Kapal[/red] \x1b[31mtenggelam\x07 di selat",
        "external_id": "x",
    }
    article |= {"url": "https://porossegara.example/x"}
    file = write_lines(tmp_path / "one.ndjson", [article])

    assert run("ingest", file, "--data", tmp_path / "data").exit_code == 0
    shown = run("stories", "--data", tmp_path / "data").stdout
    assert "[red]Kapal[/red]" in shown
    assert "\x1b" not in shown
    assert "\x07" not in shown


def test_check_finds_nothing_wrong(store: Path) -> None:
    result = run("check", "--data", store, "--json")
    findings = json.loads(result.stdout)

    assert [finding for finding in findings if not finding["ok"]] == []
    assert len(findings) >= 5
    assert result.exit_code == 0
    assert run("check", "--data", store).exit_code == 0


@pytest.mark.parametrize(
    ("row", "finding"),
    [
        (
            "'clu_old', 'clu_nowhere', 0",
            "every ID that was merged leads to one that is there or was deleted",
        ),
        ("(SELECT id FROM clusters), (SELECT id FROM stories), 0", "no ID that was merged is there"),
    ],
)
def test_check_finds_an_id_that_leads_astray(row: str, finding: str, tmp_path: Path) -> None:
    fill(tmp_path, read_articles()[:1])
    with closing(sqlite3.connect(tmp_path / "benang.db")) as store, store:
        store.execute(f"INSERT INTO redirects (id, target, merged_us) SELECT {row}")

    result = run("check", "--data", tmp_path, "--json")

    assert [one["name"] for one in json.loads(result.stdout) if not one["ok"]] == [finding]
    assert result.exit_code == 1


def test_counts_of_copies_add_up(tmp_path: Path) -> None:
    """One report, printed by two more outlets: two copies, in the cluster and in the story."""
    first = read_articles()[0]
    outlets = ("harianlentera.example", "wartanusa.example")
    copies = [first | {"source": one, "url": f"https://{one}/1", "external_id": one} for one in outlets]
    fill(tmp_path, [first, *copies])

    (found,) = json.loads(run("stories", "--data", tmp_path, "--json").stdout)["items"]
    assert (found["article_count"], found["copy_count"], found["independent_source_count"]) == (3, 2, 1)
    checked = run("check", "--data", tmp_path, "--json")
    assert [finding["name"] for finding in json.loads(checked.stdout) if not finding["ok"]] == []
    assert checked.exit_code == 0


@pytest.mark.parametrize("arguments", [("stories",), ("check",), ("story", "sto_" + "0" * 26)])
def test_missing_store_is_named(arguments: tuple[str, ...], tmp_path: Path) -> None:
    result = run(*arguments, "--data", tmp_path / "nothing")

    assert result.exit_code == 2
    assert "There is no store in" in said(result)
    assert not (tmp_path / "nothing").exists()


@pytest.mark.parametrize("story_id", ["sto_" + "0" * 26, "x", "", "sto_'; DROP TABLE stories; --"])
def test_unknown_story_is_named(story_id: str, store: Path) -> None:
    result = run("story", story_id, "--data", store)

    assert result.exit_code == 2
    assert "There is no story" in said(result)
    assert result.stdout == ""


# --- putting articles in ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "message"),
    [("missing.ndjson", "does not exist"), ("notes.pdf", "this kind of file is not read")],
)
def test_bad_path_is_named(name: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "notes.pdf").write_text("x")
    result = run("ingest", tmp_path / name, "--data", tmp_path / "data")

    assert result.exit_code == 2
    assert message in said(result)
    assert not (tmp_path / "data").exists()


def test_bad_lines_are_refused_and_the_others_kept(tmp_path: Path) -> None:
    """Alone on the folder: good lines go in, bad ones are told with their place, and again is no news."""
    file = write_lines(tmp_path / "mixed.ndjson", read_articles()[:2])
    with file.open("a") as lines:
        lines.write('{"broken\n[1, 2]\n{"title": "Tanpa isi"}\n')
    kept = tmp_path / "refused.ndjson"
    result = run("ingest", file, "--data", tmp_path / "data", "--json", "--rejected", kept)
    report = json.loads(result.stdout)

    assert result.exit_code == 1
    assert report["statuses"] == {"created": 2, "rejected": 3}
    places = [(item["place"], item["code"]) for item in report["rejected"]]
    assert places == [
        (f"{file}:3", "malformed_json"),
        (f"{file}:4", "malformed_json"),
        (f"{file}:5", "invalid"),
    ]
    assert [json.loads(line)["place"] for line in kept.read_text().splitlines()] == [
        place for place, _ in places
    ]

    again = run("ingest", file, "--data", tmp_path / "data")
    assert again.exit_code == 1
    assert "unchanged" in again.stdout
    assert f"{file.name}:3:malformed_json" in said(again).replace(" ", "")


# --- beside a running service -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Service:
    """A `benang serve` of its own, on a free port."""

    process: subprocess.Popen[bytes]
    data: Path
    url: str

    def get(self, path: str) -> Any:
        return httpx.get(self.url + path, timeout=10, trust_env=False).raise_for_status().json()


def start(data: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "service.cli", "serve", "--data", str(data), "--port", "0"]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def await_service(process: subprocess.Popen[bytes], data: Path) -> Service:
    deadline = time.monotonic() + PATIENCE_S
    file = data / "service.json"
    while time.monotonic() < deadline:
        if process.poll() is not None:
            assert process.stderr is not None
            pytest.fail(f"the service stopped: {process.stderr.read().decode()}")
        if file.exists() and file.read_text().endswith("\n"):
            url = json.loads(file.read_text())["url"]
            try:
                if httpx.get(f"{url}/readyz", timeout=5, trust_env=False).status_code == 200:
                    return Service(process, data, url)
            except httpx.TransportError:
                pass
        time.sleep(0.05)
    pytest.fail("the service did not start")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    data = tmp_path_factory.mktemp("served") / "data"
    with start(data) as process:
        try:
            yield await_service(process, data)
        finally:
            process.kill()


def test_a_page_from_a_file(tmp_path: Path) -> None:
    """Read by a worker of a worker, which both end when the command does."""
    text = read_articles()[0]["text"]
    page = tmp_path / "page.html"
    page.write_text(
        "<html><head><link rel='canonical' href='https://harianlentera.example/2026/02/08/jembatan'></head>"
        f"<body><article><h1>Jembatan Gantung Putus</h1><p>{text}</p></article></body></html>",
        encoding="utf-8",
    )
    command = [
        sys.executable,
        "-m",
        "service.cli",
        "ingest",
        str(page),
        "--data",
        str(tmp_path / "s"),
        "--json",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["statuses"] == {"created": 1}


def test_ingest_goes_through_the_running_service(service: Service, tmp_path: Path) -> None:
    file = write_lines(tmp_path / "news.ndjson", read_articles()[:5])
    with file.open("a") as lines:
        lines.write('{"title": "Tanpa isi"}\nnot JSON\n')
    before = service.get("/v1/stats")["article_count"]
    result = run("ingest", file, "--data", service.data, "--json")
    report = json.loads(result.stdout)

    assert result.exit_code == 1
    assert report["statuses"] == {"created": 5, "rejected": 2}
    assert sorted(item["code"] for item in report["rejected"]) == ["invalid", "malformed_json"]
    assert service.get("/v1/stats")["article_count"] == before + 5
    metrics = httpx.get(f"{service.url}/metrics", trust_env=False).text
    assert 'benang_articles_total{status="created"} 5.0' in metrics


def test_commands_come_in_where_others_need_a_key(tmp_path: Path) -> None:
    """A store with a key: strangers are refused, its own commands go on, and keys made meanwhile open."""
    data = tmp_path / "data"
    made = json.loads(run("keys", "create", "a", "--data", data, "--json").stdout)
    with start(data) as process:
        try:
            service = await_service(process, data)
            assert (data / "service.json").stat().st_mode & 0o777 == 0o600
            stats = f"{service.url}/v1/stats"
            key = {"Authorization": f"Bearer {made['secret']}"}
            assert httpx.get(stats, trust_env=False).status_code == 401
            assert httpx.get(stats, headers=key, trust_env=False).status_code == 200

            file = write_lines(tmp_path / "news.ndjson", read_articles()[:3])
            assert run("ingest", file, "--data", data).exit_code == 0
            assert httpx.get(stats, headers=key, trust_env=False).json()["article_count"] == 3
            (first, *_) = json.loads(run("stories", "--data", data, "--json").stdout)["items"]
            assert "same group" in said(run("merge", first["id"], first["id"], "--data", data))
            assert run("recluster", "--data", data, "--dry-run").exit_code == 0
            assert run("keys", "revoke", made["id"], "--data", data).exit_code == 0
            assert httpx.get(stats, headers=key, trust_env=False).status_code == 401
        finally:
            process.kill()


def test_reading_works_beside_the_service(service: Service) -> None:
    listed = json.loads(run("stories", "--data", service.data, "--json").stdout)
    answered = service.get("/v1/stories")
    assert [item["id"] for item in listed["items"]] == [item["id"] for item in answered["items"]]
    assert run("check", "--data", service.data).exit_code == 0


def test_second_service_on_the_folder_is_refused(service: Service) -> None:
    with start(service.data) as second:
        _, errors = second.communicate(timeout=PATIENCE_S)

    assert second.returncode == 2
    assert "Another benang process writes to" in " ".join(errors.decode().split())
    still = running_service(Settings(data=service.data))
    assert still is not None
    assert still.url == service.url, "the address of the first one must stay"
    assert service.get("/livez") == {"status": "alive"}


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGKILL])
def test_stopped_service_leaves_a_whole_store(sign: signal.Signals, tmp_path: Path) -> None:
    """SIGTERM closes the store and takes the address back; after SIGKILL both are left, and mislead nobody."""
    data = tmp_path / "data"
    with start(data) as process:
        service = await_service(process, data)
        article = read_articles()[0]
        httpx.post(f"{service.url}/v1/articles", json=article, trust_env=False).raise_for_status()
        process.send_signal(sign)
        process.wait(PATIENCE_S)

    was_killed = sign == signal.SIGKILL
    left = {
        file.name
        for file in data.iterdir()
        if file.name not in {"lock", "acknowledged"} and file.stat().st_size
    }
    assert left == {"benang.db", *(("benang.db-wal", "benang.db-shm", "service.json") if was_killed else ())}
    assert running_service(Settings(data=data)) is None
    listed = json.loads(run("stories", "--data", data, "--json").stdout)["items"]
    assert [item["article_count"] for item in listed] == [1]
    assert run("check", "--data", data).exit_code == 0


def test_folder_without_an_address_is_not_guessed_at(tmp_path: Path) -> None:
    """A process that loads files owns the folder but listens nowhere."""
    handle = os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with pytest.raises(StoreInUseError):
            running_service(Settings(data=tmp_path))
        result = run("ingest", write_lines(tmp_path / "a.ndjson", read_articles()[:1]), "--data", tmp_path)
        assert result.exit_code == 2
        assert "Another benang process writes to" in said(result)
    finally:
        os.close(handle)


# --- where it listens -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "benang.example"])
def test_other_machines_are_kept_out(host: str, tmp_path: Path) -> None:
    """Without a key it listens beyond loopback only when told that this is safe."""
    result = run("serve", "--host", host, "--data", tmp_path / "data")

    assert result.exit_code == 2
    assert "benang keys create" in said(result)
    assert "BENANG_OPEN_BEYOND_LOOPBACK" in said(result)
    assert not (tmp_path / "data").exists()
    check_address(Settings(host=host, open_beyond_loopback=True))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_loopback_is_open(host: str) -> None:
    check_address(Settings(host=host))


def test_a_key_opens_the_way_to_other_machines(tmp_path: Path) -> None:
    """Revoked or not: from the first key on nobody comes in without one."""
    settings = Settings(host="0.0.0.0", data=tmp_path)
    engine = writer_engine(tmp_path)
    for version in ("0003", "head"):  # a store of an earlier version has no keys
        with engine.begin() as connection:
            config = Config()
            config.set_main_option("script_location", str(MIGRATIONS))
            config.attributes["connection"] = connection
            command.upgrade(config, version)
        with pytest.raises(CannotListenError, match="no key yet"):
            check_address(settings)
    with engine.begin() as connection:
        add_key(connection, Key("key_1", "", "read", b"digest", 0, revoked_us=1))

    check_address(settings)
    engine.dispose()


def test_port_in_use_is_named(service: Service, tmp_path: Path) -> None:
    result = run("serve", "--port", service.url.rpartition(":")[2], "--data", tmp_path / "data")

    assert result.exit_code == 2
    assert "Cannot listen on" in said(result)


def test_cannot_listen_is_an_error_of_its_own() -> None:
    with pytest.raises(CannotListenError, match="no key yet"):
        check_address(Settings(host="0.0.0.0"))
