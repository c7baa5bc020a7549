"""The bundled model without PyTorch: the same vectors, and nothing heavy to import."""

import subprocess
import sys

import numpy as np
import pytest

from embeddings.encoder import SentenceEncoder, quantise
from embeddings.wordtable import WordTable

TEXTS = [
    "Gempa bumi mengguncang Cianjur, ratusan rumah rusak berat",
    "“GEMPA”—Guncang (kota)! Rp2.500 – naik 3,5 persen",
    "Mbappé dan Erdoğan bertemu di Île-de-France",
    "",
    "zxqv wvuqx",
    "jakarta " * 500,
]


@pytest.fixture(scope="module")
def table() -> WordTable:
    return WordTable()


def test_codes_are_those_of_sentence_transformers(table: WordTable) -> None:
    """A store made with either can be continued with the other: same name, same codes."""
    library = SentenceEncoder()

    assert (library.name, library.dimension) == (table.name, table.dimension)
    np.testing.assert_array_equal(quantise(library.encode(TEXTS)), quantise(table.encode(TEXTS)))


def test_rows_are_unit_vectors_or_zero(table: WordTable) -> None:
    """A text with any known word has length 1; an empty one and one of unknown words are zero."""
    vectors = table.encode(TEXTS)

    assert vectors.dtype == np.float32
    assert vectors.shape == (len(TEXTS), table.dimension)
    assert pytest.approx([1, 1, 1, 0, 0, 1], abs=1e-6) == np.linalg.norm(vectors, axis=1).tolist()
    assert table.encode([]).shape == (0, table.dimension)


def test_vectors_do_not_depend_on_the_batch(table: WordTable) -> None:
    """A text has the same vector alone and among others."""
    alone = np.concatenate([table.encode([text]) for text in TEXTS])

    np.testing.assert_array_equal(alone, table.encode(TEXTS))


def test_pytorch_is_not_imported() -> None:
    """Who uses the bundled model does not wait for PyTorch."""
    code = "import sys; from embeddings.wordtable import WordTable; WordTable().encode(['a']); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "False"
