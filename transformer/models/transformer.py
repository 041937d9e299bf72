"""The transformer (Vaswani et al. 2017): attention is all you need, to read one language and write another.

Post-norm blocks with ReLU, sines and cosines interleaved for positions, one table for source, target and logits, embeddings
scaled by √d, and weights born as Glorot and Bengio have it.
"""
import dataclasses
import math
from typing import Any, cast

import jax
from flax import struct

from transformer.layers import Embedding, Identity
from transformer.models.bart import Bart, Side
from transformer.positions import sinusoids
from transformer.weights import normal, scaled

Array = jax.Array


@dataclasses.dataclass(frozen=True)
class Size:
    vocab: int = 37000
    layers: int = 6
    embed: int = 512
    heads: int = 8
    mlp: int = 2048

    @property
    def head(self) -> int:
        return self.embed // self.heads


@dataclasses.dataclass(frozen=True)
class Interleaved:
    """A sine, then the cosine of the same angle, channel by channel."""

    embed: int

    def __call__(self, positions: Array) -> Array:
        return sinusoids(positions, self.embed)


jax.tree_util.register_static(Interleaved)


@struct.dataclass
class Words:
    """An encoder that lets no word see another: what is attended to across is then the word itself."""

    positions: Any

    @property
    def longest(self) -> None:
        """Sinusoids go on for ever."""

    def __call__(self, x: Array, positions: Array, **context: Any) -> tuple[Array, None]:
        return x + self.positions(positions).astype(x.dtype), None


def transformer(size: Size, decoder_layers: int | None = None, dropout: float = 0.0) -> Bart:
    """With no layers at all in the encoder, it hands on the embedded words; `decoder_layers` must then be given."""
    inner = dataclasses.replace(size, layers=decoder_layers or size.layers)
    positions = Interleaved(size.embed)
    encoder, decoder = cast(list[Any], [
        Side.of(s, s is inner, positions, Identity(), jax.nn.relu, dropout, scaled) if s.layers else Words(positions)
        for s in (size, inner)])
    return Bart(Embedding.of(size, initialiser=normal(size.embed ** -0.5)), encoder, decoder, None,
                multiplier=math.sqrt(size.embed))
