"""Vectors as whole numbers: the nearest of some centres (k-means), or a sum of several (residual quantisation).

    codes = Centres.fitted(colours, 512)          # ImageGPT's palette, say
    numbers = codes.encode(colours)               # [n]
    stages = Residual.fitted(frames, codes=64, stages=3)
    numbers = stages.encode(frames)               # [n, 3]: coarse first, each stage says what the ones before left out
"""
import dataclasses

import numpy as np

from transformer.mistakes import Mistake


@dataclasses.dataclass(frozen=True)
class Centres:
    """One vector for each code [codes, width]."""

    table: np.ndarray

    @classmethod
    def fitted(cls, vectors: np.ndarray, codes: int, seed: int = 0, rounds: int = 25) -> "Centres":
        """Lloyd's algorithm from centres drawn far apart (k-means++, Arthur and Vassilvitskii 2007)."""
        vectors, random = np.asarray(vectors, np.float64), np.random.default_rng(seed)
        if len(vectors) < codes:
            raise Mistake(f"{codes} codes cannot be found in {len(vectors)} vectors; give more data or ask for fewer")
        table = vectors[random.integers(len(vectors), size=1)]
        nearest = _distances(vectors, table)[:, 0]
        while len(table) < codes:
            total = nearest.sum()
            pick = random.choice(len(vectors), p=nearest / total) if total > 0 else random.integers(len(vectors))
            table = np.concatenate([table, vectors[pick][None]])
            nearest = np.minimum(nearest, _distances(vectors, table[-1:])[:, 0])
        for _ in range(rounds):
            own = _distances(vectors, table).argmin(1)
            counts = np.bincount(own, minlength=codes)
            sums = np.zeros_like(table)
            np.add.at(sums, own, vectors)
            table = np.where(counts[:, None] > 0, sums / np.maximum(counts, 1)[:, None], table)
        return cls(table.astype(np.float32))

    def encode(self, vectors: np.ndarray) -> np.ndarray:
        """The nearest code of each of [..., width]."""
        flat = np.asarray(vectors, np.float64).reshape(-1, self.table.shape[1])
        pieces = [_distances(flat[at:at + 4096], self.table).argmin(1) for at in range(0, len(flat), 4096)]
        return np.concatenate(pieces).astype(np.int32).reshape(vectors.shape[:-1])

    def decode(self, codes: np.ndarray) -> np.ndarray:
        return self.table[codes]


@dataclasses.dataclass(frozen=True)
class Residual:
    """Stages of centres, each of what the ones before it left over."""

    stages: tuple[Centres, ...]

    @classmethod
    def fitted(cls, vectors: np.ndarray, codes: int, stages: int, seed: int = 0) -> "Residual":
        found, left = [], np.asarray(vectors, np.float32)
        for stage in range(stages):
            found.append(Centres.fitted(left, codes, seed + stage))
            left = left - found[-1].decode(found[-1].encode(left))
        return cls(tuple(found))

    def encode(self, vectors: np.ndarray) -> np.ndarray:
        """Codes [..., stages], the coarse one first."""
        found, left = [], np.asarray(vectors, np.float32)
        for centres in self.stages:
            found.append(centres.encode(left))
            left = left - centres.decode(found[-1])
        return np.stack(found, -1)

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """The vectors of codes [..., n], as near as the first n stages tell."""
        said = zip(self.stages, np.moveaxis(codes, -1, 0), strict=False)
        return np.sum([centres.decode(own) for centres, own in said], axis=0)


def _distances(vectors: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Squared, of each vector to each centre."""
    apart = (vectors**2).sum(1)[:, None] - 2 * vectors @ table.T + (table**2).sum(1)[None]
    return np.maximum(apart, 0)
