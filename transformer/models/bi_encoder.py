"""Sentence-BERT (Reimers and Gurevych 2019): an encoder, and one vector for the text made of those of its tokens.

Two texts are compared by the angle between their vectors, so that each is encoded once, whatever it is compared with.
"""
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from transformer.layers import static

Array = jax.Array


def first(hidden: Array, present: Array) -> Array:
    return hidden[:, 0]


def largest(hidden: Array, present: Array) -> Array:
    return jnp.where(present[..., None], hidden, -jnp.inf).max(1)


def mean(hidden: Array, present: Array) -> Array:
    return _total(hidden, present) / _count(present)


def softened(hidden: Array, present: Array) -> Array:
    """The sum over the square root of the count, between a sum and a mean."""
    return _total(hidden, present) / jnp.sqrt(_count(present))


POOLS: Mapping[str, Callable[[Array, Array], Array]] = {
    "cls": first, "max": largest, "mean": mean, "mean_sqrt_len_tokens": softened}


@struct.dataclass
class BiEncoder:
    """Any encoder of texts; several ways of pooling lie side by side."""

    encoder: Any
    pooling: tuple[str, ...] = static(("mean",))
    unit: bool = static(True)  # whether every vector has length one

    def encode(self, tokens: Array, **context: Array | None) -> Array:
        return self.encoder.encode(tokens, **context)

    def __call__(self, tokens: Array, *, present: Array | None = None, **context: Array | None) -> Array:
        """A vector [b, d] for every text."""
        return self.pooled(self.encode(tokens, present=present, **context), present)

    def pooled(self, hidden: Array, present: Array | None = None) -> Array:
        present = jnp.ones(hidden.shape[:2], bool) if present is None else present
        hidden = hidden.astype(jnp.float32)
        pooled = jnp.concatenate([POOLS[name](hidden, present) for name in self.pooling], -1)
        return unit(pooled) if self.unit else pooled


def unit(vectors: Array) -> Array:
    """The same directions, every length one; nothing stays nothing."""
    return vectors / jnp.maximum(jnp.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)


def _total(hidden: Array, present: Array) -> Array:
    return jnp.where(present[..., None], hidden, 0.0).sum(1)


def _count(present: Array) -> Array:
    return jnp.maximum(present.sum(1, keepdims=True, dtype=jnp.float32), 1.0)
