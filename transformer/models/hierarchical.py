"""An encoder of encoders: letters make words, words make sentences, sentences make a text.

Each level reads the parts of one whole, all wholes beside each other, and hands a vector for each to the level above; so
a word looks at its letters and a sentence at its words, and nobody at every letter of the text.
"""
import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from transformer import masks
from transformer.attention import Attention
from transformer.layers import Embedding, LayerNorm, Linear, Mlp, gelu
from transformer.stack import PreNorm, Stack
from transformer.weights import normal

Array = jax.Array


@dataclasses.dataclass(frozen=True)
class Size:
    vocab: int
    lengths: tuple[int, ...]  # of each level, from the lowest: letters in a word, words in a sentence, sentences
    classes: int
    layers: int = 1  # of each level
    embed: int = 64
    heads: int = 4
    mlp: int = 128

    @property
    def head(self) -> int:
        return self.embed // self.heads

    @property
    def products(self) -> int:
        """Scores of attention that one layer on every level computes for a text."""
        return sum(math.prod(self.lengths[level:]) * length for level, length in enumerate(self.lengths))


@struct.dataclass
class Level:
    """Reads the parts of each whole, and gives the mean of what it has read of those that are there."""

    positions: Embedding
    blocks: Stack
    norm: LayerNorm

    @classmethod
    def of(cls, size: Any, length: int) -> "Level":
        block = PreNorm(LayerNorm.of(size), Attention.of(size, bias=True), LayerNorm.of(size), Mlp.of(size, gelu))
        return cls(Embedding.of(size, f"{length} embed"), Stack.of(block, size.layers), LayerNorm.of(size))

    def __call__(self, parts: Array, present: Array, key: Array | None) -> Array:
        x = parts + self.positions.table[None]
        x = self.norm(self.blocks(x, mask=masks.encoder(present=present), key=key)[0])
        there = present[..., None].astype(x.dtype)
        return (x * there).sum(1) / jnp.maximum(there.sum(1), 1.0)


@struct.dataclass
class Nested:
    """Logits [b, class] of texts [b, ..., words, letters]; with a single level, an encoder as any."""

    tokens: Embedding
    levels: tuple[Level, ...]
    head: Linear

    @classmethod
    def of(cls, size: Size) -> "Nested":
        return cls(Embedding.of(size), tuple(Level.of(size, length) for length in size.lengths),
                   Linear.of(size, "embed -> classes", True, normal(0.02)))

    def __call__(self, tokens: Array, *, present: Array, kinds: Array | None = None, key: Array | None = None) -> Array:
        x = self.tokens(tokens)
        for level in self.levels:
            outer, there = present.shape[:-1], present.reshape(-1, present.shape[-1])
            x = level(x.reshape(*there.shape, x.shape[-1]), there, key).reshape(*outer, x.shape[-1])
            present = present.any(-1)
        return self.head(x).astype(jnp.float32)
