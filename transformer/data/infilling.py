"""Fill in the middle (Bavarian et al. 2022): a text cut in three, its middle told last, to one who reads from left to right.

    data = infilled(windows(ids, 256), tokenizer.infilling, tokenizer.end)      # half of the windows, in either of two orders
"""
import numpy as np
from grain import MapDataset

from transformer.data.examples import Example, example, shifted
from transformer.mistakes import Mistake

Marks = tuple[int, ...]  # in front of the prefix, of the suffix, of the middle


def infilled(windows: MapDataset, marks: Marks, end: int, rate: float = 0.5, suffix_first: float = 0.5) -> MapDataset:
    """A share of the windows with their middle last, cut elsewhere in each epoch; so many of those with the suffix in front."""

    def fill(one: Example, random: np.random.Generator) -> Example:
        if random.random() >= rate or not one["weights"].all():
            return one
        row = np.append(one["tokens"], one["targets"][-1])[:-4]  # the marks and the end take four places
        first, last = np.sort(random.integers(len(row) + 1, size=2))
        whole = (spm if random.random() < suffix_first else psm)(row, first, last, marks, end)
        return {**one, "tokens": whole[:-1], "targets": whole[1:]}

    return windows.random_map(fill, seed=3)


def psm(row: np.ndarray, first: int, last: int, marks: Marks, end: int) -> np.ndarray:
    """Prefix, suffix, middle."""
    before, after, middle = marks
    return np.concatenate([[before], row[:first], [after], row[last:], [middle], row[first:last], [end]]).astype(np.int32)


def spm(row: np.ndarray, first: int, last: int, marks: Marks, end: int) -> np.ndarray:
    """Suffix, then prefix and middle in one piece."""
    before, after, middle = marks
    return np.concatenate([[before, after], row[last:], [middle], row[:last], [end]]).astype(np.int32)


def middles(windows: MapDataset, marks: Marks, end: int, size: int, count: int, seed: int = 0) -> tuple[MapDataset, MapDataset]:
    """Middles of so many tokens to fill in, suffix first, and the same ones to go on with, it unseen; nothing else weighs anything."""
    random, rows = np.random.default_rng(seed), [example(windows, at) for at in range(min(count, len(windows)))]
    known, blind, inside = [], [], []
    if (room := len(rows[0]["tokens"]) - 5) < size:
        raise Mistake(f"A middle of {size} tokens does not fit into these windows: give at most {room}, or longer windows.")
    for row in (np.append(one["tokens"], one["targets"][-1])[:-4] for one in rows if one["weights"].all()):
        first = int(random.integers(1, len(row) - size))
        known.append(spm(row, first, first + size, marks, end))
        blind.append(np.where(np.arange(len(known[-1])) < first + size, np.pad(row, (0, 4)), 0))
        inside.append((np.arange(len(known[-1])) >= first) & (np.arange(len(known[-1])) < first + size))
    place = np.arange(len(known[0])) - len(known[0]) + 1
    at_the_end = np.tile((place >= -size) & (place < 0), (len(known), 1))
    return shifted(np.stack(known), at_the_end), shifted(np.stack(blind), np.stack(inside))
