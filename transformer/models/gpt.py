"""GPT (Radford et al. 2018): the decoder before GPT-2, with its norms after each part and none at the end."""
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from transformer import masks
from transformer.attention import Attention, Slots
from transformer.layers import Embedding, LayerNorm, Mlp, dropout, gelu_tanh, static
from transformer.sharding import shard
from transformer.stack import Memory, PostNorm, Stack
from transformer.weights import normal

Array = jax.Array


@struct.dataclass
class GPT:
    tokens: Embedding
    positions: Embedding
    blocks: Stack
    dropout: float = static(0.0)

    @classmethod
    def of(cls, size: Any, dropout: float = 0.0) -> "GPT":
        """Of a size as GPT-2's."""
        initialiser = normal(0.02)
        block = PostNorm(
            attention=Attention.of(size, bias=True, initialiser=initialiser, dropout=dropout),
            attention_norm=LayerNorm.of(size),
            mlp=Mlp.of(size, gelu_tanh, initialiser=initialiser),
            mlp_norm=LayerNorm.of(size),
            dropout=dropout)
        return cls(Embedding.of(size), Embedding.of(size, "length embed"), Stack.of(block, size.layers), dropout)

    def __call__(self, tokens: Array, **context: Array | None) -> Array:
        return self.logits(self.hidden(tokens, **context))

    def hidden(self, tokens: Array, *, positions: Array | None = None, present: Array | None = None,
               segments: Array | None = None, key: Array | None = None) -> Array:
        """The final stream. `present` marks what is not padding; `segments` keeps packed documents apart."""
        mask = masks.decoder(tokens.shape[1], present=present, segments=segments)
        keys = (None, None) if key is None else jax.random.split(key)
        positions = jnp.arange(tokens.shape[1])[None] if positions is None else positions
        return self.blocks(self._embed(tokens, positions, keys[0]), mask=mask, key=keys[1])[0]

    def logits(self, hidden: Array) -> Array:
        return shard(self.tokens.logits(hidden), "batch", "length", "vocab")

    def start(self, batch: int, length: int) -> Memory:
        return Memory(self.blocks.caches(batch, length, dtype=self.tokens.table.dtype), Slots.empty(batch, length))

    def decode(self, tokens: Array, memory: Memory, present: Array | None = None) -> tuple[Array, Memory]:
        positions, slots = memory.slots.take(tokens, present)
        x = self._embed(tokens, jnp.maximum(positions, 0))
        x, blocks = self.blocks(x, cache=memory.blocks, mask=masks.before(positions, slots.positions))
        return self.logits(x), Memory(blocks, slots)

    def _embed(self, tokens: Array, positions: Array, key: Array | None = None) -> Array:
        x = self.tokens(tokens) + self.positions(positions)
        return shard(dropout(x, self.dropout, key), "batch", "length", "embed")
