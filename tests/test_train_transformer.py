"""The recipe of the transformer, on a tiny model in the file format it starts from."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from embeddings.encoder import BUNDLED
from embeddings.layers import Layers
from embeddings.terms import Background
from embeddings.training import pairs, transformer
from embeddings.training.e5 import MAGIC, Start, read_start
from embeddings.transformer import Transformer
from embeddings.wordtable import WordTable

if TYPE_CHECKING:
    from pathlib import Path

WIDTH, LAYERS, HEADS, INNER, POSITIONS = 32, 2, 2, 64, 160
PIECES = [
    "<s>",
    "<pad>",
    "</s>",
    "<unk>",
    "▁",
    *"abcdefghijklmnopqrstuvwxyz.",
    "▁feri",
    "▁gempa",
    "▁lintang",
    "語",
]
TEXT = "feri lintang. tenggelam gempa feri feri feri feri gempa gempa gempa gempa lintang lintang lintang lintang"


def q4(rng: np.random.Generator, rows: int, columns: int) -> tuple[bytes, np.ndarray]:
    """A matrix in blocks of 32 numbers from -8 to 7, as bytes and as what they stand for."""
    whole = rng.integers(-8, 8, (rows, columns // 32, 32))
    scales = (rng.uniform(0.01, 0.05, (rows, columns // 32))).astype("<f2")
    stored = (whole + 8).astype(np.uint8)
    halves = stored[..., :16] | stored[..., 16:] << 4
    data = np.concatenate([scales[..., None].view(np.uint8).reshape(*scales.shape, 2), halves], axis=2)
    return data.tobytes(), (whole * scales.astype(np.float32)[..., None]).reshape(rows, columns)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, np.ndarray]]:
    """A file of the format, and its tensors."""
    rng = np.random.default_rng(0)
    tensors: dict[str, bytes] = {}
    values: dict[str, np.ndarray] = {}

    def matrix(name: str, rows: int, columns: int) -> None:
        tensors[name], values[name] = q4(rng, rows, columns)

    def plain(name: str, *shape: int, around: float = 0.0) -> None:
        values[name] = (around + rng.normal(0, 0.02, shape)).astype("<f4")
        tensors[name] = values[name].tobytes()

    matrix("emb.word", len(PIECES) + 3, WIDTH)
    plain("emb.pos", POSITIONS, WIDTH)
    plain("emb.type", WIDTH)
    plain("emb.ln.w", WIDTH, around=1)
    plain("emb.ln.b", WIDTH)
    for layer in range(LAYERS):
        for name, shape in {
            **dict.fromkeys(("q", "k", "v", "ao"), (WIDTH, WIDTH)),
            "fi": (INNER, WIDTH),
            "fo": (WIDTH, INNER),
        }.items():
            matrix(f"l{layer}.{name}.w", *shape)
            plain(f"l{layer}.{name}.b", shape[0])
        for name in ("aln", "oln"):
            plain(f"l{layer}.{name}.w", WIDTH, around=1)
            plain(f"l{layer}.{name}.b", WIDTH)
    blob = "".join(PIECES).encode()
    bounds = np.cumsum([0, *(len(piece.encode()) for piece in PIECES)]).astype("<u4")
    scores = np.array([0, 0, 0, 0, *(-5.0 - len(PIECES) / (1 + len(piece)) for piece in PIECES[4:])], "<f4")
    head = MAGIC + struct.pack(
        "<I7ifi", 1, WIDTH, LAYERS, HEADS, INNER, len(PIECES) + 3, POSITIONS, 1, 1e-12, 32
    )
    head += (
        struct.pack("<5iQ", len(PIECES), 0, 2, 1, 3, len(blob)) + bounds.tobytes() + scores.tobytes() + blob
    )
    head += struct.pack("<iI", 1, 9) + struct.pack("<IBI", 0x41, 1, 0x61) + struct.pack("<i", len(tensors))
    place = len(head) + sum(2 + len(name) + 21 for name in tensors)
    directory = body = b""
    for name, data in tensors.items():
        directory += struct.pack("<H", len(name)) + name.encode()
        directory += struct.pack("<BIQQ", 0, len(data), place + len(body), len(data))
        body += data
    file = tmp_path_factory.mktemp("e5") / "e5.bin"
    file.write_bytes(head + directory + body)
    return file, values


def start_of(made: tuple[Path, dict[str, np.ndarray]]) -> Start:
    return read_start(made[0], [TEXT])


def test_the_start_is_what_the_file_holds(made: tuple[Path, dict[str, np.ndarray]]) -> None:
    """Weights stand under our names; only pieces that the texts use, and Latin letters, are kept."""
    start, values = start_of(made), made[1]
    kept = [number for number, piece in enumerate(PIECES) if piece != "語"]

    assert (start.layers, start.heads) == (LAYERS, HEADS)
    np.testing.assert_array_equal(start.weights["word"], values["emb.word"][kept])
    np.testing.assert_array_equal(start.weights["position"], (values["emb.pos"] + values["emb.type"])[:128])
    np.testing.assert_array_equal(start.weights["1.outer.weight"], values["l1.fo.w"])
    np.testing.assert_array_equal(start.weights["0.attended.bias"], values["l0.aln.b"])
    assert start.tokenizer.encode("feri  lintang x").tokens == ["<s>", "▁feri", "▁lintang", "▁", "x", "</s>"]


def test_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(b"GGUF0000")

    with pytest.raises(ValueError, match=r"no e5-small-q4\.bin"):
        read_start(tmp_path / "model.bin", [])


def events() -> list[dict[str, str]]:
    """Sixteen invented events of three reports, whose words are letters that only they share."""
    rng = np.random.default_rng(1)
    rows = []
    for event in range(16):
        letters = rng.choice(list("abcdefghijklmnopqrstuvwxyz"), 6, replace=False)
        rows += [
            {
                "title": " ".join(rng.permutation(letters)[:4]),
                "text": " ".join(rng.permutation(letters)),
                "source": f"outlet-{report}",
                "published_at": f"2026-02-0{1 + event % 8}T0{report}:00:00+07:00",
                "cluster": f"event-{event}",
                "story": "",
            }
            for report in range(3)
        ]
    return sorted(rows, key=lambda row: row["published_at"])


def test_it_learns_what_belongs_together_and_is_saved_whole(
    made: tuple[Path, dict[str, np.ndarray]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Openings of one event come nearer than those of others; the same input gives the same; the saved model reads alike."""
    monkeypatch.setattr(transformer, "FROZEN", 1)
    monkeypatch.setattr(transformer, "ROUNDS", 30)
    monkeypatch.setattr(transformer, "RATE", 3e-3)
    start, rows = start_of(made), events()
    found = pairs.event_pairs(WordTable(), Background.load(BUNDLED / "background.safetensors"), rows)
    file = transformer.labelled(rows, found, start)
    before = apart(Layers(start.weights, LAYERS, HEADS), file)

    learnt = transformer.learn(start, file)

    assert apart(learnt, file) > before + 0.15
    again = transformer.learn(start, file)
    assert all(torch.equal(one, again.weights[name]) for name, one in learnt.weights.items())
    model = pairs.fit("event", ("log_days", "same_outlet"), [found])
    adds = transformer.learn_adds([(learnt, model, file)])
    assert adds[1] > 0
    transformer.save(tmp_path / "reader", start, learnt, adds)
    reader = Transformer(tmp_path / "reader")
    texts = [f"{row['title']}. {row['text']}" for row in rows]
    near = reader.encode(texts) @ reader.encode(texts).T
    same = file.events[:, None] == file.events
    assert near[same].mean() - near[~same].mean() == pytest.approx(apart(learnt, file), abs=0.02)
    assert reader.adds == adds


def apart(layers: Layers, file: transformer.Labelled) -> float:
    """How much nearer openings of one event are than others, mean cosine less mean cosine."""
    states = transformer._read(layers, file.tokens, 0, LAYERS)
    read = torch.nn.functional.normalize(torch.stack([one.mean(0) for one in states]), dim=1).numpy()
    near, same = read @ read.T, file.events[:, None] == file.events
    return float(near[same].mean() - near[~same].mean())
