"""LLaMA (Touvron et al. 2023): GPT-2 with rotary positions, RMS norms, gated feed-forward layers and grouped heads.

No biases anywhere; the output has a matrix of its own.
"""
import dataclasses

import jax
import jax.numpy as jnp
from flax import struct

from transformer import masks
from transformer.attention import Attention, Slots
from transformer.layers import Embedding, GatedMlp, Head, RMSNorm, static
from transformer.positions import Rotary
from transformer.sharding import shard
from transformer.stack import Memory, PreNorm, Stack
from transformer.weights import normal

Array = jax.Array


@dataclasses.dataclass(frozen=True)
class Size:
    vocab: int = 32000
    layers: int = 32
    embed: int = 4096
    heads: int = 32
    groups: int = 32
    mlp: int = 11008

    @property
    def head(self) -> int:
        return self.embed // self.heads


@struct.dataclass
class Llama:
    tokens: Embedding
    blocks: Stack
    norm: RMSNorm
    head: Head
    rotary: Rotary = static(Rotary(128))

    @classmethod
    def of(cls, size: Size, theta: float = 10_000.0, epsilon: float = 1e-5) -> "Llama":
        initialiser = normal(0.02)
        block = PreNorm(
            attention_norm=RMSNorm.of(size, epsilon),
            attention=Attention.of(size, groups="groups", initialiser=initialiser),
            mlp_norm=RMSNorm.of(size, epsilon),
            mlp=GatedMlp.of(size, jax.nn.silu, initialiser=initialiser))
        return cls(Embedding.of(size), Stack.of(block, size.layers), RMSNorm.of(size, epsilon),
                   Head.of(size, initialiser=initialiser), Rotary(size.head, theta))

    def __call__(self, tokens: Array, **context: Array | None) -> Array:
        return self.logits(self.hidden(tokens, **context))

    def hidden(self, tokens: Array, *, positions: Array | None = None, present: Array | None = None,
               segments: Array | None = None, key: Array | None = None) -> Array:
        """The final stream. `present` marks what is not padding; `segments` keeps packed documents apart."""
        mask = masks.decoder(tokens.shape[1], present=present, segments=segments)
        positions = jnp.arange(tokens.shape[1])[None] if positions is None else positions
        x, _ = self.blocks(self._embed(tokens), mask=mask, rotate=self.rotary(positions), key=key)
        return self.norm(x)

    def logits(self, hidden: Array) -> Array:
        return shard(self.head(hidden), "batch", "length", "vocab")

    def start(self, batch: int, length: int) -> Memory:
        return Memory(self.blocks.caches(batch, length, dtype=self.tokens.table.dtype), Slots.empty(batch, length))

    def decode(self, tokens: Array, memory: Memory, present: Array | None = None) -> tuple[Array, Memory]:
        positions, slots = memory.slots.take(tokens, present)
        x, blocks = self.blocks(self._embed(tokens), cache=memory.blocks, rotate=self.rotary(positions),
                                mask=masks.before(positions, slots.positions))
        return self.logits(self.norm(x)), Memory(blocks, slots)

    def _embed(self, tokens: Array) -> Array:
        return shard(self.tokens(tokens), "batch", "length", "embed")
