"""Dense codes of one stretch of time, searched exactly: all of them, or those in chosen lists."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import faiss
import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from embeddings.centroids import Centroids, Numbers

    Answer = tuple[npt.NDArray[np.float32], Numbers]

_BYTES = faiss.ScalarQuantizer.QT_8bit_direct_signed
"""Codes are kept as the bytes they are; products of whole numbers are exact in float32."""


class Slice:
    """Rows by code: in one heap while they are few, in one list a centroid once they are not."""

    def __init__(self, dimension: int, centroids: Centroids | None) -> None:
        self._centroids = centroids
        flat = faiss.IndexScalarQuantizer(dimension, _BYTES, faiss.METRIC_INNER_PRODUCT)
        flat.is_trained = True  # bytes taken as they are need no learnt range
        self._index: Any = faiss.IndexIDMap(
            flat
        )  # or an IndexIVFScalarQuantizer, once it is sorted into lists
        self._is_listed = False

    def __len__(self) -> int:
        return int(self._index.ntotal)

    @property
    def rows(self) -> Numbers:
        """The rows it holds; those of one list stand together."""
        if not self._is_listed:
            return np.asarray(faiss.vector_to_array(self._index.id_map))
        held = self._index.invlists
        sizes = [held.list_size(one) for one in range(held.nlist)]
        parts = [faiss.rev_swig_ptr(held.get_ids(one), size).copy() for one, size in enumerate(sizes) if size]
        return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)

    def add(self, codes: npt.NDArray[np.float32], rows: Numbers) -> None:
        """Add rows with their codes."""
        if not self._is_listed:
            self._index.add_with_ids(codes, rows)
            return
        assert self._centroids is not None
        lists = self._centroids.nearest(codes, 1)[:, 0].copy()
        codes, rows = np.ascontiguousarray(codes), np.ascontiguousarray(rows)
        pointers = [faiss.swig_ptr(part) for part in (codes, rows, lists)]
        self._index.add_core(len(rows), *pointers)

    def remove(self, row: int) -> None:
        """Forget a row that is there."""
        self._index.remove_ids(faiss.IDSelectorRange(row, row + 1))

    def make_lists(self) -> None:
        """Sort the rows into lists; nothing happens where they are, or where there are no centroids."""
        if self._is_listed or self._centroids is None:
            return
        heap = self._index.index
        rows, codes = faiss.vector_to_array(self._index.id_map), heap.reconstruct_n(0, len(self))
        anywhere = faiss.IndexFlatIP(heap.d)  # which list is told with every call
        self._index = faiss.IndexIVFScalarQuantizer(
            anywhere, heap.d, len(self._centroids), _BYTES, faiss.METRIC_INNER_PRODUCT, False
        )
        self._index.is_trained = True
        self._is_listed = True
        self.add(codes, rows)

    def search(self, queries: npt.NDArray[np.float32], limit: int, lists: Numbers | None) -> Answer:
        """Return scores and rows of the best `limit` for each query, rows -1 where there are no more.

        `lists` (queries, probes) says in which lists to look; without, everywhere.
        """
        if not self._is_listed:
            scores, rows = self._index.search(queries, limit)
        else:
            if lists is None:
                lists = np.tile(np.arange(self._index.nlist), (len(queries), 1))
            self._index.nprobe = lists.shape[1]
            unused = np.zeros(lists.shape, dtype=np.float32)
            scores, rows = self._index.search_preassigned(queries, limit, np.ascontiguousarray(lists), unused)
        return scores, rows
