"""Music Transformer (Huang et al. 2019): a decoder whose queries also ask how far back a key lies.

To the score of query i and key j comes qᵢ · e(i - j), with a vector e for each distance and head. For whole rows it is found
by skewing: every query asks for every distance, and shifting row i by i puts each answer under its key.
"""
import dataclasses
import math

import jax
import jax.numpy as jnp
from flax import struct

from transformer import masks
from transformer.attention import Attention
from transformer.caches import Slots
from transformer.layers import Embedding, Head, LayerNorm, Mlp, dropout, static
from transformer.positions import counted
from transformer.sharding import shard
from transformer.stack import Memory, PreNorm, Stack
from transformer.weights import normal, table

Array = jax.Array


@dataclasses.dataclass(frozen=True)
class Size:
    vocab: int = 388
    length: int = 2048  # the distances that there are
    layers: int = 6
    embed: int = 512
    heads: int = 8
    mlp: int = 1024

    @property
    def head(self) -> int:
        return self.embed // self.heads


@struct.dataclass
class Relative(Attention):
    """Attention that knows distances; the bias it is given says how far back each key lies [b, t, s], if not just counted."""

    distances: Array | None = None  # [heads, length, head], the nearest first

    def _attend(self, q: Array, k: Array, v: Array, mask: Array | None, bias: Array | None, key: Array | None) -> Array:
        asked = self._skewed(q) if bias is None else self._looked_up(q, bias)
        return super()._attend(q, k, v, mask, asked / math.sqrt(q.shape[-1]), key)

    def _skewed(self, q: Array) -> Array:
        """Of whole rows [b, h, t, t]; what lies ahead of a query is no distance, and is masked."""
        length = q.shape[1]
        asked = jnp.einsum("bthk,hlk->bhtl", q, self._vectors(q)[:, length - 1::-1])
        rows = jnp.pad(asked, ((0, 0), (0, 0), (0, 0), (1, 0))).reshape(*asked.shape[:2], length + 1, length)
        return rows[:, :, 1:].astype(jnp.float32)

    def _looked_up(self, q: Array, back: Array) -> Array:
        asked = jnp.einsum("bthk,hlk->bhtl", q, self._vectors(q))
        back = jnp.clip(back, 0, asked.shape[-1] - 1)[:, None]
        return jnp.take_along_axis(asked, jnp.broadcast_to(back, (*asked.shape[:3], back.shape[-1])), -1).astype(jnp.float32)

    def _vectors(self, q: Array) -> Array:
        assert self.distances is not None, "attention by distance is made with its vectors"
        return self.distances.astype(q.dtype)


@struct.dataclass
class MusicTransformer:
    tokens: Embedding
    blocks: Stack
    norm: LayerNorm
    head: Head
    longest: int = static(2048)
    dropout: float = static(0.0)

    @classmethod
    def of(cls, size: Size, dropout: float = 0.0) -> "MusicTransformer":
        first, last = normal(0.02), normal(0.02 / math.sqrt(2 * size.layers))
        block = PreNorm(
            attention_norm=LayerNorm.of(size),
            attention=Relative.of(size, initialiser=first, last=last, dropout=dropout,
                                  distances=table(size, "heads length head")),
            mlp_norm=LayerNorm.of(size),
            mlp=Mlp.of(size, jax.nn.relu, initialiser=first, last=last),
            dropout=dropout)
        return cls(Embedding.of(size), Stack.of(block, size.layers), LayerNorm.of(size), Head.of(size, initialiser=first),
                   size.length, dropout)

    @property
    def vocab(self) -> int:
        return len(self.tokens.table)

    def __call__(self, tokens: Array, **context: Array | None) -> Array:
        return self.logits(self.hidden(tokens, **context))

    def hidden(self, tokens: Array, *, key: Array | None = None) -> Array:
        counted(tokens.shape[1], self.longest)
        keys = (None, None) if key is None else jax.random.split(key)
        x, _ = self.blocks(self._embed(tokens, keys[0]), mask=masks.causal(tokens.shape[1]), key=keys[1])
        return self.norm(x)

    def logits(self, hidden: Array) -> Array:
        return shard(self.head(hidden), "batch", "length", "vocab")

    def start(self, batch: int, length: int) -> Memory:
        return Memory(self.blocks.caches(batch, length, dtype=self.tokens.table.dtype), Slots.empty(batch, length))

    def decode(self, tokens: Array, memory: Memory, present: Array | None = None) -> tuple[Array, Memory]:
        positions, slots = memory.slots.take(tokens, present)
        back = positions[:, :, None] - slots.positions[:, None, :]
        mask = masks.before(positions, slots.positions)
        x, blocks = self.blocks(self._embed(tokens), cache=memory.blocks, mask=mask, bias=back)
        return self.logits(self.norm(x)), Memory(blocks, slots)

    def _embed(self, tokens: Array, key: Array | None = None) -> Array:
        return shard(dropout(self.tokens(tokens), self.dropout, key), "batch", "length", "embed")
