"""GPT-2 (Radford et al. 2019): a decoder that predicts the next token.

Pre-norm blocks and a final norm, learned positions, GELU's tanh form, logits from the token table itself.
"""
import dataclasses
import math

import jax
import jax.numpy as jnp
from flax import struct

from transformer import masks
from transformer.attention import Attention, Part
from transformer.caches import Slots, visible
from transformer.layers import Activation, Embedding, Head, LayerNorm, Mlp, dropout, gelu_tanh, static
from transformer.positions import counted
from transformer.sharding import shard
from transformer.stack import Memory, PreNorm, Stack, each_kind
from transformer.weights import normal

Array = jax.Array


@dataclasses.dataclass(frozen=True)
class Size:
    vocab: int = 50257
    length: int = 1024
    layers: int = 12
    embed: int = 768
    heads: int = 12
    mlp: int = 0  # unless given, four times embed

    def __post_init__(self) -> None:
        object.__setattr__(self, "mlp", self.mlp or 4 * self.embed)

    @property
    def head(self) -> int:
        return self.embed // self.heads


@struct.dataclass
class GPT2:
    tokens: Embedding
    positions: Embedding
    blocks: Stack
    norm: Part
    head: Head | None = None  # without one, the token table gives the logits
    dropout: float = static(0.0)
    windows: tuple[int | None, ...] = static((None,))  # how far back the layers of each kind see (None: all the way)

    @classmethod
    def of(cls, size: Size, dropout: float = 0.0, activation: Activation = gelu_tanh, epsilon: float = 1e-5,
           tied: bool = True) -> "GPT2":
        # What a block adds to the stream starts smaller the more blocks there are.
        first, last = normal(0.02), normal(0.02 / math.sqrt(2 * size.layers))
        block = PreNorm(
            attention_norm=LayerNorm.of(size, epsilon),
            attention=Attention.of(size, bias=True, initialiser=first, last=last, dropout=dropout),
            mlp_norm=LayerNorm.of(size, epsilon),
            mlp=Mlp.of(size, activation, initialiser=first, last=last),
            dropout=dropout)
        return cls(Embedding.of(size), Embedding.of(size, "length embed", normal(0.01)),
                   Stack.of(block, size.layers), LayerNorm.of(size, epsilon),
                   None if tied else Head.of(size, initialiser=first), dropout)

    @property
    def vocab(self) -> int:
        """How many tokens it reads."""
        return len(self.tokens.table)

    @property
    def longest(self) -> int:
        """How many positions it has."""
        return self.positions.table.shape[0]

    def __call__(self, tokens: Array, **context: Array | None) -> Array:
        return self.logits(self.hidden(tokens, **context))

    def hidden(self, tokens: Array, *, positions: Array | None = None, present: Array | None = None,
               segments: Array | None = None, key: Array | None = None) -> Array:
        """The final stream. `present` marks what is not padding; `segments` keeps packed documents apart."""
        order = jnp.arange(tokens.shape[1])[None]
        mask = masks.decoder(tokens.shape[1], present=present, segments=segments)
        mask = each_kind(mask if reach is None else mask & masks.window(order, order, reach) for reach in self.windows)
        keys = (None, None) if key is None else jax.random.split(key)
        positions = counted(tokens.shape[1], self.longest) if positions is None else positions
        x, _ = self.blocks(self._embed(tokens, positions, keys[0]), mask=mask, key=keys[1])
        return self.norm(x)

    def logits(self, hidden: Array) -> Array:
        return shard((self.head or self.tokens.logits)(hidden), "batch", "length", "vocab")

    def start(self, batch: int, length: int) -> Memory:
        blocks = self.blocks.caches(batch, length, dtype=self.tokens.table.dtype, windows=self.windows)
        return Memory(blocks, Slots.empty(batch, length))

    def decode(self, tokens: Array, memory: Memory, present: Array | None = None) -> tuple[Array, Memory]:
        positions, slots = memory.slots.take(tokens, present)
        x = self._embed(tokens, jnp.maximum(positions, 0))
        mask = each_kind(visible(positions, memory.slots, slots, reach) for reach in self.windows)
        x, blocks = self.blocks(x, cache=memory.blocks, mask=mask, positions=positions)
        return self.logits(self.norm(x)), Memory(blocks, slots)

    def _embed(self, tokens: Array, positions: Array, key: Array | None = None) -> Array:
        x = self.tokens(tokens) + self.positions(positions)
        return shard(dropout(x, self.dropout, key), "batch", "length", "embed")
