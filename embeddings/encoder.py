"""Text to dense vectors: the `Encoder` protocol and its sentence-transformers implementation."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import httpx
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

BUNDLED = Path(__file__).parent / "models" / "id-news"
LEAD_WORDS = 120
_CODE_SCALE = 16.0
CODE_MAX = 127
CENTROIDS = "centroids.safetensors"
_NO_PART = {"background.safetensors", CENTROIDS}
"""Files in the folder of the bundled model that do not change its vectors."""
_HUB_TIMEOUT_S = 5.0


class Encoder(Protocol):
    """Anything that turns texts into vectors of one length.

    `name` identifies model and revision: vectors of different names are never compared.
    """

    name: str
    dimension: int

    def encode(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return float32 of shape (len(texts), dimension); rows have length 1, or 0 where nothing is known."""
        ...


class ModelError(RuntimeError):
    """The encoder could not be loaded; the message says what to do."""


class SentenceEncoder:
    """An encoder that runs any sentence-transformers model, from a local folder or a hub name."""

    def __init__(self, model: str = "bundled") -> None:
        """Load `model`: "bundled", a folder, or a hub name.

        Raises:
            ModelError: the model is missing, unreadable, or has no safetensors weights.
        """
        path = BUNDLED if model == "bundled" else Path(model)
        local = path.is_dir()
        if local:
            # Nothing may wait for a network when the model lies on the disk.
            os.environ.setdefault("HF_HUB_OFFLINE", "1")
            os.environ.setdefault("TRANSFORMERS_OFFLINE", "1")
            if not any(path.rglob("*.safetensors")):
                raise ModelError(
                    f"{path} holds no .safetensors weights; save the model again with safe_serialization=True."
                )
        # torch and transformers take seconds to import: only who encodes pays for them.
        from sentence_transformers import SentenceTransformer  # noqa: PLC0415

        try:
            self._model = SentenceTransformer(
                str(path) if local else model,
                device="cpu",
                trust_remote_code=False,
                local_files_only=local or not _on_hub(model),
                model_kwargs={"use_safetensors": True},
            )
        except Exception as error:
            raise ModelError(
                f"The model {model!r} could not be loaded. Give BENANG_MODEL a local sentence-transformers folder, "
                "or a hub name this machine can reach."
            ) from error
        self._model.eval()
        dimension = self._model.get_embedding_dimension()
        if dimension is None:
            raise ModelError(f"The model {model!r} does not say how long its vectors are.")
        self.dimension: int = int(dimension)
        self.name: str = f"{path.name if local else model}@{revision(path) if local else 'hub'}"

    def encode(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return one unit vector a text (see `Encoder.encode`)."""
        if not texts:
            return np.zeros((0, self.dimension), dtype=np.float32)
        vectors = self._model.encode(
            list(texts), batch_size=256, convert_to_numpy=True, show_progress_bar=False
        ).astype(np.float32)
        return unit(vectors)


def unit(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Scale each row to length 1; a row of zeros, or one that is not finite, becomes zeros."""
    vectors = np.where(np.isfinite(vectors).all(axis=1, keepdims=True), vectors, 0)
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(np.divide(vectors, norms, out=np.zeros_like(vectors), where=norms > 0))


def encoder_text(title: str, text: str) -> str:
    """Return what is encoded of an article: the headline twice and the first 120 words."""
    return f"{title}\n{title}\n{' '.join(text.split(maxsplit=LEAD_WORDS)[:LEAD_WORDS])}"


def quantise(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.int8]:
    """Return unit vectors as int8 codes.

    Codes are whole numbers, so their inner products are exact in float32 whatever the order of summation: the same
    pair scores the same in every batch, process and BLAS build. One step is 1/(16·√dimension), a sixteenth of the
    root mean square of a component, so the error of a cosine stays near 0.001.
    """
    scale = _CODE_SCALE * np.sqrt(vectors.shape[1])
    return np.asarray(np.clip(np.rint(vectors * scale), -CODE_MAX, CODE_MAX), dtype=np.int8)


def _on_hub(model: str) -> bool:
    """Say whether the hub answers for `model`: the loader itself tries an unreachable one for over a minute."""
    from huggingface_hub import model_info  # noqa: PLC0415

    try:
        model_info(model, timeout=_HUB_TIMEOUT_S)
    except (OSError, ValueError, httpx.HTTPError):
        return False
    return True


def revision(path: Path) -> str:
    """Return twelve figures that change when the weights or the tokenizer in a folder do."""
    digest = hashlib.sha256()
    for file in sorted(path.rglob("*.safetensors")) + sorted(path.rglob("tokenizer.json")):
        if file.name not in _NO_PART:
            digest.update(file.read_bytes())
    return digest.hexdigest()[:12]
