"""A client of a service: words that can be said to any store, and what is known from their answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Any

from editors import Newsroom
from sqlalchemy import select
from test_desk import opened
from wire import Groups, cut, groups

from service.store.tables import articles, edits, unsettled

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sqlalchemy import Engine

    from service.model import Article, Outcome
    from service.store.edits import Level

Word = tuple[Any, ...]
"""What is said: articles by external ID, groups by one of their articles, editors' words by their number."""
State = tuple[Groups, frozenset[str]]


def say(room: Newsroom, word: Word) -> list[Outcome]:
    """Say a word to any store that heard the words before it.

    Raises:
        Refused: editors' words that stand speak against it.
        EmptyWindowError: a night has nothing to look at.
        StoreUnavailable: the service died meanwhile.
    """
    match word:
        case ("post", items):
            return room.post(*items)
        case ("delete", name):
            room.delete(name)
        case ("merge", level, one, other):
            room.merge(level, room.group(level, one), room.group(level, other))
        case ("split", level, group, leaving):
            parts = [room.ids[one] if level == "cluster" else room.cluster(one) for one in leaving]
            room.split(level, room.group(level, group), parts)
        case ("undo", number):
            with room.desk.reader.connect() as connection:
                said = connection.execute(select(edits.c.id).order_by(edits.c.seq)).scalars().all()
            room.undo(said[number])
        case ("night", days, late):
            proposal = room.proposed(days)
            outcomes = room.post(*late) if late else []
            room.carry_out(proposal)
            return outcomes
    return []


def state(engine: Engine) -> State:
    """The groups of a store, and who waits for a night."""
    query = select(articles.c.external_id).join(unsettled, unsettled.c.article_seq == articles.c.seq)
    with engine.connect() as connection:
        return groups(engine), frozenset(connection.execute(query).scalars())


def said_undisturbed(folder: Path, words: Sequence[tuple[Word, State]], seed: int) -> None:
    """Say words to a new store, articles in other batches, and see that it stands after each as the first one did."""
    with opened(folder) as desk:
        room = Newsroom(desk)
        for are_posts, run in groupby(words, key=lambda one: one[0][0] == "post"):
            told = list(run)
            if are_posts:
                for part in cut([item for (_, items), _ in told for item in items], seed):
                    room.post(*part)
                told = told[-1:]
            for word, expected in told:
                desk._window = (
                    None  # an edit, a night or a deletion that it did not follow would show later on
                )
                if not are_posts:
                    say(room, word)
                assert state(desk.reader) == expected, word


# --- what is known ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Held:
    """An editor's word that was heard: articles, by ID, that belong together or apart."""

    level: Level
    kind: str
    these: frozenset[str]
    those: frozenset[str]

    def holds(self, found: dict[str, tuple[str, str]]) -> bool:
        here, there = (
            {found[one][self.level == "story"] for one in side if one in found}
            for side in (self.these, self.those)
        )
        return len(here | there) <= 1 if self.kind == "merge" else not here & there


@dataclass
class Known:
    """What was said to a service and answered, and may be counted on from then on."""

    stored: dict[str, tuple[str, tuple[tuple[str, str], ...]]] = field(default_factory=dict)
    """ID of every article, and title and text of all its revisions."""
    answered: set[str] = field(default_factory=set)
    """Every ID of an article, cluster or story there ever was."""
    held: list[Held | None] = field(default_factory=list)
    """Every editor's word, None once it is taken back."""
    words: list[tuple[Word, State]] = field(default_factory=list)
    """What was said, and how the store stood after it."""

    def copy(self) -> Known:
        return Known({**self.stored}, {*self.answered}, [*self.held], [*self.words])

    @property
    def ids(self) -> dict[str, str]:
        return {name: article_id for name, (article_id, _) in self.stored.items()}

    def take(self, outcomes: Sequence[Outcome], items: Sequence[Article], *, again: bool) -> None:
        """Take note of what was answered to articles; said again, they may have been there already."""
        for outcome, item in zip(outcomes, items, strict=True):
            name = str(item.external_id)
            article_id, texts = self.stored.get(name, (outcome.id, ()))
            is_new = texts[-1:] != ((item.title, item.text),)
            status = "unchanged" if not is_new else "revised" if texts else "created"
            assert outcome.id == article_id
            assert outcome.status == status or (again and outcome.status == "unchanged")
            self.stored[name] = (
                article_id,
                (*texts, (item.title, item.text)) if is_new else texts,
            )
            self.answered |= {outcome.id, outcome.placement.cluster_id, outcome.placement.story_id}

    def meant(self, word: Word, found: Groups) -> Held | None:
        """What an editor's word holds together or apart, where groups stand as found."""

        def beside(level: Level, name: str) -> frozenset[str]:
            parts = found.clusters if level == "cluster" else found.stories
            return frozenset(self.stored[one][0] for part in parts if name in part for one in part)

        match word:
            case ("merge", level, one, other):
                return Held(level, "merge", beside(level, one), beside(level, other))
            case ("split", "cluster", group, leaving):
                those = [name for name in self.stored if found.copies.get(name, (name,))[0] in leaving]
                apart = frozenset(self.stored[one][0] for one in those)
                return Held("cluster", "split", beside("cluster", group) - apart, apart)
            case ("split", "story", group, leaving):
                apart = frozenset[str]().union(*(beside("cluster", one) for one in leaving))
                return Held("story", "split", beside("story", group) - apart, apart)
        return None
