"""Words and the words around them: what word vectors are learned from."""

from collections.abc import Callable

import numpy as np
from grain import MapDataset

from transformer.data.examples import Example, examples


def skip_grams(ids: np.ndarray, vocab: int, length: int, window: int, negatives: int, power: float = 0.75) -> MapDataset:
    """Every word of a stretch of text, and those around it to guess: Word2Vec's skip-grams.

    `given` [length, 1] are guessed from, `guess` [length, 2 window] are guessed, `others` were drawn by chance for each. How
    far a word looks is drawn anew every time, so that near words count more.
    """
    return _drawn(ids, vocab, length, window, negatives, power, lambda words, around, near: {
        "given": words[:, None], "there": np.ones((length, 1), np.float32), "guess": around, "weights": near})


def bags(ids: np.ndarray, vocab: int, length: int, window: int, negatives: int, power: float = 0.75) -> MapDataset:
    """The other way round, Word2Vec's CBOW: the words around [length, 2 window] are given, the one amid them is guessed."""
    return _drawn(ids, vocab, length, window, negatives, power, lambda words, around, near: {
        "given": around, "there": near, "guess": words[:, None], "weights": np.ones((length, 1), np.float32)})


def noise(ids: np.ndarray, vocab: int, power: float) -> np.ndarray:
    """How often each word is drawn by chance: seldom ones more often than they occur."""
    counts = np.bincount(ids, minlength=vocab) ** power
    return counts / counts.sum()


def counted(ids: np.ndarray, vocab: int, weights: np.ndarray) -> np.ndarray:
    """How often each word stands near each other [vocab, vocab], at distance n counting weights[n - 1]."""
    table = np.zeros((vocab, vocab))
    for distance, weight in enumerate(weights, start=1):
        np.add.at(table, (ids[:-distance], ids[distance:]), weight)
    return table + table.T


def counts_of_pairs(table: np.ndarray, share: float, seed: int = 0) -> tuple[MapDataset, MapDataset, np.ndarray]:
    """Pairs of words that were seen together and how often, to learn from; a `share` of them held out, both ways round; which those are."""
    away = np.triu(np.random.default_rng(seed).random(table.shape) < share)
    away |= away.T

    def pairs(part: np.ndarray) -> MapDataset:
        return examples(tokens=np.argwhere(part).astype(np.int32), count=table[part].astype(np.float32))

    return pairs((table > 0) & ~away), pairs((table > 0) & away), away


def _drawn(ids: np.ndarray, vocab: int, length: int, window: int, negatives: int, power: float,
           arranged: Callable[[np.ndarray, np.ndarray, np.ndarray], Example]) -> MapDataset:
    chances = noise(ids, vocab, power)
    # Drawing from a long table is ten times as fast as drawing by chances.
    table = np.repeat(np.arange(vocab, dtype=np.int32), np.maximum(np.round(chances * 2**18), 1).astype(int))
    reach = np.concatenate([np.arange(-window, 0), np.arange(1, window + 1)])
    padded = np.pad(ids, window)
    inside = np.pad(np.ones(len(ids), bool), window)

    def draw(example: Example, rng: np.random.Generator) -> Example:
        places = example["at"] + np.arange(length)
        around = places[:, None] + window + reach
        near = (np.abs(reach) <= rng.integers(1, window + 1, (length, 1))) & inside[around]
        found = arranged(padded[places + window], padded[around], near.astype(np.float32))
        return found | {"others": table[rng.integers(len(table), size=(*found["guess"].shape, negatives))]}

    return examples(at=np.arange(0, len(ids) - length + 1, length)).random_map(draw, seed=5)
