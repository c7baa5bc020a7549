"""Learn the centroids of the bundled encoder: `python -m embeddings.training.centroids CORPUS.ndjson.gz`.

Spherical k-means (Lloyd 1982) over the codes of every article, quantised like an article. Half a minute on two cores. Run it again whenever
the encoder is trained again: its name is written beside them, and centroids of another encoder are not used.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import faiss
import numpy as np
from safetensors.numpy import save_file

from embeddings.encoder import CENTROIDS, encoder_text, quantise, unit
from embeddings.training.background import MODEL, read_articles
from embeddings.wordtable import WordTable

LISTS = 2048
ROUNDS = 15
AT_ONCE = 2000


def main() -> None:
    """Encode, gather and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--out", type=Path, default=MODEL / CENTROIDS)
    options = parser.parse_args()
    encoder = WordTable()
    texts = [encoder_text(*article) for article in read_articles(options.corpus)]
    parts = [encoder.encode(texts[start : start + AT_ONCE]) for start in range(0, len(texts), AT_ONCE)]
    codes = quantise(np.concatenate(parts)).astype(np.float32)
    codes = codes[codes.any(axis=1)]
    means = faiss.Kmeans(encoder.dimension, LISTS, niter=ROUNDS, seed=0, spherical=True)
    means.train(codes)
    assert means.centroids is not None
    save_file({"centroids": quantise(unit(means.centroids))}, options.out, metadata={"encoder": encoder.name})
    print(f"{len(codes)} articles, {LISTS} centroids -> {options.out}")


if __name__ == "__main__":
    main()
