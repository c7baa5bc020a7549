"""Openings read at night: what a transformer makes of headline and first words, and what that adds to pairs.

Vectors are kept in a file between nights, each under the hash of the words it was made of: what is edited is read again, and
whoever deletes the file loses time and nothing else.
"""

from __future__ import annotations

import hashlib
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import structlog
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from embeddings.encoder import quantise
from embeddings.transformer import Transformer, opening_of
from service.parallel import forked
from service.placing import part_in, put_in_place
from service.recluster import CERTAIN
from service.store.texts import openings_in_order

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import numpy.typing as npt
    from sqlalchemy import Engine

    from service.recluster import Floats, Rows
    from service.settings import Settings
    from service.stage import Numbers

    Codes = npt.NDArray[np.int8]
    Keys = npt.NDArray[np.int64]
    Shown = Callable[[int, int], None]

FILE = "openings.safetensors"
AT_ONCE = 64
"""Openings that one process reads in a call: two seconds of work."""
PAIRS_AT_ONCE = 20_000
_KEY_BYTES = 8
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Read:
    """Codes (members, dimension) of openings, zeros where one was not read, and how a cosine adds to log-odds."""

    codes: Codes
    adds: tuple[float, float, float]

    def judged(self, left: Rows, right: Rows, probability: Floats) -> Floats:
        """Return the probability of pairs of members, with what their openings add to what the pair model said."""
        return self.raised(probability, *self.cosines(left, right))

    def raised(self, probability: Floats, cosine: Floats, known: npt.NDArray[np.bool_]) -> Floats:
        """Return the probability of pairs whose openings have this cosine, unchanged where it is not known."""
        share, weight, constant = self.adds
        clipped = np.clip(probability, CERTAIN, 1 - CERTAIN)
        log_odds = np.log(clipped / (1 - clipped))
        both = 1 / (1 + np.exp(-(share * log_odds + weight * cosine + constant)))
        return np.where(known, both, probability)

    def cosines(self, left: Rows, right: Rows) -> tuple[Floats, npt.NDArray[np.bool_]]:
        """Return the cosine of each pair, and whether both of its openings were read."""
        cosine, known = np.zeros(len(left)), np.zeros(len(left), dtype=np.bool_)
        for start in range(0, len(left), PAIRS_AT_ONCE):
            part = slice(start, start + PAIRS_AT_ONCE)
            here, there = (self.codes[rows[part]].astype(np.float32) for rows in (left, right))
            product, *squares = (
                np.einsum("ij,ij->i", *both).astype(np.float64)
                for both in ((here, there), (here, here), (there, there))
            )
            lengths = np.sqrt(squares[0] * squares[1])
            known[part] = lengths > 0
            cosine[part] = np.divide(product, lengths, out=np.zeros(len(product)), where=lengths > 0)
        return cosine, known


class Openings:
    """Reads the openings of a night's articles: at most `most` that no earlier night has read, the last ones first."""

    def __init__(
        self, engine: Engine, transformer: Transformer, most: int, kept_in: Path | None = None, jobs: int = 1
    ) -> None:
        self._engine = engine
        self._transformer = transformer
        self._most = most
        self._kept_in = kept_in
        self._jobs = jobs
        self.name = transformer.name

    def read(self, seqs: Numbers, shown: Shown = lambda _done, _total: None) -> Read:
        """Return what was read of the articles of these `seq`, which are in order of time."""
        with self._engine.connect() as connection:
            texts = [
                None if found is None else opening_of(*found, self._transformer.lead_words)
                for found in openings_in_order(connection, seqs.tolist())
            ]
        keys = np.array([_key(text) for text in texts], dtype=np.int64)
        codes = self._remembered(keys)
        unread = [row for row, text in enumerate(texts) if text is not None and not codes[row].any()]
        unread = unread[max(0, len(unread) - self._most) :]
        self._read_into(codes, texts, unread, shown)
        if unread:
            self._remember(keys, codes)
        return Read(codes, self._transformer.adds)

    def _read_into(
        self, codes: Codes, texts: Sequence[str | None], rows: Sequence[int], shown: Shown
    ) -> None:
        parts = [rows[start : start + AT_ONCE] for start in range(0, len(rows), AT_ONCE)]
        asked = [[texts[row] or "" for row in part] for part in parts]
        made = forked(self._jobs, _encoded, self._transformer, asked)
        for done, (part, found) in enumerate(zip(parts, made, strict=True), start=1):
            codes[part] = found
            shown(done, len(parts))

    def _remembered(self, keys: Keys) -> Codes:
        """Return the codes kept under these keys, zeros where there are none."""
        codes = np.zeros((len(keys), self._transformer.dimension), dtype=np.int8)
        if self._kept_in is None or not self._kept_in.exists():
            return codes
        try:
            with safe_open(self._kept_in, "np") as file:
                facts = file.metadata() or {}
                kept, values = file.get_tensor("keys"), file.get_tensor("codes")
        except (OSError, SafetensorError) as error:
            _log.warning("openings.unreadable", file=str(self._kept_in), error=str(error))
            return codes
        if facts.get("sum") != _sum(kept, values):
            _log.warning("openings.damaged", file=str(self._kept_in))
        elif facts.get("encoder") == self.name and len(kept):
            places = np.minimum(np.searchsorted(kept, keys), len(kept) - 1)
            found = kept[places] == keys
            codes[found] = values[places[found]]
        return codes

    def _remember(self, keys: Keys, codes: Codes) -> None:
        """Keep what is known of this night's articles for the next one."""
        if self._kept_in is None:
            return
        read = codes.any(axis=1)
        kept, first = np.unique(keys[read], return_index=True)
        values = codes[read][first]
        facts = {"encoder": self.name, "sum": _sum(kept, values)}
        try:
            with part_in(self._kept_in.parent) as part:
                save_file({"keys": kept, "codes": values}, part, metadata=facts)
                put_in_place(part, self._kept_in)
        except OSError as error:
            _log.warning("openings.not_kept", file=str(self._kept_in), error=str(error))


def openings_for(settings: Settings, engine: Engine, jobs: int) -> Openings | None:
    """Return who reads openings, where settings ask for it.

    Raises:
        ModelError: the transformer is missing or damaged.
    """
    if not settings.night_openings:
        return None
    kept_in = settings.data / FILE if settings.data.is_dir() else None
    return Openings(engine, Transformer(), settings.night_openings, kept_in, jobs)


def _encoded(transformer: Transformer, texts: list[str]) -> Codes:
    return quantise(transformer.encode(texts))


def _key(text: str | None) -> int:
    digest = hashlib.blake2b((text or "").encode(), digest_size=_KEY_BYTES).digest()
    return int.from_bytes(digest, "big", signed=True)


def _sum(keys: Keys, codes: Codes) -> str:
    return f"{zlib.crc32(np.ascontiguousarray(codes).data, zlib.crc32(keys.tobytes())):08x}"
