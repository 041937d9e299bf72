"""A picture told in words (Show and Tell, Vinyals et al. 2015, with transformers on both sides): a ViT looks, a decoder writes.

Its decoder attends to every patch, so that each word can look where it needs to.
"""
import dataclasses

import jax
import jax.numpy as jnp
from flax import struct

from transformer import masks
from transformer.attention import Attention
from transformer.caches import Slots
from transformer.layers import Embedding, LayerNorm, Mlp, dropout, gelu, static
from transformer.models import vit
from transformer.models.vit import ViT
from transformer.positions import counted
from transformer.sharding import shard
from transformer.stack import Memory, PreNorm, Stack
from transformer.weights import normal

Array = jax.Array


@dataclasses.dataclass(frozen=True)
class Size(vit.Size):
    vocab: int = 64
    words: int = 16  # of a caption, with the token that begins it


@struct.dataclass
class Captioner:
    vit: ViT
    tokens: Embedding
    positions: Embedding
    blocks: Stack
    norm: LayerNorm
    dropout: float = static(0.0)

    @classmethod
    def of(cls, size: Size, dropout: float = 0.0) -> "Captioner":
        initialiser = normal(0.02)
        attention = Attention.of(size, bias=True, initialiser=initialiser, dropout=dropout)
        block = PreNorm(
            attention_norm=LayerNorm.of(size), attention=attention,
            mlp_norm=LayerNorm.of(size), mlp=Mlp.of(size, gelu, initialiser=initialiser),
            cross_norm=LayerNorm.of(size), cross=attention, dropout=dropout)
        return cls(ViT.of(size, dropout=dropout), Embedding.of(size), Embedding.of(size, "words embed"), Stack.of(block, size.layers),
                   LayerNorm.of(size), dropout)

    @property
    def longest(self) -> int:
        """How many positions it has."""
        return self.positions.table.shape[0]

    def encode(self, images: Array, *, present: Array | None = None, key: Array | None = None) -> Array:
        """A vector for the whole, then one for every patch, of images [b, height, width, channels]; all of it is there."""
        return self.vit.encode(images, key=key)

    def __call__(self, source: Array, target: Array, **context: Array | None) -> Array:
        return self.logits(self.hidden(source, target, **context))

    def hidden(self, source: Array, target: Array, *, present: Array | None = None, key: Array | None = None) -> Array:
        """The decoder's final stream; `target` is what it is fed: the caption, shifted right."""
        keys = (None,) * 3 if key is None else jax.random.split(key, 3)
        memory = self.encode(source, key=keys[0])
        x = self._embed(target, counted(target.shape[1], self.longest), keys[1])
        return self.norm(self.blocks(x, mask=masks.decoder(target.shape[1]), memory=memory, key=keys[2])[0])

    def logits(self, hidden: Array) -> Array:
        return shard(self.tokens.logits(hidden), "batch", "length", "vocab")

    def start(self, memory: Array, length: int, present: Array | None = None) -> Memory:
        """Keys and values of the picture are computed here, once."""
        return Memory(self.blocks.caches(len(memory), length, memory, memory.dtype), Slots.empty(len(memory), length))

    def decode(self, tokens: Array, memory: Memory, present: Array | None = None) -> tuple[Array, Memory]:
        positions, slots = memory.slots.take(tokens, present)
        x = self._embed(tokens, jnp.maximum(positions, 0))
        x, blocks = self.blocks(x, cache=memory.blocks, mask=masks.before(positions, slots.positions))
        return self.logits(self.norm(x)), Memory(blocks, slots)

    def _embed(self, tokens: Array, positions: Array, key: Array | None = None) -> Array:
        return shard(dropout(self.tokens(tokens) + self.positions(positions), self.dropout, key), "batch", "length", "embed")
