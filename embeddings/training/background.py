"""Count the background: `python -m embeddings.training.background CORPUS.ndjson.gz`.

Reads articles (NDJSON with `title` and `text`), counts in how many distinct ones each term and each stem occurs and how often it is
written with a capital inside a sentence, and writes `embeddings/models/id-news/background.safetensors`.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from embeddings.stem import stem
from embeddings.terms import BUCKETS, UNKNOWN_SHARE, Background
from embeddings.text import normalise, term_id, words

if TYPE_CHECKING:
    from collections.abc import Iterator

MODEL = Path(__file__).parents[1] / "models" / "id-news"
MIN_SEEN = 3
# A capital after a full stop, a quote or a bracket says nothing about the word.
_INSIDE = re.compile(r"[^\s.!?\"“”(\[:]\s+([^\W\d_]+)")


def read_articles(path: Path) -> Iterator[tuple[str, str]]:
    """Yield title and text of each distinct article (by the first 200 characters of its text)."""
    seen: set[str] = set()
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            start = row["text"][:200]
            if start not in seen:
                seen.add(start)
                yield normalise(row["title"]), normalise(row["text"])


def main() -> None:
    """Count and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--out", type=Path, default=MODEL / "background.safetensors")
    options = parser.parse_args()
    frequency = np.zeros(BUCKETS, dtype=np.int64)
    capital = np.zeros(BUCKETS, dtype=np.int64)
    seen = np.zeros(BUCKETS, dtype=np.int64)
    documents = 0
    for title, text in read_articles(options.corpus):
        documents += 1
        terms = set(words(title.lower())) | set(words(text.lower()))
        # A stem occurs wherever one of its forms does; a word is counted as itself as well.
        frequency[list({term_id(term) % BUCKETS for term in terms | set(map(stem, terms))})] += 1
        inside = _INSIDE.findall(text)
        np.add.at(seen, [term_id(word.lower()) % BUCKETS for word in inside], 1)
        np.add.at(capital, [term_id(word.lower()) % BUCKETS for word in inside if word[0].isupper()], 1)
    share = np.full(BUCKETS, UNKNOWN_SHARE, dtype=np.uint8)
    known = seen >= MIN_SEEN
    share[known] = np.rint(254 * capital[known] / seen[known]).astype(np.uint8)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    Background.save(options.out, documents, frequency, share)
    print(f"{documents} articles, {int((frequency > 0).sum())} buckets in use -> {options.out}")


if __name__ == "__main__":
    main()
