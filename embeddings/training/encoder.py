"""Train the bundled encoder: `python -m embeddings.training.encoder CORPUS.ndjson.gz HEADLINES.ndjson.gz`.

A static model: each word has one vector, an article is their mean. The vectors begin as the right singular vectors of
the word-by-article matrix (latent semantic analysis, Deerwester et al. 1990) weighted by inverse document frequency, so
that the mean of a text's words is its projection; then they learn which headline, opening and rest belong to one
article among its look-alikes (see `contrast.py`; about ten minutes on two cores). They are stored as int8 with one float scale a word, the format
sentence-transformers reads from model2vec. Same input, same bytes.
"""

from __future__ import annotations

import argparse
import gzip
import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from safetensors.numpy import save_file
from scipy import sparse
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, StaticEmbedding
from sklearn.utils.extmath import randomized_svd
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

from embeddings.text import normalise, words
from embeddings.training.background import MODEL, read_articles
from embeddings.training.contrast import Parts, contrast, parts_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

DIMENSION = 256
MAX_WORDS = 500
MIN_DOCUMENTS = 5
HEADLINE_WEIGHT = 0.25
UNKNOWN = "[UNK]"


def read_headlines(path: Path) -> Iterator[list[str]]:
    """Yield the lower-case words of each headline."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield words(normalise(json.loads(line)["title"]).lower())


def choose_vocabulary(documents: list[list[str]], headlines: Path) -> tuple[list[str], Counter[str]]:
    """Return the words seen often enough in articles (headlines count a quarter) and their document frequency."""
    frequency: Counter[str] = Counter()
    for document in documents:
        frequency.update(set(document))
    recent: Counter[str] = Counter()
    for headline in read_headlines(headlines):
        recent.update(set(headline))
    chosen = [word for word in frequency if frequency[word] + HEADLINE_WEIGHT * recent[word] >= MIN_DOCUMENTS]
    return sorted(chosen), frequency


def word_vectors(
    documents: list[list[str]], vocabulary: list[str], frequency: Counter[str]
) -> npt.NDArray[np.float32]:
    """Return float32 (words, DIMENSION): the singular vectors times inverse document frequency."""
    column = {word: position for position, word in enumerate(vocabulary)}
    idf = np.log((len(documents) + 1) / (np.array([frequency[word] for word in vocabulary]) + 1))
    counts = [Counter(column[word] for word in document if word in column) for document in documents]
    indptr = np.cumsum([0, *(len(count) for count in counts)])
    indices = np.concatenate([np.fromiter(count.keys(), dtype=np.int32) for count in counts])
    values = np.concatenate([1 + np.log(np.fromiter(count.values(), dtype=np.float32)) for count in counts])
    matrix = sparse.csr_matrix((values, indices, indptr), shape=(len(documents), len(vocabulary)))
    matrix = matrix @ sparse.diags(idf)
    norms = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
    matrix = sparse.diags(1 / np.maximum(norms, 1e-9)) @ matrix
    _, _, components = randomized_svd(matrix.tocsr().astype(np.float32), DIMENSION, n_iter=4, random_state=0)
    return np.asarray(components.T * idf[:, None], dtype=np.float32)


def article_parts(corpus: Path, vocabulary: list[str]) -> Iterator[Parts]:
    """Yield headline, opening and rest of each article as word numbers."""
    number = {word: place for place, word in enumerate(vocabulary)}
    for title, text in read_articles(corpus):
        headline, body = (
            [number[word] for word in words(part.lower()) if word in number] for part in (title, text)
        )
        parts = parts_of(headline, body)
        if parts is not None:
            yield parts


def build_tokenizer(vocabulary: list[str]) -> Tokenizer:
    """Return a word-level tokenizer that splits as `embeddings.text.words` does."""
    table = {UNKNOWN: 0} | {word: position for position, word in enumerate(vocabulary, start=1)}
    tokenizer = Tokenizer(models.WordLevel(table, unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Split(
        Regex(r"[\p{L}\p{M}\p{N}]+"), behavior="removed", invert=True
    )
    return tokenizer


def save_model(folder: Path, tokenizer: Tokenizer, vectors: npt.NDArray[np.float32]) -> None:
    """Write a sentence-transformers folder whose vectors are int8 with one scale a word."""
    table = np.vstack([np.zeros((1, DIMENSION), dtype=np.float32), vectors])
    static = StaticEmbedding(tokenizer, embedding_weights=table)
    SentenceTransformer(modules=[static, Normalize()], device="cpu").save(
        str(folder), create_model_card=False
    )
    scale = np.abs(table).max(axis=1) / 127
    codes = np.rint(table / np.maximum(scale, 1e-12)[:, None]).astype(np.int8)
    weights = next(file for file in folder.rglob("model.safetensors"))
    save_file({"embeddings": codes, "weights": scale.astype(np.float32)}, weights, metadata={"format": "pt"})


def main() -> None:
    """Train and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus", type=Path)
    parser.add_argument("headlines", type=Path)
    parser.add_argument("--out", type=Path, default=MODEL)
    options = parser.parse_args()
    documents = [
        [*words(title.lower()) * 2, *words(text.lower())][:MAX_WORDS]
        for title, text in read_articles(options.corpus)
    ]
    vocabulary, frequency = choose_vocabulary(documents, options.headlines)
    vectors = contrast(
        word_vectors(documents, vocabulary, frequency), list(article_parts(options.corpus, vocabulary))
    )
    save_model(options.out, build_tokenizer(vocabulary), vectors)
    print(f"{len(documents)} articles, {len(vocabulary)} words, {DIMENSION} dimensions -> {options.out}")


if __name__ == "__main__":
    main()
