"""Batches as a pure function of (seed, step): to resume a run, on any number of processes, the step is enough."""

from collections.abc import Iterator

import numpy as np
from grain import MapDataset, ReadOptions

from transformer.data.examples import Example, examples
from transformer.mistakes import Mistake


def batches(dataset: MapDataset, rows: int, seed: int, process: int = 0, processes: int = 1) -> MapDataset:
    """The endless batches of a run, by step: every epoch in another order, with other draws in its random steps.

    A process gets its own consecutive rows of the global batch, which is the same for any number of processes.
    """
    # Grain keys a random step by the epoch and not by the run's seed, so each seed begins at an epoch of its own.
    first = seed % 2**20 * 1024
    shuffled = dataset.seed(seed % 2**32).shuffle().repeat()[first * len(dataset) :]
    return shuffled.batch(_share(rows, processes))[process::processes]


def held_out_batches(dataset: MapDataset, rows: int, process: int = 0, processes: int = 1) -> MapDataset:
    """Every example once, in order. The last batch is filled up with rows that are zero in every key.

    Such a row has no weights, is nowhere present and belongs to no segment, so no loss should see it.
    """
    missing = -len(dataset) % rows
    if missing:
        blank = {name: np.zeros((missing, *array.shape), array.dtype) for name, array in (dataset[0] or {}).items()}
        dataset = MapDataset.concatenate([dataset, examples(**blank)])
    return dataset.batch(_share(rows, processes))[process::processes]


def stream(batches: MapDataset, step: int = 0) -> Iterator[Example]:
    """The batches from a step on, made ahead of time by a thread."""
    return iter(batches[step:].to_iter_dataset(ReadOptions(num_threads=1, prefetch_buffer_size=4)))


def _share(rows: int, processes: int) -> int:
    if rows < 1 or rows % processes:
        raise Mistake(f"{rows} rows cannot be shared by {processes} processes: give a multiple of {processes}.")
    return rows // processes
