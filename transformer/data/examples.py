"""Examples are dicts of arrays; a dataset is a grain.MapDataset of them, of known length and with random access.

A random step is `dataset.random_map(step, seed=n)`, where n tells it from other steps: the run's seed comes in by
`batches`, which begins each seed at epochs of its own.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from grain import MapDataset

from transformer.mistakes import Mistake

Example = dict[str, np.ndarray]


class Columns(MapDataset):
    """Arrays of equal length, read as rows: half the cost of MapDataset.source, which keeps account of every read."""

    def __init__(self, arrays: Mapping[str, np.ndarray]):
        super().__init__()
        self.arrays = dict(arrays)
        self.rows = len(next(iter(arrays.values())))

    def __len__(self) -> int:
        return self.rows

    def __getitem__(self, index):
        if isinstance(index, slice):
            return self.slice(index)
        row = index % self.rows  # an index beyond the last row belongs to a later epoch
        return {name: array[row] for name, array in self.arrays.items()}


def example(dataset: MapDataset, index: int) -> Example:
    """One example of a dataset from which none is filtered out."""
    found = dataset[index]
    assert found is not None
    return found


def examples(**arrays: np.ndarray) -> MapDataset:
    """A dataset whose example i holds row i of every array."""
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) != 1 or 0 in lengths.values():
        raise Mistake(f"Examples need arrays of one length, at least 1, but these have {lengths or 'no arrays'}.")
    return Columns(arrays)


def stacked(rows: Sequence[Example]) -> Example:
    """Rows of the same kind as arrays of all of them."""
    return {name: np.stack([row[name] for row in rows]) for name in rows[0]}


def shifted(rows: np.ndarray, weights: np.ndarray | None = None) -> MapDataset:
    """Next-token examples of rows that stand each for itself: every token but the first is a target.

    The weights [rows, length] are of each token as a target, so that a prompt can weigh nothing.
    """
    rows = np.asarray(rows, np.int32)
    weights = np.ones(rows.shape) if weights is None else weights
    return examples(tokens=rows[:, :-1], targets=rows[:, 1:], weights=np.asarray(weights[:, 1:], np.float32))


def padded(rows: Sequence[np.ndarray], length: int) -> np.ndarray:
    """Rows of tokens, filled up with zeros [rows, length]."""
    longest = max(len(row) for row in rows)
    if longest > length:
        raise Mistake(f"A row has {longest} tokens, but there is room for {length}: give a greater length.")
    return np.stack([np.pad(np.asarray(row, np.int32), (0, length - len(row))) for row in rows])


def windows(ids: np.ndarray, length: int, stride: int | None = None) -> MapDataset:
    """Next-token examples: a window of `length` tokens every `stride`, each with the same window one token later.

    With the stride left at `length`, each token but the first is a target exactly once. The last window is filled up
    with zeros of weight zero.
    """
    stride = stride or length
    if not 1 <= stride <= length:
        raise Mistake(f"Windows of {length} tokens cannot be {stride} apart: give a stride from 1 to {length}.")
    if len(ids) < length + 1:
        raise Mistake(
            f"The text has {len(ids)} tokens, but a window of length {length} needs {length + 1}: "
            f"give more text or a length of at most {max(len(ids) - 1, 0)}."
        )
    targets = len(ids) - 1
    missing = (length - targets) % stride
    every = slice(None, None, stride)
    padded = np.pad(np.asarray(ids, np.int32), (0, missing))
    weights = np.pad(np.ones(targets, np.float32), (0, missing))
    view = np.lib.stride_tricks.sliding_window_view
    return examples(
        tokens=view(padded[:-1], length)[every],
        targets=view(padded[1:], length)[every],
        weights=view(weights, length)[every],
    )
