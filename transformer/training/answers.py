"""What an encoder-decoder writes for every source of a dataset, and how often that is exactly what it should have written."""
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from grain import MapDataset

from transformer.compiled import encoded
from transformer.data.batches import held_out_batches
from transformer.decoding.carried import ready
from transformer.decoding.engine import generate
from transformer.training.experiment import Measure

ROWS = 128


def written(model: Any, dataset: MapDataset) -> np.ndarray:
    """The likeliest token after the likeliest token [n, t], as many as the labels of an example have."""
    model, found = ready(model), []
    for batch in held_out_batches(dataset, ROWS):
        memory = encoded(model, batch["source"], present=batch["present"])
        said = generate(model, batch["target"][:, :1], most=batch["target"].shape[1], memory=memory, seen=jnp.asarray(batch["present"]))
        found.append(said.tokens[:, 0])
    return np.concatenate(found)[:len(dataset)]


def exactly(model: Any, dataset: MapDataset) -> np.ndarray:
    """Of each example, whether all of it was written, and then the end [n]."""
    batches = list(held_out_batches(dataset, ROWS))
    labels, weights = (np.concatenate([batch[name] for batch in batches])[:len(dataset)] for name in ("labels", "weights"))
    return ((written(model, dataset) == labels) | (weights == 0)).all(-1)


def exact_match(dataset: MapDataset, kinds: Sequence[Any] = (), name: str = "exact") -> Measure:
    """The share of examples that are exactly right; also of each kind, if it is said of what kind each example is."""

    def measure(model: Any, values: Any) -> dict[str, float]:
        right = exactly(model, dataset)
        of_kind = {kind: right[[one == kind for one in kinds]] for kind in dict.fromkeys(kinds)}
        return {name: float(right.mean()), **{f"{name}_{kind}": float(some.mean()) for kind, some in of_kind.items()}}

    return measure


def token_match(dataset: MapDataset, name: str) -> Measure:
    """The share of tokens, the ends not counted, that are written in their own place."""

    def measure(model: Any, values: Any) -> dict[str, float]:
        labels, weights = (np.concatenate([batch[key] for batch in held_out_batches(dataset, ROWS)])[:len(dataset)]
                           for key in ("labels", "weights"))
        inside = (weights > 0) & (np.arange(labels.shape[1])[None] < weights.sum(1, keepdims=True) - 1)
        return {name: float((written(model, dataset) == labels)[inside].mean())}

    return measure
