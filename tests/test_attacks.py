"""P18, P19: whatever an article holds comes back as data, and neither a browser, a terminal nor a log obeys it."""

from __future__ import annotations

import html
import io
import json
import random
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx
import places
import pytest
from attacks import ATTACKS
from prometheus_client.parser import text_string_to_metric_families
from served import served
from test_api import JSON as BODY
from test_api import assert_problem
from test_cli import run
from test_stream import heard, wait_for

from service.api.entrances import NEEDS
from service.desk import Desk
from service.display import display_form
from service.extract.clean import normalise
from service.guard import SECURITY_HEADERS
from service.prepare import prepare
from service.schemas import ArticleIn
from service.telemetry import Metrics, set_up_logging

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

JSON, HTML = "application/json", "text/html; charset=utf-8"
TYPES = {
    "GET /metrics": "text/plain; version=0.0.4; charset=utf-8",
    "GET /": HTML,
    "GET /docs": HTML,
    "GET /docs.css": "text/css; charset=utf-8",
}
"""What is answered where it is not JSON."""
NOT_ASKED = {"GET /v1/changes/stream", "POST /v1/webhooks", "DELETE /v1/webhooks/{webhook_id}"}
"""Asked in other ways."""
PAGES = ("/", "/docs", "/docs.css", "/openapi.json")
FIELDS = ("title", "text", "source", "author", "external_id", "metadata")
OWN = "kunci-sendiri"
SLOWEST_S = 120
"""Several hundred pages in one request."""
LABEL = re.compile(r"[\w ./{}+@-]*", re.ASCII)
COLOUR = re.compile(r"\x1b\[(?:\d{1,2}(?:;\d{1,2})*)?m")
LAYOUT = re.compile(r"[\s│├─└]+")
"""What a terminal's own layout puts between the letters of a title."""

Known = dict[str, dict[str, Any]]


@dataclass
class Attacked:
    """A service that is sent everything, asked over HTTP."""

    desk: Desk
    client: httpx.Client
    folder: Path
    asked: set[str] = field(default_factory=set)

    def ask(
        self, route: str, *, status: int = 200, json: Any = None, query: str = "", **ids: str
    ) -> httpx.Response:
        """Ask a route; whatever it answers has the headers and the type that it should have."""
        method, template = route.split()
        answer = self.client.request(method, template.format_map(ids) + query, json=json)
        self.asked.add(route)
        assert answer.status_code == status, answer.text
        assert_guarded(answer)
        if status != 204:
            assert answer.headers["Content-Type"] == TYPES.get(route, JSON)
        return answer

    def listed(self, route: str, query: str = "") -> list[dict[str, Any]]:
        """Every item of a list."""
        found: list[dict[str, Any]] = []
        cursor = ""
        while True:
            page = self.ask(route, query=f"?limit=100{query}{cursor}").json()
            found += page["items"]
            if page["next_cursor"] is None:
                return found
            cursor = f"&cursor={page['next_cursor']}"


def assert_guarded(answer: httpx.Response) -> None:
    for name, value in SECURITY_HEADERS.items():
        assert answer.headers[name] == value


def invented(number: int, attack: str) -> str:
    """A body of its own, with an attack in the middle of a sentence."""
    chance = random.Random(number)
    words = [
        "".join(chance.choice("bdgklmnprst") + chance.choice("aiou") for _ in range(3)) for _ in range(80)
    ]
    told = " ".join(words[:40]), " ".join(words[40:])
    return (
        f"Warga melihat {told[0]} kemarin. Di papan tertulis {attack} kata petugas. Lalu {told[1]} terjadi."
    )


def bodies() -> Iterator[dict[str, Any]]:
    """Every attack in every text field: of a body, of a pasted page, and of HTML where it is escaped and where it is not."""
    for number, attack in enumerate(ATTACKS):
        text = invented(number, attack)
        yield {
            "external_id": attack,
            "source": attack,
            "title": attack,
            "author": attack,
            "text": text,
            "metadata": {attack[:64]: "kunci", "nilai": attack},
        }
        named = {"source": f"harian{number}.example", "published_at": "2026-02-08T10:00:00+07:00"}
        page = f"{attack}\nMinggu, 8 Februari 2026\n{text}"
        yield named | {"external_id": f"page {attack}", "page": page}
        for kind, written in (("raw", attack), ("escaped", html.escape(attack))):
            page = (
                f'<html><head><title>{written}</title><meta name="author" content="{written}"></head><body><article>'
                f"<h1>{written}</h1><p>{text.replace(attack, written)}</p></article></body></html>"
            )
            yield named | {"external_id": f"{kind} {attack}", "html": page}


pytestmark = pytest.mark.slow_on_postgresql


@pytest.fixture(scope="module")
def attacked(database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attacked]:
    folder = tmp_path_factory.mktemp("attacked")
    headers = {"Authorization": f"Bearer {OWN}"}
    settings = places.settings_of(folder, recluster_window_days=36_500)
    with (
        Desk.open(settings, Metrics()) as desk,
        served(desk, own_secret=OWN) as url,
        httpx.Client(base_url=url, headers=headers, timeout=SLOWEST_S, trust_env=False) as client,
    ):
        yield Attacked(desk, client, folder)


@pytest.fixture(scope="module")
def pages_before(attacked: Attacked) -> list[str]:
    return [attacked.client.get(path).text for path in PAGES]


@pytest.fixture(scope="module")
def known(attacked: Attacked, pages_before: list[str]) -> Known:
    """What extraction makes of each article that was taken, by the ID that it got."""
    sent = list(bodies())
    answer = attacked.client.post("/v1/articles/bulk", json=sent)
    assert_guarded(answer)
    found = {}
    for body, item in zip(sent, answer.json()["items"], strict=True):
        if item["status"] == "rejected":  # a page that its own marks swallow
            assert item["error"]["code"] == "invalid"
            assert body["external_id"].startswith(("raw", "page"))
            continue
        now, pages = datetime.now(tz=UTC), attacked.desk.pages
        article = prepare(ArticleIn.model_validate(body), now=now, future_tolerance_s=600, pages=pages)
        found[item["id"]] = {name: getattr(article, name) for name in FIELDS}
    assert len(found) > 3 * len(ATTACKS)
    return found


# --- HTTP -------------------------------------------------------------------------------------------------------------


def test_articles_come_back_as_they_were_read(attacked: Attacked, known: Known) -> None:
    """P18: the JSON parses back to what extraction kept: the caller's own words, but for titles and bodies cleaned."""
    sent = {body["external_id"]: body for body in bodies()}
    for article_id, expected in known.items():
        found = attacked.ask("GET /v1/articles/{article_id}", article_id=article_id).json()
        assert {name: found[name] for name in FIELDS} == expected
        body = sent[found["external_id"]]
        assert found["metadata"] == body.get("metadata", {})
        if "text" in body:
            assert found["author"] == body["author"]
    assert {" ".join(normalise(attack).split()) for attack in ATTACKS} <= titles_of(known)


def titles_of(known: Known) -> set[str]:
    return {one["title"] for one in known.values()}


def test_every_route_answers_data(attacked: Attacked, known: Known, pages_before: list[str]) -> None:
    """P18: each route there is: JSON, events or metrics, guarded, and no page shows anything of it."""
    ask, titles = attacked.ask, titles_of(known)
    articles = attacked.listed("GET /v1/articles")
    assert {one["id"] for one in articles} == known.keys()
    assert all(one["title"] == known[one["id"]]["title"] for one in articles)
    for route in ("GET /v1/clusters", "GET /v1/stories"):
        assert {one["title"] for one in attacked.listed(route)} <= titles
    for one in articles[::20]:
        ids = {"article_id": one["id"], "cluster_id": one["cluster_id"], "story_id": one["story_id"]}
        assert ask("GET /v1/clusters/{cluster_id}", **ids).json()["title"] in titles
        assert ask("GET /v1/stories/{story_id}", **ids).json()["title"] in titles
        events = ask("GET /v1/stories/{story_id}/timeline", **ids).json()["events"]
        near = ask("GET /v1/articles/{article_id}/similar", **ids).json()["items"]
        assert {one["headline"] for one in events} | {one["title"] for one in near} <= titles
        ask("GET /v1/articles/{article_id}", **ids)
        ask("GET /v1/articles/{article_id}/explanation", **ids)
    again = [body for body in bodies() if "text" in body]
    items = ask("POST /v1/articles/bulk", json=again).json()["items"]
    assert [one["title"] for one in items] == [known[one["id"]]["title"] for one in items]
    ask("POST /v1/articles", json=again[0])
    probe = {name: again[0][name] for name in ("title", "text", "source")}
    assert ask("POST /v1/similar", json=probe).json()["items"]

    edit(attacked, "cluster", "clusters", "articles")
    edit(attacked, "story", "stories", "clusters")
    run_id = ask("POST /v1/reclusterings", status=202, json={"dry_run": True}).json()["id"]
    # A night is a process of its own, which has to start.
    wait_for(lambda: ask("GET /v1/reclusterings/{run_id}", run_id=run_id).json()["status"] != "running", 60)
    assert ask("GET /v1/reclusterings").json()["items"][0]["status"] == "done"
    changes = ask("GET /v1/changes", query="?limit=1000").json()["items"]
    with attacked.client.stream("GET", "/v1/changes/stream") as stream:
        assert_guarded(stream)
        assert stream.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        assert [event.data for _, event in zip(changes, heard(stream), strict=False)] == changes
    for attack in ATTACKS[::4]:
        key = ask("POST /v1/keys", status=201, json={"name": attack, "scope": "read"}).json()
        ask("DELETE /v1/keys/{key_id}", status=204, key_id=key["id"])
    assert {one["name"] for one in ask("GET /v1/keys").json()["items"]} == set(ATTACKS[::4])
    for route in ("GET /v1/webhooks", "GET /v1/audit", "GET /v1/stats", "GET /livez", "GET /readyz"):
        ask(route)
    gone = ask("POST /v1/articles", status=201, json=again[0] | {"external_id": "akan dihapus"}).json()["id"]
    ask("DELETE /v1/articles/{article_id}", status=204, article_id=gone)

    assert [ask(f"GET {path}").text for path in PAGES] == pages_before
    for family in text_string_to_metric_families(ask("GET /metrics").text):
        for sample in family.samples:
            assert all(LABEL.fullmatch(value) for value in sample.labels.values()), sample
    assert attacked.asked >= NEEDS.keys() - NOT_ASKED, "ask the new ones too"


def edit(attacked: Attacked, level: str, groups: str, members: str) -> None:
    """Sign with attacks: two groups are merged, not parted against that word, and left as they were."""
    route, name = f"/v1/{groups}/{{{level}_id}}", f"{level}_id"
    for attack in ATTACKS[::8]:
        signed = {"actor": attack, "note": attack}
        first, second = attacked.ask(f"GET /v1/{groups}", query="?limit=2").json()["items"]
        gone = attacked.listed(f"GET /v1/{members}", f"&{name}={second['id']}")
        part = {f"{members[:-1]}_ids": [one["id"] for one in gone]}
        ids = {name: first["id"]}
        merged = attacked.ask(f"POST {route}/merge", json=signed | {"other_id": second["id"]}, **ids).json()
        refused = attacked.client.post(f"/v1/{groups}/{first['id']}/split", json=signed | part)
        assert_problem(refused, refused.json()["code"])  # a contradiction, or nothing would be left
        assert_guarded(refused)
        assert attack not in refused.text
        attacked.asked.add(f"POST {route}/split")
        assert (merged["actor"], merged["note"]) == (attack, attack)
        attacked.ask("POST /v1/edits/{edit_id}/undo", json={"actor": attack}, edit_id=merged["id"])
        told = attacked.ask(f"GET {route}/history", **ids).json()["items"]
        assert attack in {one["edit"]["note"] for one in told if one["edit"]}
        assert attack in {one["undone_by"] for one in attacked.ask("GET /v1/edits").json()["items"]}


def test_refusals_echo_no_attack(attacked: Attacked) -> None:
    """P18, P27: as an address, a query, a field, a body: a problem in JSON, the same for all but for where it was."""
    client = attacked.client
    for attack in ATTACKS:
        written = quote(attack, safe="")
        for answer, code in (
            (client.get(f"/v1/articles/x{written}"), "not_found"),
            (client.get("/v1/articles", params={"limit": attack}), "invalid"),
            (client.get("/v1/articles", params={attack: "1"}), "invalid"),
            (client.get("/v1/articles", params={"cursor": attack}), "invalid"),
            (client.post("/v1/articles", json={attack: attack}), "invalid"),
            (client.post("/v1/articles", json={"url": attack, "html": "x"}), "invalid"),
            (client.post("/v1/articles", content=b"[" + attack.encode(), headers=BODY), "malformed_json"),
            (client.post("/v1/webhooks", json={"url": attack}), "invalid"),
        ):
            problem = assert_problem(answer, code)
            assert_guarded(answer)
            pointers = [one.pop("pointer") for one in problem["errors"]]
            assert all(pointer.isascii() and pointer.isprintable() for pointer in pointers)
            problem["instance"] = ""
            assert attack not in json.dumps(problem, ensure_ascii=False)


# --- logs -------------------------------------------------------------------------------------------------------------


class Terminal(io.StringIO):
    """A stream that people look at."""

    def isatty(self) -> bool:
        return True


def send_all(attacked: Attacked) -> int:
    """Send every attack once more, in what is stored and in what is asked for; returns the number of requests."""
    for body in bodies():
        if "text" in body:
            attacked.client.post("/v1/articles", json=body)
    for attack in ATTACKS:
        attacked.client.get(f"/v1/articles/x{quote(attack, safe='')}")
    return 2 * len(ATTACKS)


def test_no_log_line_is_forged(attacked: Attacked, known: Known) -> None:
    """P18: as many lines as requests, each one object in ASCII, and nothing of articles in them but an address asked for."""
    log = io.StringIO()
    set_up_logging(lambda: log)
    number = send_all(attacked)
    lines = log.getvalue().split("\n")[:-1]
    assert all(line.isascii() and line.isprintable() for line in lines)
    told = [json.loads(line) for line in lines]
    assert [one["event"] for one in told] == ["request"] * number
    paths = [one.pop("path") for one in told]
    assert paths[-len(ATTACKS) :] == [f"/v1/articles/x{attack}"[:200] for attack in ATTACKS]
    rest = json.dumps(told, ensure_ascii=False)
    assert [attack for attack in ATTACKS if json.dumps(attack, ensure_ascii=False)[1:-1] in rest] == []


def test_a_log_in_a_terminal_moves_no_cursor(attacked: Attacked, known: Known) -> None:
    """P19: read by eyes, a line is one line too, and its only control characters are the colours of the renderer."""
    log = Terminal()
    set_up_logging(lambda: log)
    number = send_all(attacked)
    lines = log.getvalue().split("\n")[:-1]
    assert len(lines) == number
    assert all(COLOUR.sub("", line).isprintable() for line in lines)
    assert "\x1b[31mBanjir" not in log.getvalue()


# --- the terminal -----------------------------------------------------------------------------------------------------


@pytest.fixture
def data(attacked: Attacked, known: Known, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, value in places.environment_of(attacked.folder).items():
        monkeypatch.setenv(name, value)
    return attacked.folder


def squeezed(text: str) -> str:
    return LAYOUT.sub("", text)


def shown(*arguments: str | Path, exit_code: int = 0) -> str:
    """What a command shows to people, of which a terminal obeys nothing, without its layout."""
    result = run(*arguments)
    assert result.exit_code == exit_code, result.output
    assert result.output.replace("\n", "").isprintable(), arguments
    return squeezed(result.output)


def test_stories_are_text_in_the_terminal(attacked: Attacked, data: Path) -> None:
    """P18, P19: titles and outlets stand there letter by letter, markup too, without what is obeyed or invisible."""
    listed = shown("stories", "--data", data, "--limit", "100")
    stories = attacked.ask("GET /v1/stories", query="?limit=100").json()["items"]
    assert all(squeezed(display_form(story["title"])) in listed for story in stories)
    for story in stories[::3]:
        told = shown("story", story["id"], "--data", data)
        events = attacked.ask("GET /v1/stories/{story_id}/timeline", story_id=story["id"]).json()["events"]
        for report in events[0]["reports"]:
            assert squeezed(display_form(report["source"] + report["title"])) in told
    for one in attacked.ask("GET /v1/articles", query="?limit=100").json()["items"][::3]:
        assert squeezed(display_form(one["title"] + one["source"])) in shown("why", one["id"], "--data", data)
    assert "WRONG" not in shown("check", "--data", data)


def test_json_in_the_terminal_is_all_visible(attacked: Attacked, data: Path) -> None:
    """P19: what could not be seen is an escape, which parses back to the very value."""
    result = run("stories", "--data", data, "--limit", "100", "--json")
    assert result.stdout.replace("\n", "").isprintable()
    assert json.loads(result.stdout) == attacked.ask("GET /v1/stories", query="?limit=100").json()


def test_words_and_keys_are_text_in_the_terminal(attacked: Attacked, data: Path) -> None:
    """P18, P19: names of keys, and what editors say."""
    for attack in ATTACKS[::8]:
        listed = attacked.ask("GET /v1/clusters", query="?limit=2").json()["items"]
        first, second = (one["id"] for one in listed)
        signed = {"actor": attack, "note": attack, "other_id": second}
        word = attacked.ask("POST /v1/clusters/{cluster_id}/merge", json=signed, cluster_id=first).json()
        assert squeezed(display_form(attack) * 2) in shown("history", first, "--data", data)
        attacked.ask("POST /v1/edits/{edit_id}/undo", json={"actor": attack}, edit_id=word["id"])
        attacked.ask("POST /v1/keys", status=201, json={"name": attack, "scope": "read"})
        assert squeezed(display_form(attack)) in shown("keys", "list", "--data", data)
    shown("audit", "--data", data)


@pytest.mark.parametrize("every", [5, pytest.param(1, marks=pytest.mark.slow)])
def test_what_commands_complain_about_is_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, every: int
) -> None:
    """P19: names of files and IDs come from strangers too."""
    for number, attack in enumerate(ATTACKS[::every]):
        file = tmp_path / f"{attack.replace('/', '-')[:60]}.ndjson"
        file.write_text('{"title": "Tanpa isi"}\nrusak\n', encoding="utf-8")
        if number % 10 == 0:
            shown("ingest", file, "--data", tmp_path / "data", exit_code=1)
        shown("ingest", file.with_suffix(".tak-ada"), "--data", tmp_path / "data", exit_code=2)
        shown("story", attack.replace("-", "_"), "--data", tmp_path / "data", exit_code=2)
    shown("ingest", tmp_path, "--data", tmp_path / "data", exit_code=1)
