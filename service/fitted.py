"""Pair models that were fitted: what speaks for them, and the folder and model card they are written to."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from service.labels import FitError
from service.settings import CUTS_FILE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from embeddings.pair_model import PairModel
    from service import metrics


@dataclass(frozen=True, slots=True)
class Scores:
    """What one pair of models and cuts reached on the held-out articles."""

    cut: float
    story_cut: float
    bcubed: metrics.Score
    pairwise: metrics.Score
    stories_all: metrics.Score
    stories_labelled: metrics.Score


@dataclass(frozen=True, slots=True)
class Fitted:
    """New models with their cuts, and what speaks for them.

    `story_is_new` is False where labels were too few, or the model in use did better: it then stays.
    """

    event: PairModel
    story: PairModel
    story_is_new: bool
    before: Scores
    after: Scores
    encoder: str
    learned_from: int
    held_out: int
    pairs: int
    story_pairs: int
    first: str
    last: str
    seconds: float

    @property
    def is_better(self) -> bool:
        """Whether BCubed F1 of events rose and their pairwise F1 did not fall."""
        before, after = self.before, self.after
        return after.bcubed.f1 > before.bcubed.f1 and after.pairwise.f1 >= before.pairwise.f1

    def as_dict(self) -> dict[str, Any]:
        """Return what was learnt as JSON values."""
        learnt = {"event": self.event.as_dict(), "story": self.story.as_dict()}
        return {**asdict(self), **learnt, "is_better": self.is_better}


def write_model(folder: Path, fitted: Fitted, sources: Sequence[str]) -> None:
    """Write the models, the cuts and a model card; `sources` are the names of the labelled files.

    Raises:
        FitError: the folder holds something already.
        OSError: it cannot be written.
    """
    check_folder(folder)
    folder.mkdir(parents=True, exist_ok=True)
    fitted.event.save(folder / "event.json")
    fitted.story.save(folder / "story.json")
    cuts = {"cut": fitted.after.cut, "story_cut": fitted.after.story_cut}
    (folder / CUTS_FILE).write_text(json.dumps(cuts, indent=2) + "\n", encoding="utf-8")
    (folder / "MODEL_CARD.md").write_text(model_card(fitted, sources), encoding="utf-8")


def check_folder(folder: Path) -> None:
    """Make sure that nothing would be overwritten.

    Raises:
        FitError: the folder holds something already.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FitError(f"{folder} is not empty; name a new folder with --out.")


def model_card(fitted: Fitted, sources: Sequence[str]) -> str:
    """Return the card: what the models were made from, and how they did before and after."""
    files = ", ".join(f"`{name}`" for name in sources)
    story = (
        f"fitted on {fitted.story_pairs:,} pairs of one story"
        if fitted.story_is_new
        else f"not fitted: {fitted.story_pairs:,} pairs of one story, and the one in use did no worse"
    )
    sizes = (
        f"learnt from {fitted.learned_from:,} articles, cuts chosen on {fitted.held_out:,} held-out ones that begin later and "
        "share no story with them"
    )
    use = (
        f"set `BENANG_PAIR_MODEL` to this folder; its cuts ({fitted.after.cut} for events, {fitted.after.story_cut} for "
        "stories) hold unless `BENANG_CUT` or `BENANG_STORY_CUT` is set"
    )
    caution = (
        "On the held-out articles, by the whole road of the service. The cuts were chosen on the same articles, so expect "
        "a little less elsewhere."
    )
    lines = [
        "# Pair models fitted with `benang fit`",
        "",
        f"* **Labels**: {files}; articles of {fitted.first} to {fitted.last}.",
        f"* **Sizes**: {sizes}.",
        f"* **Event model** `{fitted.event.name}`: fitted on {fitted.pairs:,} pairs of one event.",
        f"* **Story model** `{fitted.story.name}`: {story}.",
        f"* **Encoder**: `{fitted.encoder}`. With another encoder these models mean nothing.",
        f"* **Use**: {use}.",
        "",
        caution,
        "",
        "| | before | after |",
        "| --- | --- | --- |",
        *(f"| {name} | {before} | {after} |" for name, before, after in table(fitted)),
        "",
    ]
    return "\n".join(lines)


def table(fitted: Fitted) -> Iterator[tuple[str, str, str]]:
    """Yield the rows of the comparison: name, before, after."""
    before, after = fitted.before, fitted.after
    yield "cut of events", f"{before.cut:.2f}", f"{after.cut:.2f}"
    for label, name in (("events, BCubed", "bcubed"), ("events, pairwise", "pairwise")):
        for part, title in (("precision", "precision"), ("recall", "recall"), ("f1", "F1")):
            old, new = (getattr(getattr(one, name), part) for one in (before, after))
            yield f"{label} {title}", f"{old:.3f}", f"{new:.3f}"
    yield "cut of stories", f"{before.story_cut:.2f}", f"{after.story_cut:.2f}"
    yield "stories, BCubed F1, all articles", f"{before.stories_all.f1:.3f}", f"{after.stories_all.f1:.3f}"
    yield (
        "stories, BCubed F1, articles with a story",
        f"{before.stories_labelled.f1:.3f}",
        f"{after.stories_labelled.f1:.3f}",
    )
