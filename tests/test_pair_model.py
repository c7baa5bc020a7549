"""Pair models against plain walks through their trees, and against the library that grew them."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import unhurried
from hypothesis import given
from hypothesis import strategies as st

from embeddings.encoder import BUNDLED
from embeddings.pair_model import LEAF, PairModel
from embeddings.shelf import Shelf
from embeddings.similarity import FEATURES, compare
from embeddings.terms import bundled_background
from embeddings.training import pairs as training
from embeddings.training.pairs import EVENT_FEATURES, STORY_FEATURES, Pairs, fit
from embeddings.vectors import vectorise
from embeddings.wordtable import WordTable
from service.settings import Settings

Tree = dict[str, Any]
EIGHTHS = st.integers(-16, 16).map(lambda part: part / 8)
SPLITS = st.tuples(st.integers(0, 4), EIGHTHS)


def inner(split: tuple[int, float], left: Tree, right: Tree) -> Tree:
    return {"feature": split[0], "threshold": split[1], "left": left, "right": right}


TREES = st.recursive(
    EIGHTHS.map(lambda value: {"value": value}),
    lambda smaller: st.builds(inner, SPLITS, smaller, smaller),
    max_leaves=8,
)


def laid_out(trees: list[Tree], names: tuple[str, ...], bias: float) -> PairModel:
    """The trees end to end, parents before their children."""
    nodes: list[list[Any]] = []

    def place(tree: Tree) -> int:
        here = len(nodes)
        nodes.append([LEAF, 0.0, LEAF, LEAF, tree.get("value", 0.0)])
        if "feature" in tree:
            children = [place(tree["left"]), place(tree["right"])]
            nodes[here] = [tree["feature"], tree["threshold"], *children, 0.0]
        return here

    roots = tuple(place(tree) for tree in trees)
    feature, threshold, left, right, value = (
        tuple(node[part] for node in nodes) if nodes else () for part in range(5)
    )
    return PairModel("test", names, bias, roots, feature, threshold, left, right, value)


def walked(tree: Tree, values: dict[str, float], names: tuple[str, ...]) -> float:
    while "feature" in tree:
        tree = tree["left"] if values[names[tree["feature"]]] <= tree["threshold"] else tree["right"]
    return float(tree["value"])


@unhurried
@given(
    st.lists(TREES, max_size=4),
    st.permutations(FEATURES).map(lambda names: tuple(names[:5])),
    st.floats(-60, 60) | st.integers(-2, 2),
    st.integers(0, 2**32 - 1),
)
def test_probability_is_the_logistic_of_what_the_leaves_add_up_to(
    trees: list[Tree], names: tuple[str, ...], bias: float, seed: int
) -> None:
    """One leaf a tree, found by going left where the feature is at most the threshold; rounded to six places."""
    # Eighths, so that many values lie on a threshold.
    features = np.random.default_rng(seed).integers(-20, 20, (6, len(FEATURES))) / 8
    actual = laid_out(trees, names, bias).probability(features).tolist()
    expected = []
    for row in features.tolist():
        values = dict(zip(FEATURES, row, strict=True))
        logit = bias + sum(walked(tree, values, names) for tree in trees)
        expected.append(1 / (1 + math.exp(-logit)))

    assert pytest.approx(expected, abs=1.1e-6) == actual
    assert [round(value, 6) for value in actual] == actual
    assert all(0 <= value <= 1 for value in actual)


def random_pairs(seed: int, count: int, noise: float = 1.0) -> Pairs:
    """Features in eighths, which every midpoint keeps exactly, and a label that hangs on three of them."""
    chance = np.random.default_rng(seed)
    features = chance.integers(-16, 17, (count, len(FEATURES))) / 8
    logit = features[:, 0] + features[:, 4] * features[:, 7] + chance.normal(0, noise, count)
    return Pairs(
        np.zeros((count, 2), dtype=np.intp), features, logit > 1, chance.choice([0.25, 0.5, 1.0], count)
    )


@pytest.mark.parametrize(
    "names", [EVENT_FEATURES, STORY_FEATURES, ("key_name", "dense_cosine", "lead_cosine")]
)
def test_a_fitted_model_answers_as_the_library_does(names: tuple[str, ...], monkeypatch: Any) -> None:
    """The plain numbers give what scikit-learn's `predict_proba` gives, on pairs it learnt from and on others."""
    grown: list[Any] = []
    as_numbers = training._plain

    def watched(name: str, columns: tuple[str, ...], model: Any) -> PairModel:
        grown.append(model)
        return as_numbers(name, columns, model)

    monkeypatch.setattr(training, "_plain", watched)
    monkeypatch.setattr(training, "TREES", 40)
    known = [random_pairs(1, 400), random_pairs(2, 300)]
    model = fit("test-1", names, known)
    positions = [FEATURES.index(name) for name in names]
    for part in (*known, random_pairs(3, 500)):
        expected = grown[0].predict_proba(part.features[:, positions])[:, 1]
        np.testing.assert_allclose(model.probability(part.features), expected, atol=2e-5)
    assert (model.name, model.features, len(model.roots)) == ("test-1", names, 40)


def test_a_fitted_model_has_learnt_and_learns_the_same_again(monkeypatch: Any) -> None:
    """Pairs it never saw are mostly told right; the same pairs give the same model."""
    monkeypatch.setattr(training, "TREES", 60)
    known, new = random_pairs(1, 1500, 0.3), random_pairs(2, 500, 0.3)
    model = fit("test-1", FEATURES, [known])
    right = (model.probability(new.features) > 0.5) == new.same

    assert max(new.same.mean(), 1 - new.same.mean()) + 0.1 < right.mean()
    assert model == fit("test-1", FEATURES, [known])


def test_pairs_without_weight_teach_nothing(monkeypatch: Any) -> None:
    """Of two kinds of pairs with opposite labels, the ones that count decide."""
    monkeypatch.setattr(training, "TREES", 40)
    pairs = random_pairs(1, 600, 0.0)
    turned = Pairs(pairs.rows, pairs.features, ~pairs.same, pairs.weight * 1e-3)
    model = fit("test-1", FEATURES, [pairs, turned])

    assert ((model.probability(pairs.features) > 0.5) == pairs.same).mean() > 0.85


SOUND: dict[str, Any] = {
    "name": "event-9",
    "features": ["log_days", "lead_cosine"],
    "bias": -0.25,
    "roots": [0, 3],
    "feature": [1, -1, -1, 0, -1, 1, -1, -1],
    "threshold": [0.5, 0, 0, 1.25, 0, 0.75, 0, 0],
    "left": [1, -1, -1, 4, -1, 6, -1, -1],
    "right": [2, -1, -1, 5, -1, 7, -1, -1],
    "value": [0, -1.5, 2.0, 0, 0.125, 0, 1 / 3, 4.0],
}


def written(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def test_a_model_is_read_as_it_was_written(tmp_path: Path) -> None:
    """All fields come back exactly, and the bytes are the same when written again."""
    model = PairModel.load(written(tmp_path / "sound.json", SOUND))
    for path in (tmp_path / "model.json", tmp_path / "again.json"):
        model.save(path)
        assert model == PairModel.load(path)
        model = PairModel.load(path)

    assert json.loads((tmp_path / "model.json").read_text(encoding="utf-8")) == SOUND
    assert (tmp_path / "model.json").read_bytes() == (tmp_path / "again.json").read_bytes()
    features = np.zeros((2, len(FEATURES)))
    features[1, FEATURES.index("lead_cosine")] = features[1, FEATURES.index("log_days")] = 2
    logits = [-0.25 - 1.5 + 0.125, -0.25 + 2 + 4]
    assert (
        pytest.approx([1 / (1 + math.exp(-logit)) for logit in logits], abs=1e-6)
        == model.probability(features).tolist()
    )


def changed(name: str, place: int, value: Any) -> dict[str, Any]:
    kept: list[Any] = [*SOUND[name]]
    kept[place] = value
    return {name: kept}


@pytest.mark.parametrize(
    "changes",
    [
        {"features": ["log_days", "colour"]},
        {"features": ["log_days", 3]},
        {"features": ["log_days"]},
        {"features": "log_days"},
        # An inner node that leads to itself, back, or nowhere.
        changed("left", 0, 0),
        changed("right", 5, 5),
        changed("right", 5, 3),
        changed("left", 3, 0),
        changed("left", 0, -1),
        changed("right", 5, 8),
        # A half of a node would be cut to the node itself.
        changed("left", 3, 3.5),
        changed("left", 0, None),
        changed("feature", 0, 2),
        changed("feature", 0, -2),
        changed("feature", 0, 0.5),
        changed("roots", 1, 8),
        changed("roots", 0, -1),
        changed("roots", 0, "0"),
        changed("value", 1, "much"),
        changed("value", 1, math.nan),
        changed("threshold", 0, math.inf),
        changed("threshold", 0, None),
        changed("value", 1, 10**400),
        {"bias": math.nan},
        {"bias": None},
        {"bias": [0.5]},
        {"roots": 0},
        {"value": {}},
        *({name: SOUND[name][:-1]} for name in ("feature", "threshold", "left", "right", "value")),
        *({name: [*SOUND[name], -1]} for name in ("feature", "threshold", "left", "right", "value")),
        {"weights": [1.0, 2.0]},
    ],
)
def test_a_damaged_model_is_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    """Unknown features, trees that lead in circles or nowhere, lists of other lengths, and what is no number."""
    with pytest.raises(ValueError, match=r"model\.json"):
        PairModel.load(written(tmp_path / "model.json", SOUND | changes))


@pytest.mark.parametrize(
    "content",
    [
        [],
        {},
        3,
        {"name": "event-1", "features": ["lead_cosine"], "weights": [1.0], "bias": 0.5},
        *({key: value for key, value in SOUND.items() if key != name} for name in SOUND),
    ],
)
def test_another_file_is_no_model(tmp_path: Path, content: Any) -> None:
    """A model of an older version, or one with a part missing, is refused in words."""
    with pytest.raises(ValueError, match=r"model\.json: (this is no pair model|not a model)"):
        PairModel.load(written(tmp_path / "model.json", content))


def test_text_that_is_no_json_is_refused(tmp_path: Path) -> None:
    """Half a file is a `ValueError` too."""
    (tmp_path / "model.json").write_text('{"name": "ev', encoding="utf-8")

    with pytest.raises(ValueError, match="Unterminated"):
        PairModel.load(tmp_path / "model.json")


def test_a_whole_number_for_a_bias_is_a_number(tmp_path: Path) -> None:
    """A bias written without a point adds up like any other."""
    whole, real = (
        PairModel.load(written(tmp_path / "model.json", SOUND | {"bias": bias})) for bias in (1, 1.0)
    )
    features = np.random.default_rng(0).uniform(0, 2, (20, len(FEATURES)))

    assert real.probability(features).tolist() == whole.probability(features).tolist()


INVENTED = [
    (
        "Jembatan Gantung Way Tebing Putus, Tiga Warga Hanyut",
        (
            "Jembatan gantung di Desa Way Tebing, Kabupaten Tanggamus, putus diterjang banjir bandang pada Selasa (14/5) "
            "sore. Tiga warga hanyut terbawa arus, dua di antaranya ditemukan selamat. Kepala BPBD Tanggamus Irvan Wahyudi "
            "mengatakan pencarian seorang korban bernama Suparmin, 52 tahun, dilanjutkan Rabu pagi."
        ),
    ),
    (
        "Petani Bawang Brebes Keluhkan Harga Anjlok",
        (
            "Harga bawang merah di tingkat petani Brebes turun menjadi Rp 9.500 per kilogram. Ketua kelompok tani Sumber "
            "Makmur, Warsito, meminta pemerintah menghentikan impor selama panen raya berlangsung hingga akhir bulan."
        ),
    ),
    (
        "Garuda Muda Tahan Imbang Thailand di Laga Uji Coba",
        (
            "Tim nasional U-20 bermain imbang 1-1 melawan Thailand di Stadion Manahan, Solo. Gol penyeimbang dicetak Rendi "
            "Saputra pada menit ke-83 lewat tendangan bebas. Pelatih menilai pertahanan masih perlu dibenahi."
        ),
    ),
    (
        "Festival Perahu Naga Digelar di Tanjungpinang",
        (
            "Sebanyak 24 tim dari lima negara mengikuti lomba perahu naga di Sungai Carang. Dinas pariwisata menargetkan "
            "12.000 pengunjung selama tiga hari penyelenggaraan, dengan bazar kuliner Melayu di tepi sungai."
        ),
    ),
]


@pytest.mark.parametrize(
    ("file", "least"),
    [
        ("event.json", 0.9),
        # Openers of two clusters are never copies of one another, so the story model has seen none.
        ("story.json", Settings().story_cut),
    ],
)
def test_bundled_models_tell_a_copy_from_another_matter(file: str, least: float) -> None:
    """Invented reports: a copy an hour later is the same matter, the others of the day are surely not."""
    model = PairModel.load(BUNDLED / file)
    table, background = WordTable(), bundled_background()
    shelf = Shelf(table.dimension, background.rarity)
    shelf.extend(
        vectorise(table, background, INVENTED * 2), [8, 6, 7.5, 5, 9, 7, 8.5, 6], [1, 2, 3, 4, 5, 6, 7, 8]
    )
    for row in range(4):
        company = np.arange(4, 8, dtype=np.intp)
        probability = model.probability(compare(shelf, np.full(4, row, dtype=np.intp), company).features)

        assert probability[row] > least
        assert np.delete(probability, row).max() < 0.1
