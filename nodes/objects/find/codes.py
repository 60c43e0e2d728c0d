"""Embeddings as short binary codes, so that the first look at very many of them is cheap.

A bit says on which side of a random plane a vector lies: the share of bits in which two codes
differ grows with the angle between the vectors (Charikar, "Similarity estimation techniques from
rounding algorithms", 2002). 512 bits stand for 1280 numbers; faiss counts the differing bits.

    near = Nearest(binary_codes(vectors)).find(binary_codes(wanted), count=200)
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deixis.runtime.errors import MissingExtraError

BITS = 512
_SEED = 20260101
Codes = NDArray[np.uint8]


class Nearest:
    """Finds the codes that differ least from given ones.

    Args:
        codes: Shape ``(n, BITS / 8)``.

    Raises:
        MissingExtraError: faiss is not installed.
    """

    def __init__(self, codes: Codes) -> None:
        faiss = _faiss()
        self._count = len(codes)
        self._index = faiss.IndexBinaryFlat(BITS)
        self._index.add(np.ascontiguousarray(codes))

    def find(self, wanted: Codes, count: int) -> NDArray[np.int64]:
        """Numbers of the codes that are among the ``count`` nearest of any wanted one, ascending.

        Args:
            wanted: Shape ``(q, BITS / 8)``.
            count: How many for each wanted code.
        """
        if self._count == 0 or len(wanted) == 0:
            return np.zeros(0, np.int64)
        _, found = self._index.search(np.ascontiguousarray(wanted), min(count, self._count))
        return np.unique(np.asarray(found, np.int64))


def check_installed() -> None:
    """Find out before a long run whether there is something to search with.

    Raises:
        MissingExtraError: faiss is not installed.
    """
    _faiss()


def binary_codes(vectors: NDArray[np.float32]) -> Codes:
    """Codes of vectors ``(n, d)``, uint8 ``(n, BITS / 8)``."""
    if len(vectors) == 0:
        return np.zeros((0, BITS // 8), np.uint8)
    return np.packbits(vectors @ _planes(vectors.shape[1]) > 0, axis=1)


def _faiss() -> Any:
    try:
        import faiss
    except ImportError:
        raise MissingExtraError("faiss-cpu", "find") from None
    # Threads that wait for each other cost more than they save on so little work.
    faiss.omp_set_num_threads(1)
    return faiss


@lru_cache(maxsize=2)
def _planes(dimensions: int) -> NDArray[np.float32]:
    """Normals of the planes, ``(dimensions, BITS)``."""
    return np.random.default_rng(_SEED).standard_normal((dimensions, BITS), np.float32)
