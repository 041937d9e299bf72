"""Sequences whose every probability is known: a Markov source of any order, and what the best model could reach on it.

A model that is told the symbols before reaches the source's entropy and no less; one that is told both sides, but not
what stands under some masks, reaches the posterior that `beliefs` computes exactly.
"""
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from grain import MapDataset

from transformer.data.examples import example


@dataclass(frozen=True, eq=False)
class Markov:
    """`table[a, b, c]` is the probability of c after a, b; it has one axis more than the source has order."""

    table: np.ndarray

    @classmethod
    def drawn(cls, symbols: int, order: int, evenness: float, seed: int) -> "Markov":
        """A source drawn at random: the lower the evenness, the fewer symbols are likely after each history."""
        random = np.random.default_rng(seed)
        return cls(random.dirichlet(np.full(symbols, evenness), size=(symbols,) * order))

    @property
    def symbols(self) -> int:
        return self.table.shape[-1]

    @property
    def order(self) -> int:
        return self.table.ndim - 1

    @cached_property
    def stationary(self) -> np.ndarray:
        """How often each history occurs, with one axis for each of its symbols."""
        histories = self.symbols**self.order
        flow = np.zeros((histories, histories))
        before, symbol = np.divmod(np.arange(histories * self.symbols), self.symbols)
        np.add.at(flow, (before, before * self.symbols % histories + symbol), self.table.ravel())
        # The one distribution that flows into itself, and sums to one.
        equations = np.vstack([flow.T - np.eye(histories), np.ones(histories)])
        found = np.linalg.lstsq(equations, np.eye(histories + 1)[-1], rcond=None)[0]
        return np.maximum(found, 0).reshape(self.table.shape[:-1])

    @cached_property
    def entropy(self) -> float:
        """Nats per symbol, all symbols before it known."""
        return float(-(self.stationary[..., None] * self.table * _log(self.table)).sum())

    def sample(self, rows: int, length: int, seed: int) -> np.ndarray:
        """Rows of symbols [rows, length], as if the source had been running forever."""
        random = np.random.default_rng(seed)
        drawn = _pick(np.tile(self.stationary.ravel(), (rows, 1)), random)
        found = list(np.unravel_index(drawn, self.stationary.shape))
        while len(found) < length:
            found.append(_pick(self.table[tuple(found[-self.order:])], random))
        return np.stack(found[:length], axis=1).astype(np.int32)

    def surprise(self, rows: np.ndarray) -> np.ndarray:
        """Nats of each symbol [rows, length], given those before it in its row; the first ones have fewer before them."""
        found = []
        for at in range(rows.shape[1]):
            known = min(at, self.order)
            symbols = tuple(rows[:, at - known + i] for i in range(known + 1))
            found.append(-_log(self._conditional(known)[symbols]))
        return np.stack(found, axis=1)

    def beliefs(self, evidence: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of a source of order 1: what is known of each symbol from the left and from the right of it.

        evidence[row, place, symbol]: how likely what was seen there is if the symbol is the true one, or anything in
        proportion; all ones under a mask. The two times what is seen in the place itself is in proportion to the posterior.
        """
        assert self.order == 1, "the posterior is computed for sources of order 1"
        left, right = np.empty_like(evidence, float), np.empty_like(evidence, float)
        left[:, 0], right[:, -1] = self.stationary, 1.0
        for at in range(1, evidence.shape[1]):
            left[:, at] = normalised(left[:, at - 1] * evidence[:, at - 1]) @ self.table
            right[:, -1 - at] = normalised((right[:, -at] * evidence[:, -at]) @ self.table.T)
        return left, right

    def _conditional(self, known: int) -> np.ndarray:
        """The chances of a symbol after the last `known` ones, if no more is known."""
        if known == self.order:
            return self.table
        joint = self.stationary.sum(axis=tuple(range(self.order - known - 1)))
        return normalised(joint)


def masked_posterior(source: Markov, dataset: MapDataset, first: int, rate: float = 0.15, after: bool = True) -> np.ndarray:
    """The chances of each symbol [rows, slots, symbols] at BERT's masks, to one who knows the source of order 1.

    Symbol 0 is token `first`. A visible token may have been replaced by another: those chosen in half of the cases, all the
    others by one who does not know which were. Without what comes `after`: to one who reads from left to right.
    """
    seen, places = (np.stack([example(dataset, at)[name] for at in range(len(dataset))]) for name in ("tokens", "masked"))
    shown = (seen >= first) & (seen < first + source.symbols)
    same = np.eye(source.symbols)[np.where(shown, seen - first, 0)]

    def likely(kept: float, replaced: float) -> np.ndarray:
        return np.where(shown[..., None], kept * same + replaced / source.symbols, 1.0)

    left, right = source.beliefs(likely(1 - 0.9 * rate, 0.1 * rate))
    posterior = normalised(left * likely(0.5, 0.5) * (right if after else 1.0))
    return posterior[np.arange(len(seen))[:, None], places]


def masked_optimum(source: Markov, dataset: MapDataset, first: int, rate: float = 0.15, after: bool = True) -> float:
    """Nats per mask of the best guesses there can be."""
    chances = masked_posterior(source, dataset, first, rate, after)
    labels, weights = (np.stack([example(dataset, at)[name] for at in range(len(dataset))]) for name in ("labels", "weights"))
    surprise = -_log(np.take_along_axis(chances, np.where(weights > 0, labels - first, 0)[..., None], -1))[..., 0]
    return float((surprise * weights).sum() / weights.sum())


def normalised(chances: np.ndarray) -> np.ndarray:
    """The same in proportion along the last axis, with sum one."""
    return chances / np.maximum(chances.sum(-1, keepdims=True), 1e-300)


def _pick(chances: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """One symbol for each row of chances."""
    below = np.cumsum(chances, axis=1) < random.random((len(chances), 1)) * chances.sum(1, keepdims=True)
    return np.minimum(below.sum(axis=1), chances.shape[1] - 1)


def _log(chances: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(chances, 1e-300))
