"""The layers of a BERT (Devlin et al. 2019) over named tensors; importing this module loads torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    import numpy.typing as npt
    from torch import Tensor

_EPSILON = 1e-12


class Layers:
    """Weights by name, and what they make of word pieces; `weights` are copied."""

    def __init__(self, weights: Mapping[str, npt.NDArray[np.float32]], count: int, heads: int) -> None:
        self.weights = {name: torch.tensor(value, dtype=torch.float32) for name, value in weights.items()}
        self.count = count
        self._heads = heads

    def above(self, layer: int) -> list[Tensor]:
        """Return the weights of all layers from number `layer` on."""
        firsts = tuple(f"{number}." for number in range(layer, self.count))
        return [value for name, value in self.weights.items() if name.startswith(firsts)]

    def embedded(self, tokens: Sequence[int]) -> Tensor:
        """Return the states (tokens, width) that go into the first layer."""
        states = self.weights["word"][torch.tensor(tokens)] + self.weights["position"][: len(tokens)]
        return self._norm(states, "embedded")

    def through(
        self, states: Tensor, first: int, end: int, mask: Tensor | None = None, dropout: float = 0.0
    ) -> Tensor:
        """Pass states (texts, tokens, width) through the layers from `first` to before `end`.

        `mask` (texts, tokens) says where there are tokens, None where everywhere.
        """
        texts, tokens, width = states.shape
        seen = None if mask is None else mask[:, None, None, :]
        for layer in range(first, end):
            of = f"{layer}."
            query, key, value = (
                self._linear(states, of + name)
                .view(texts, tokens, self._heads, width // self._heads)
                .transpose(1, 2)
                for name in ("query", "key", "value")
            )
            heard = functional.scaled_dot_product_attention(query, key, value, attn_mask=seen).transpose(1, 2)
            added = self._linear(heard.reshape(texts, tokens, width), of + "heard")
            states = self._norm(states + _dropped(added, dropout), of + "attended")
            added = self._linear(functional.gelu(self._linear(states, of + "inner")), of + "outer")
            states = self._norm(states + _dropped(added, dropout), of + "done")
        return states

    def _linear(self, states: Tensor, name: str) -> Tensor:
        return functional.linear(states, self.weights[f"{name}.weight"], self.weights[f"{name}.bias"])

    def _norm(self, states: Tensor, name: str) -> Tensor:
        weight, bias = self.weights[f"{name}.weight"], self.weights[f"{name}.bias"]
        return functional.layer_norm(states, weight.shape, weight, bias, _EPSILON)


def _dropped(states: Tensor, share: float) -> Tensor:
    return functional.dropout(states, share) if share else states
