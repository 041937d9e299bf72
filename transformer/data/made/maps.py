"""Random maps from keys to values, learned inside the prompt: key value key value ... and what the value was before, it is again.

No weights can know a map: what a model gets right, it has read in the same row. A map is held out or it is not.
"""
import numpy as np
from grain import MapDataset

from transformer.data.examples import examples

SHOTS = ("0_shots", "1_shot", "2_shots", "3_shots_or_more")


def maps(rows: int, pairs: int, keys: int, values: int, seed: int, held_out: bool = False) -> MapDataset:
    """Next-token examples with weights on the values alone; `group` counts how often a key was shown before, up to three.

    Keys are the tokens from 0, values those after the keys.
    """
    random = np.random.default_rng(seed)
    tables = _tables(rows, keys, values, random, held_out)
    asked = random.integers(keys, size=(rows, pairs))
    told = keys + np.take_along_axis(tables, asked, axis=1)
    tokens = np.stack([asked, told], axis=2).reshape(rows, -1).astype(np.int32)
    before = np.tril(asked[:, :, None] == asked[:, None, :], -1).sum(2)
    group = np.full(tokens.shape, -1, np.int32)
    group[:, 1::2] = np.minimum(before, 3)
    return examples(tokens=tokens[:, :-1], targets=tokens[:, 1:], weights=(group[:, 1:] >= 0).astype(np.float32), group=group[:, 1:])


def _tables(rows: int, keys: int, values: int, random: np.random.Generator, held_out: bool) -> np.ndarray:
    """So many maps [rows, keys], of the one fifth that is held out or of the rest."""
    found = np.zeros((0, keys), np.int64)
    while len(found) < rows:
        drawn = random.integers(values, size=(8 * rows, keys))
        numbers = (drawn.astype(np.uint64) * np.uint64(values) ** np.arange(keys, dtype=np.uint64)).sum(1)
        mixed = numbers * np.uint64(0x9E3779B97F4A7C15) >> np.uint64(40)  # a hash: neighbours part
        found = np.concatenate([found, drawn[(mixed % np.uint64(5) == 0) == held_out]])
    return found[:rows]
