"""Whispered vowels: noise through two resonances, each sample kept as the level that it is rounded to.

What comes next depends on the rounded samples alone, so that the chance of every level is a difference of two values of the
normal distribution, and no model can do better than `nats`.
"""
import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from transformer.data.spectra import expanded

VOWELS = {"i": (300.0, 2300.0), "e": (450.0, 1900.0), "ö": (500.0, 1500.0), "a": (750.0, 1250.0)}  # Hertz
RADII = (0.9, 0.85)  # how long each resonance rings: what is left of it a sample later
LOUDNESS = 0.25  # the usual size of a sample


@dataclasses.dataclass(frozen=True)
class Resonances:
    """Sample t of voice v is expected at the sum of `past[v]` times the samples before, the last one first."""

    past: np.ndarray
    deviation: np.ndarray  # of each voice, from what is expected
    levels: int = 64

    @classmethod
    def of(cls, hertz: int = 8000, levels: int = 64) -> "Resonances":
        past = np.stack([_ringing(vowel, hertz) for vowel in VOWELS.values()])
        return cls(past, LOUDNESS / np.asarray([_gain(row) for row in past]), levels)

    def sample(self, voices: np.ndarray, seed: int) -> np.ndarray:
        """Levels [n, t] after silence; `voices` [n, t] says whose each sample is."""
        random = np.random.default_rng(seed)
        found, waves = np.zeros(voices.shape, np.int32), np.zeros((len(voices), voices.shape[1] + self.order))
        for at, voice in enumerate(voices.T):
            expected = (waves[:, at:at + self.order][:, ::-1] * self.past[voice]).sum(-1)
            heard = expected + self.deviation[voice] * random.normal(size=len(voices))
            found[:, at] = np.searchsorted(self._edges, heard)
            waves[:, at + self.order] = self._values[found[:, at]]
        return found

    def nats(self, levels: np.ndarray, voices: np.ndarray) -> np.ndarray:
        """The surprise at each level [n, t], to one who knows the source and all levels before."""
        waves = np.pad(self._values[levels], ((0, 0), (self.order, 0)))
        before = np.lib.stride_tricks.sliding_window_view(waves, self.order, axis=1)[:, :-1, ::-1]
        expected = np.einsum("nto,nto->nt", before, self.past[voices])
        edges = np.concatenate([[-np.inf], self._edges, [np.inf]])
        low, high = ((edges[levels + side] - expected) / self.deviation[voices] for side in (0, 1))
        # The normal distribution is exact far below its middle, so what lies above is turned round.
        low, high = np.where(low > 0, -high, low), np.where(low > 0, -low, high)
        return -np.log(np.maximum((_erfc(-high / math.sqrt(2)) - _erfc(-low / math.sqrt(2))) / 2, 1e-300))

    @property
    def order(self) -> int:
        return self.past.shape[1]

    @property
    def _values(self) -> np.ndarray:
        return expanded(np.arange(self.levels), self.levels).astype(np.float64)

    @property
    def _edges(self) -> np.ndarray:
        """Where one level ends and the next begins."""
        return expanded(np.arange(1, self.levels) - 0.5, self.levels).astype(np.float64)


def _ringing(vowel: Sequence[float], hertz: int) -> np.ndarray:
    """How much of each sample before is expected to sound on: resonances one after the other multiply as polynomials do."""
    whole = np.ones(1)
    for pitch, radius in zip(vowel, RADII, strict=True):
        whole = np.convolve(whole, [1, -2 * radius * math.cos(2 * math.pi * pitch / hertz), radius**2])
    return -whole[1:]


def _gain(past: np.ndarray) -> float:
    """How much louder than the noise its ringing is."""
    rings = np.zeros(1000 + len(past))
    rings[len(past)] = 1.0
    for at in range(len(past) + 1, len(rings)):
        rings[at] = rings[at - len(past):at][::-1] @ past
    return float(np.sqrt((rings**2).sum()))


_erfc = np.vectorize(math.erfc, otypes=[float])
