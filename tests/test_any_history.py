"""P2 to P4b, P9: whatever befalls a service, it ends as one that heard the same words undisturbed.

A machine says words by chance to a desk that it kills, restarts and puts back to its backups meanwhile. After each step it
looks at all that must hold; at the end it says the same words to a new desk, in other batches, and compares after each.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections import Counter, defaultdict
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import places
import pytest
from client import Held, Known, Word, said_undisturbed, say, state
from editors import Newsroom
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from mirror import Mirror
from sqlalchemy import event, select
from test_backup import backed_up, put_back
from test_changes import follow, truth
from test_desk import PATIENCE_S, opened
from test_store import expected_counts, stored_counts
from wire import dump, faults, groups, look_alikes

from service.errors import Refused, StoreUnavailable
from service.nightly import EmptyWindowError
from service.store.carrying import carry_over
from service.store.changes import is_lost
from service.store.read import assignments
from service.store.tables import articles, redirects, revisions, tombstones

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Connection

    from service.desk import Desk
    from service.model import Outcome
    from service.store.edits import Level
    from service.window import Window

MOMENTS = 60
"""More statements than most words take: some of the killed die after their last, before anybody is answered."""

done: Counter[str] = Counter()
"""What happened in all histories of this process."""


# --- what befalls a service -------------------------------------------------------------------------------------------


@contextmanager
def killed_at(moment: int, desk: Desk, folder: Path, left: Path) -> Iterator[None]:
    """Kill a service at a statement of its writer: `left` is what its disk holds then; a server ends its connection."""
    statements = count(1)

    def kill(connection: Connection, *_: Any) -> None:
        if next(statements) != moment:
            return
        done["killed"] += 1
        if (server := places.current()) is None:
            shutil.copytree(folder, left)
        else:
            pid = connection.connection.dbapi_connection.info.backend_pid  # type: ignore[union-attr]
            server.execute(f"SELECT pg_terminate_backend({pid}, 5000)")

    event.listen(desk._engine, "before_cursor_execute", kill)
    try:
        yield
    finally:
        event.remove(desk._engine, "before_cursor_execute", kill)


def carried(source: Any, target: Any) -> None:
    carry_over(source, target, on_step=lambda _what, _rows: lambda _done: None)


def rows_of(window: Window) -> list[tuple[Any, ...]]:
    """What a window knows of each article, in its order."""
    found = []
    for row in window.articles.rows().tolist():
        cluster = int(window.clusters[row])
        saga = window.story_ids[window.story_of[cluster]]
        place = (window.article_id(row), window.cluster_ids[cluster], saga, window.sizes[cluster])
        found.append((*place, int(window.flags[row]), row in window.heads))
    return found


def some(names: Sequence[str], most: int, least: int = 0) -> st.SearchStrategy[list[str]]:
    if not names:
        return st.just([])
    return st.lists(st.sampled_from(names), min_size=least, max_size=most, unique=True)


class AnyHistory(RuleBasedStateMachine):
    """Words of clients, editors and nights, and what befalls a service between them and in the middle of one."""

    def __init__(self) -> None:
        super().__init__()
        self.home = tempfile.TemporaryDirectory()
        self.folders: list[Path] = []
        self.known = Known()
        self.backups: list[tuple[Path, Known]] = []
        self.mirror, self.after = Mirror(), 0

    @initialize(seed=st.integers(0, 10**6))
    def begin(self, seed: int) -> None:
        self.seed = seed
        self.coming = {str(one.external_id): one for one in look_alikes(seed, 40)}
        self.open(self.new_folder())
        self.say(("post", [*self.coming.values()][:12]))

    def new_folder(self) -> Path:
        self.folders.append(Path(self.home.name) / str(len(self.folders)))
        return self.folders[-1]

    def open(self, folder: Path) -> None:
        self.folder = folder
        self.desk = opened(folder)
        self.room = Newsroom(self.desk, self.known.ids)

    def say(self, word: Word | None, *, again: bool = False) -> None:
        if word is None:
            return
        held = self.known.meant(word, groups(self.desk.reader))
        try:
            outcomes = say(self.room, word)
        except (Refused, EmptyWindowError) as error:
            done[type(error).__name__] += 1
        else:
            self.heard(word, held, outcomes, again=again)

    def heard(self, word: Word, held: Held | None, outcomes: Sequence[Outcome], *, again: bool) -> None:
        match word:
            case ("post", items) | ("night", _, items):
                self.known.take(outcomes, items, again=again)
            case ("delete", name):
                self.room.ids.pop(name, None)
                del self.known.stored[name]
            case ("undo", number):
                self.known.held[number] = None
            case _:
                self.known.held.append(held)
        self.known.words.append((word, state(self.desk.reader)))
        done[word[0]] += 1

    # --- words by chance ----------------------------------------------------------------------------------------------

    def a_post(self, data: st.DataObject) -> Word | None:
        """Articles that are new or were deleted, and some that are stored, as they were or edited; each once."""
        new = [one for name, one in self.coming.items() if name not in self.known.stored]
        items = new[: data.draw(st.integers(1, 6))]
        for name in data.draw(some(sorted(self.known.stored), 2)):
            title, text = self.known.stored[name][1][-1]
            other = self.coming[data.draw(st.sampled_from(sorted(self.coming)))]
            match data.draw(st.sampled_from(["as it is", "longer", "shorter", "like another"])):
                case "longer":
                    text = f"{text} {other.text[:200]}"
                case "shorter":
                    text = text[: len(text) // 2]
                case "like another":
                    title, text = other.title, other.text
            place = data.draw(st.integers(0, len(items)))
            items.insert(place, replace(self.coming[name], title=title, text=text))
        return ("post", items) if items else None

    def a_delete(self, data: st.DataObject) -> Word | None:
        names = sorted(self.known.stored)
        return ("delete", data.draw(st.sampled_from(names))) if names else None

    def a_merge(self, data: st.DataObject) -> Word | None:
        level: Level = data.draw(st.sampled_from(["cluster", "story"]))
        firsts = sorted(map(min, self.room.parts(level)))
        return ("merge", level, *data.draw(some(firsts, 2, 2))) if len(firsts) > 1 else None

    def a_split(self, data: st.DataObject) -> Word | None:
        level: Level = data.draw(st.sampled_from(["cluster", "story"]))
        found = groups(self.desk.reader)
        if level == "cluster":
            several = [sorted(one - found.copies.keys()) for one in found.clusters]
        else:
            several = [sorted(min(one) for one in found.clusters if one <= saga) for saga in found.stories]
        several = sorted(parts for parts in several if len(parts) > 1)
        if not several:
            return None
        parts = data.draw(st.sampled_from(several))
        return ("split", level, parts[0], data.draw(some(parts, len(parts) - 1, 1)))

    def a_undo(self, data: st.DataObject) -> Word | None:
        standing = [number for number, one in enumerate(self.known.held) if one is not None]
        return ("undo", data.draw(st.sampled_from(standing))) if standing else None

    def a_night(self, data: st.DataObject) -> Word:
        """Over everything, or what waits to be settled; articles may come between its look and its changes."""
        late = self.a_post(data) if data.draw(st.booleans()) else None
        return ("night", data.draw(st.sampled_from([0, 3650])), late[1] if late else [])

    @rule(data=st.data(), kind=st.sampled_from(["post", "post", "delete", "night", "night"]))
    def speak(self, data: st.DataObject, kind: str) -> None:
        self.say(getattr(self, f"a_{kind}")(data))

    @rule(data=st.data(), kind=st.sampled_from(["merge", "split", "undo"]))
    def edit(self, data: st.DataObject, kind: str) -> None:
        self.say(getattr(self, f"a_{kind}")(data))

    # --- what befalls -------------------------------------------------------------------------------------------------

    @rule(data=st.data(), kind=st.sampled_from(["post", "post", "delete", "merge", "split", "undo", "night"]))
    def die(self, data: st.DataObject, kind: str) -> None:
        """Killed in the middle of a word, or after it and before the answer; what is not there is said again."""
        word: Word | None = getattr(self, f"a_{kind}")(data)
        if word is None:
            return
        if kind == "night":
            word = (*word[:2], [])  # what comes meanwhile is a word of its own
        before, held = dump(self.desk.reader), self.known.meant(word, groups(self.desk.reader))
        left = self.new_folder()
        moment = data.draw(st.integers(1, MOMENTS))
        with (
            killed_at(moment, self.desk, self.folder, left),
            suppress(Refused, EmptyWindowError, StoreUnavailable),
        ):
            say(Newsroom(self.desk, {**self.room.ids}), word)
        if places.current() is None and not left.exists():
            shutil.copytree(self.folder, left)
        self.desk.close()
        self.open(self.folder if places.current() else left)
        if kind == "post" or dump(self.desk.reader) == before:
            self.say(word, again=True)
        else:
            self.heard(word, held, [], again=True)

    @rule()
    def restart(self) -> None:
        self.desk.close()
        self.open(self.folder)
        done["restart"] += 1

    @rule()
    def back_up(self) -> None:
        """While it runs; a database, whose backups are its server's, is copied as `benang migrate-store` does."""
        file = Path(self.home.name) / f"backup{len(self.backups)}"
        if places.current() is None:
            backed_up(self.folder, file)
        else:
            self.desk.close()
            carried(places.place_of(self.folder), file)
            self.open(self.folder)
        self.backups.append((file, self.known.copy()))

    @rule(data=st.data())
    def restore(self, data: st.DataObject) -> None:
        """What was said since the backup is lost, and nobody counts on it any more."""
        if not self.backups:
            return
        file, known = self.backups[data.draw(st.integers(0, len(self.backups) - 1))]
        self.desk.close()
        if places.current() is None:
            assert put_back(file, self.folder, replace=True).is_sound
        else:
            self.folder = self.new_folder()
            carried(file, places.place_of(self.folder))
            self.mirror, self.after = Mirror(), 0  # nothing tells it: the documents ask to begin anew
        self.known = known.copy()
        self.open(self.folder)
        done["restore"] += 1

    # --- what must hold -----------------------------------------------------------------------------------------------

    @invariant()
    def the_store_is_sound(self) -> None:
        assert faults(self.desk.reader) == []
        assert expected_counts(self.desk.reader) == stored_counts(self.desk.reader)

    @invariant()
    def what_was_answered_is_there(self) -> None:
        """Articles with their IDs and every text they had, all IDs lead somewhere, and editors' words hold."""
        earlier: dict[str, list[tuple[str, str]]] = defaultdict(list)
        with self.desk.reader.connect() as connection:
            for row in connection.execute(select(revisions).order_by(revisions.c.revision)):
                earlier[row.article_id].append((row.title, row.text))
            stored = {
                row.external_id: (row.id, (*earlier[row.id], (row.title, row.text)), row.revision)
                for row in connection.execute(select(articles))
            }
            found = assignments(connection)
            leads = {row.id: row.target for row in connection.execute(select(redirects))}
            gone = {*connection.execute(select(tombstones.c.id)).scalars()}
        assert stored == {name: (one, texts, len(texts)) for name, (one, texts) in self.known.stored.items()}
        self.known.answered |= {group for place in found.values() for group in place}
        there = {*found, *(group for place in found.values() for group in place)}
        assert not there & gone
        assert {leads.get(one, one) for one in self.known.answered} <= there | gone
        assert not [word for word in self.known.held if word is not None and not word.holds(found)]

    @invariant()
    def the_window_is_what_a_start_would_make(self) -> None:
        desk = self.desk
        live, anew = desk._call(
            lambda: (rows_of(desk._live()), rows_of(desk._rebuild(lambda _rows: None))), writes=False
        ).result(PATIENCE_S)
        assert live == anew

    @invariant()
    def who_follows_the_feed_knows_it_all(self) -> None:
        with self.desk.reader.connect() as connection:
            if is_lost(connection, self.after):
                self.mirror, self.after = Mirror(), 0
        self.after = follow(self.mirror, self.desk.reader, self.after, 50)
        assert self.mirror == truth(self.desk.reader)

    def teardown(self) -> None:
        try:
            if self.folders:
                self.desk.close()
            if sys.exception() is None:
                said_undisturbed(self.new_folder(), self.known.words, self.seed)
        finally:
            for folder in self.folders:
                places.forget(folder)
            self.home.cleanup()


def lived(examples: int, steps: int) -> None:
    chosen = settings(deadline=None, max_examples=examples, stateful_step_count=steps)
    run_state_machine_as_test(AnyHistory, settings=chosen)


@pytest.mark.slow_on_postgresql
@pytest.mark.timeout(600)
def test_any_history_ends_as_undisturbed(database: str) -> None:
    lived(6 if database == "sqlite" else 3, 20)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_many_histories_end_as_undisturbed(database: str) -> None:
    """And every word was said, and everything befell."""
    done.clear()
    lived(25 if database == "sqlite" else 8, 40)

    kinds = ("post", "delete", "merge", "split", "undo", "night", "killed", "restart", "restore")
    assert min(done[kind] for kind in kinds) > 0, done
