"""An hour of mixed load under a killer: `python -m benchmarks.soak --minutes 60`.

One client posts, repeats, revises and deletes articles, joins clusters as an editor and asks for nightly runs, in an order drawn
from a seed, while others read. Every few seconds the service is ended with SIGKILL and started again; what was not
acknowledged is sent again. Then the same words go to a service that nobody disturbs, and every article must stand with the
same others in cluster and story. `--publish` writes the table into `benchmarks/README.md`.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from benchmarks.ingest import Service, command
from benchmarks.streams import stream
from benchmarks.table import markdown, publish

if TYPE_CHECKING:
    from collections.abc import Iterator

DAYS = 14.0
ARTICLES = 200_000
"""Articles the stream could give: more than an hour takes."""
LIFE_S = (2.0, 20.0)
"""The shortest and the longest time that the killer leaves a ready service; longer by as much for each night it has undone."""
PAUSE_S = 0.05
PATIENCE_S = 600.0
NIGHT_EVERY = 120
READS = (
    "/v1/articles?limit=20",
    "/v1/clusters?min_sources=2",
    "/v1/stories",
    "/v1/changes?limit=100",
    "/v1/stats",
    "/metrics",
)
Word = tuple[str, Any]
"""What the client does, and with what: articles are named by their external ID."""


@dataclass(slots=True)
class Told:
    """What a client did and heard."""

    words: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    ids: dict[str, str] = field(default_factory=dict)
    """Article ID by external ID, of what was acknowledged and not deleted since."""
    renamed: int = 0
    """Articles that were answered under two IDs, which must never be."""
    again: int = 0
    reads: Counter[str] = field(default_factory=Counter)
    kills: int = 0
    nights_lost: int = 0
    peak_mib: float = 0.0


def words(seed: int) -> Iterator[Word]:
    """Yield what a client does, without end, drawn from `seed`."""
    chance = random.Random(seed)  # noqa: S311  it draws words and moments, not keys
    news = stream(ARTICLES, DAYS, seed=seed)
    sent: dict[str, dict[str, Any]] = {}

    def fresh(count: int) -> list[dict[str, Any]]:
        found = [
            {name: one[name] for name in one if name not in {"cluster", "story", "copy_of"}}
            for one in islice(news, count)
        ]
        sent.update({one["external_id"]: one for one in found})
        return found

    yield "post", fresh(20)
    for number in range(1, ARTICLES):
        if number % NIGHT_EVERY == 0:
            yield "night", None
        known = chance.choice(list(sent))
        match chance.choices(("new", "one", "repeat", "revise", "delete", "merge"), (70, 12, 8, 5, 3, 2))[0]:
            case "new":
                yield "post", fresh(chance.randint(5, 60))
            case "one":
                yield "post", fresh(1)
            case "repeat":
                yield "repeat", [sent[known]]
            case "revise":
                sent[known] = sent[known] | {"text": f"{sent[known]['text']} Ralat nomor {number}."}
                yield "revise", [sent[known]]
            case "delete":
                del sent[known]
                yield "delete", known
            case "merge":
                yield "merge", (known, chance.choice(list(sent)))


class Client:
    """Says words to a service until each is acknowledged, whatever happens to the service meanwhile."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.told = Told()
        self.service = Service(folder)
        self.over = threading.Event()
        self.lost_in_a_row = 0
        self._past: list[Service] = []

    def say(self, word: Word) -> None:
        """Say a word, again and again while the service is away."""
        kind, what = word
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                getattr(self, f"_{kind}")(what)
            except (httpx.TransportError, AwayError):
                self.told.again += 1
                if time.monotonic() > deadline:
                    raise
                time.sleep(PAUSE_S)
            else:
                self.told.words += 1
                self.told.kinds[kind] += 1
                return

    def restart(self) -> None:
        """Kill the service and start it again on the same folder."""
        self.told.peak_mib = max(self.told.peak_mib, self.service.resident_mib())
        self.service.kill()
        self.told.kills += 1
        self._past.append(self.service)  # readers may still hold its client
        self.service = Service(self.folder)

    def end(self) -> None:
        """Stop the service as an operator would, and close every connection."""
        self.service.end()
        for one in self._past:
            one.client.close()

    def _ask(self, method: str, path: str, **given: Any) -> httpx.Response:
        answer = self.service.client.request(method, path, **given)
        if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
            raise AwayError
        return answer

    def _post(self, articles: list[dict[str, Any]]) -> None:
        answer = self._ask("POST", "/v1/articles/bulk", json=articles).raise_for_status().json()
        for article, item in zip(articles, answer["items"], strict=True):
            if "error" in item:
                if item["error"]["status"] == httpx.codes.SERVICE_UNAVAILABLE:
                    raise AwayError
                raise RuntimeError(f"{article['external_id']} was refused: {item['error']}")
            known = self.told.ids.setdefault(article["external_id"], item["id"])
            self.told.renamed += known != item["id"]

    _repeat = _revise = _post

    def _delete(self, name: str) -> None:
        answer = self._ask("DELETE", f"/v1/articles/{self.told.ids[name]}")
        if answer.status_code not in {httpx.codes.NO_CONTENT, httpx.codes.GONE}:
            raise RuntimeError(f"{name} was not deleted: {answer.status_code}")
        del self.told.ids[name]

    def _merge(self, names: tuple[str, str]) -> None:
        places = [
            self._ask("GET", f"/v1/articles/{self.told.ids[one]}").raise_for_status().json() for one in names
        ]
        one, other = (place["cluster_id"] for place in places)
        if one != other:
            answer = self._ask("POST", f"/v1/clusters/{one}/merge", json={"other_id": other, "actor": "soak"})
            if answer.status_code not in {httpx.codes.OK, httpx.codes.CREATED, httpx.codes.CONFLICT}:
                raise RuntimeError(f"the merge was refused: {answer.text}")

    def _night(self, _: None) -> None:
        while True:
            answer = self._ask("POST", "/v1/reclusterings", json={})
            run = answer.raise_for_status().json()
            while run["status"] in {"queued", "running"}:
                time.sleep(PAUSE_S)
                try:
                    run = self._ask("GET", f"/v1/reclusterings/{run['id']}").raise_for_status().json()
                except (httpx.TransportError, AwayError):
                    continue
            if run["status"] == "done":
                self.lost_in_a_row = 0
                return
            self.told.nights_lost += 1
            self.lost_in_a_row += 1

    def read_on(self, seed: int) -> None:
        """Read what any reader would, until it is over; count answers by status."""
        chance = random.Random(seed)  # noqa: S311  it draws words and moments, not keys
        while not self.over.wait(PAUSE_S):
            path = chance.choice(READS)
            if (known := list(self.told.ids.values())) and chance.random() < 0.5:
                path = f"/v1/articles/{chance.choice(known)}" + chance.choice(
                    ("", "/similar", "/explanation")
                )
            try:
                self.told.reads[str(self.service.client.get(path).status_code)] += 1
            except httpx.TransportError:
                self.told.reads["away"] += 1


class AwayError(Exception):
    """The service answers that it is not ready."""


def disturbed(folder: Path, seed: int, minutes: float) -> Told:
    """Say words for so many minutes, under a killer and beside readers."""
    client = Client(folder)
    chance = random.Random(seed)  # noqa: S311  it draws words and moments, not keys
    readers = [threading.Thread(target=client.read_on, args=(seed + one,)) for one in range(2)]

    def kill() -> None:
        least, most = LIFE_S
        # A night that takes longer than any life would be lost for ever.
        while not client.over.wait(chance.uniform(least, most * (1 + client.lost_in_a_row))):
            client.restart()

    killer = threading.Thread(target=kill)
    for thread in (killer, *readers):
        thread.start()
    end = time.monotonic() + minutes * 60
    try:
        for word in words(seed):
            if time.monotonic() > end:
                break
            client.say(word)
    finally:
        client.over.set()
        for thread in (killer, *readers):
            thread.join()
        client.end()
    return client.told


def undisturbed(folder: Path, seed: int, count: int) -> Told:
    """Say the first `count` words to a service that nobody disturbs."""
    client = Client(folder)
    for word in islice(words(seed), count):
        client.say(word)
    client.told.peak_mib = client.service.resident_mib()
    client.end()
    return client.told


def state(folder: Path) -> dict[str, tuple[str, ...]]:
    """Return what a store says of each article, by external ID: title, relation, original, and its groups by a member."""
    service = Service(folder)
    items: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        query = {"limit": 100} | ({"cursor": cursor} if cursor else {})
        page = service.client.get("/v1/articles", params=query).raise_for_status().json()
        items += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    service.end()
    names = {one["id"]: one["external_id"] for one in items}
    firsts: dict[str, str] = {}
    for one in sorted(items, key=lambda one: str(one["external_id"])):
        for group in (one["cluster_id"], one["story_id"]):
            firsts.setdefault(group, one["external_id"])
    return {
        one["external_id"]: (
            one["title"],
            one["relation"],
            names.get(one["copy_of"], ""),
            firsts[one["cluster_id"]],
            firsts[one["story_id"]],
        )
        for one in items
    }


@dataclass(frozen=True, slots=True)
class Soaked:
    """What was done under the killer and without, what both stores say, and the exit status of `benang check`."""

    told: Told
    calm: Told
    here: dict[str, tuple[str, ...]]
    there: dict[str, tuple[str, ...]]
    check: int

    @property
    def missing(self) -> int:
        """How many acknowledged articles are gone."""
        return len(self.told.ids.keys() - self.here.keys())

    @property
    def differing(self) -> int:
        """How many articles stand otherwise than they would have undisturbed."""
        return sum(self.here.get(one) != self.there.get(one) for one in self.here.keys() | self.there.keys())


def soak(folder: Path, seed: int, minutes: float) -> Soaked:
    """Run the load under the killer, then the same words undisturbed, and compare."""
    killed, calm = folder / "killed", folder / "calm"
    told = disturbed(killed, seed, minutes)
    again = undisturbed(calm, seed, told.words)
    check = subprocess.run(command("check", "--data", str(killed)), capture_output=True, check=False)
    return Soaked(told, again, state(killed), state(calm), check.returncode)


def table(minutes: float, soaked: Soaked) -> str:
    """Return what was done, and whether anything came out otherwise than undisturbed."""
    told = soaked.told
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in sorted(told.kinds.items()))
    reads = ", ".join(f"{count:,} × {status}" for status, count in sorted(told.reads.items()))
    rows = [
        ["minutes, kills", f"{minutes:g}, {told.kills:,}"],
        ["requests acknowledged", kinds],
        ["sent again because the service was away", f"{told.again:,}"],
        ["nightly runs lost to a kill and asked for again", f"{told.nights_lost:,}"],
        ["answers to readers meanwhile", reads],
        [
            "articles at the end; acknowledged and missing; answered under two IDs",
            f"{len(soaked.here):,}; {soaked.missing}; {told.renamed}",
        ],
        ["articles that stand otherwise than undisturbed", f"{soaked.differing:,} of {len(soaked.there):,}"],
        ["`benang check` afterwards", "all in order" if soaked.check == 0 else f"exit status {soaked.check}"],
        [
            "resident memory at a kill, at most; undisturbed at the end",
            f"{told.peak_mib:,.0f} MiB; {soaked.calm.peak_mib:,.0f} MiB",
        ],
    ]
    return markdown(["what", "measured"], rows)


def main() -> None:
    """Run the soak and show what came of it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--publish", action="store_true", help="write the table into benchmarks/README.md")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="benang-soak-") as folder:
        text = table(given.minutes, soak(Path(folder), given.seed, given.minutes))
    if given.publish:
        publish("soak", text)
    else:
        print(text)


if __name__ == "__main__":
    main()
