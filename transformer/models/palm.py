"""PaLM (Chowdhery et al. 2022): a decoder whose blocks compute attention and feed-forward side by side, from one norm.

All query heads share one head of keys and values, so a cache is `heads` times smaller; SwiGLU, rotary positions, no biases,
not even in the norms. Logits come from the token table, born with unit variance, and are divided by √embed.
"""
import dataclasses
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import struct

from transformer import masks
from transformer.attention import Attention, Part
from transformer.caches import Slots
from transformer.layers import Embedding, GatedMlp, LayerNorm, dropout, static
from transformer.positions import Rotary
from transformer.sharding import shard
from transformer.stack import BlockCache, Memory, Stack, settled
from transformer.weights import normal

Array = jax.Array


@dataclasses.dataclass(frozen=True)
class Size:
    vocab: int = 256_000
    layers: int = 118
    embed: int = 18432
    heads: int = 48
    head: int = 256
    groups: int = 1
    mlp: int = 0  # unless given, four times embed

    def __post_init__(self) -> None:
        object.__setattr__(self, "mlp", self.mlp or 4 * self.embed)


@struct.dataclass
class Parallel:
    """y = x + attention(norm(x)) + mlp(norm(x)): neither waits for the other."""

    norm: Part
    attention: Attention
    mlp: Part
    dropout: float = static(0.0)

    def __call__(self, x: Array, *, mask: Array | None = None, rotate: Callable[[Array], Array] | None = None,
                 cache: BlockCache | None = None, key: Array | None = None) -> tuple[Array, BlockCache | None]:
        keys = (None, None) if key is None else jax.random.split(key)
        normed = self.norm(x)
        attended, own = self.attention(normed, mask=mask, rotate=rotate, cache=cache and cache.own, key=keys[0])
        x = settled(x + dropout(attended + self.mlp(normed), self.dropout, keys[1]))
        return shard(x, "batch", "length", "embed"), None if own is None else BlockCache(own)


@struct.dataclass
class Palm:
    tokens: Embedding
    blocks: Stack
    norm: Part
    rotary: Rotary = static(Rotary(256))

    @classmethod
    def of(cls, size: Size, dropout: float = 0.0, epsilon: float = 1e-6) -> "Palm":
        norm = dataclasses.replace(LayerNorm.of(size, epsilon), shift=None)
        block = Parallel(norm, Attention.of(size, groups="groups"), GatedMlp.of(size, jax.nn.silu), dropout)
        return cls(Embedding.of(size, initialiser=normal(1.0)), Stack.of(block, size.layers), norm, Rotary(size.head))

    def __call__(self, tokens: Array, **context: Array | None) -> Array:
        return self.logits(self.hidden(tokens, **context))

    def hidden(self, tokens: Array, *, positions: Array | None = None, present: Array | None = None,
               segments: Array | None = None, key: Array | None = None) -> Array:
        """The final stream. `present` marks what is not padding; `segments` keeps packed documents apart."""
        mask = masks.decoder(tokens.shape[1], present=present, segments=segments)
        rotate = self.rotary(jnp.arange(tokens.shape[1])[None] if positions is None else positions)
        x, _ = self.blocks(self._embed(tokens), mask=mask, rotate=rotate, key=key)
        return self.norm(x)

    def logits(self, hidden: Array) -> Array:
        return shard(self.tokens.logits(hidden) / math.sqrt(hidden.shape[-1]), "batch", "length", "vocab")

    def start(self, batch: int, length: int) -> Memory:
        return Memory(self.blocks.caches(batch, length, dtype=self.tokens.table.dtype), Slots.empty(batch, length))

    def decode(self, tokens: Array, memory: Memory, present: Array | None = None) -> tuple[Array, Memory]:
        positions, slots = memory.slots.take(tokens, present)
        mask = masks.before(positions, slots.positions)
        x, blocks = self.blocks(self._embed(tokens), cache=memory.blocks, rotate=self.rotary(positions), mask=mask)
        return self.logits(self.norm(x)), Memory(blocks, slots)

    def _embed(self, tokens: Array) -> Array:
        return shard(self.tokens(tokens), "batch", "length", "embed")
