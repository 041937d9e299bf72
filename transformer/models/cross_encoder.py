"""The cross-encoder (Nogueira and Cho 2019): query and document are read as one text, whose first token says how well they fit.

It sees every word of one beside every word of the other, and so has to read each pair anew: no vector can be kept.
"""
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from transformer.layers import Linear
from transformer.weights import normal

Array = jax.Array


@struct.dataclass
class CrossEncoder:
    encoder: Any
    head: Linear

    @classmethod
    def of(cls, encoder: Any) -> "CrossEncoder":
        size = SimpleNamespace(embed=encoder.tokens.table.shape[-1])
        return cls(encoder, Linear.of(size, "embed -> 1", True, normal(0.02)))

    def __call__(self, tokens: Array, **context: Array | None) -> Array:
        """One logit [b, 1] for each row: does the second text answer the first?"""
        return self.head(self.encoder.encode(tokens, **context)[:, 0]).astype(jnp.float32)
