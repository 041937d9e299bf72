"""BART (Lewis et al. 2019): the 2017 encoder-decoder, trained to undo noise.

Post-norm blocks, learned positions that start at two, a norm after the embeddings, one table for source, target and logits.
"""
import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from transformer import masks
from transformer.attention import Attention, Part
from transformer.caches import Slots
from transformer.layers import Activation, Embedding, LayerNorm, Mlp, dropout, gelu, static
from transformer.positions import counted
from transformer.sharding import shard
from transformer.stack import Memory, PostNorm, Stack
from transformer.weights import Initialiser, constant, normal

Array = jax.Array


@dataclasses.dataclass(frozen=True)
class Size:
    vocab: int = 50265
    length: int = 1024
    layers: int = 6  # of the encoder, and of the decoder unless it has its own number
    embed: int = 768
    heads: int = 12
    mlp: int = 3072

    @property
    def head(self) -> int:
        return self.embed // self.heads

    @property
    def places(self) -> int:
        """Learned positions: two rows at the beginning are left over from counting padding."""
        return self.length + 2


@struct.dataclass
class Learned:
    """Learned positions, counted from `first`."""

    table: Array
    first: int = static(2)

    @classmethod
    def of(cls, size: Any) -> "Learned":
        return cls(Embedding.of(size, "places embed").table)

    @property
    def longest(self) -> int:
        return self.table.shape[0] - self.first

    def __call__(self, positions: Array) -> Array:
        return jnp.take(self.table, positions + self.first, axis=0)


@struct.dataclass
class Side:
    """One half: positions, a norm after them (or none), post-norm blocks."""

    positions: Part
    norm: Part
    blocks: Stack
    dropout: float = static(0.0)

    @classmethod
    def of(cls, size: Any, decoder: bool, positions: Part, norm: Part, activation: Activation, dropout: float,
           initialiser: Initialiser | None = None) -> "Side":
        initialiser = initialiser or normal(0.02)
        block = PostNorm(
            attention=Attention.of(size, bias=True, initialiser=initialiser, dropout=dropout),
            attention_norm=LayerNorm.of(size),
            mlp=Mlp.of(size, activation, initialiser=initialiser),
            mlp_norm=LayerNorm.of(size),
            cross=Attention.of(size, bias=True, initialiser=initialiser, dropout=dropout) if decoder else None,
            cross_norm=LayerNorm.of(size) if decoder else None,
            dropout=dropout)
        return cls(positions, norm, Stack.of(block, size.layers), dropout)

    @property
    def longest(self) -> int | None:
        """How many positions it has, unless they go on for ever."""
        return getattr(self.positions, "longest", None)

    def __call__(self, x: Array, positions: Array, *, key: Array | None = None, **context: Any) -> tuple[Array, Any]:
        keys = (None, None) if key is None else jax.random.split(key)
        x = self.norm(x + self.positions(positions).astype(x.dtype))
        x = shard(dropout(x, self.dropout, keys[0]), "batch", "length", "embed")
        return self.blocks(x, key=keys[1], **context)


@struct.dataclass
class Bart:
    tokens: Embedding
    encoder: Any  # a Side, or whatever reads as one does
    decoder: Side
    bias: Array | None  # of the logits
    targets: Embedding | None = None  # the decoder's own table, where the languages have vocabularies of their own
    multiplier: float = static(1.0)  # of the embeddings

    @classmethod
    def of(cls, size: Size, decoder_layers: int | None = None, dropout: float = 0.0, activation: Activation = gelu,
           scaled: bool = False) -> "Bart":
        inner = dataclasses.replace(size, layers=decoder_layers or size.layers)
        encoder, decoder = (Side.of(s, s is inner, Learned.of(s), LayerNorm.of(s), activation, dropout) for s in (size, inner))
        return cls(Embedding.of(size), encoder, decoder, constant(size, "vocab", 0.0),
                   multiplier=math.sqrt(size.embed) if scaled else 1.0)

    @property
    def longest(self) -> int | None:
        """How many tokens it can write, where positions are learned."""
        return self.decoder.longest

    def encode(self, source: Array, *, present: Array | None = None, segments: Array | None = None,
               positions: Array | None = None, key: Array | None = None) -> Array:
        positions = counted(source.shape[1], self.encoder.longest) if positions is None else positions
        mask = masks.encoder(present=present, segments=segments)
        return self.encoder(self.multiplier * self.tokens(source), positions, mask=mask, key=key)[0]

    def __call__(self, source: Array, target: Array, **context: Array | None) -> Array:
        return self.logits(self.hidden(source, target, **context))

    def hidden(self, source: Array, target: Array, *, present: Array | None = None, target_present: Array | None = None,
               key: Array | None = None) -> Array:
        """The decoder's final stream; `target` is what it is fed: the answer, shifted right."""
        keys = (None, None) if key is None else jax.random.split(key)
        memory = self.encode(source, present=present, key=keys[0])
        mask = masks.decoder(target.shape[1], present=target_present)
        return self.decoder(self._target(target), counted(target.shape[1], self.longest), mask=mask, memory=memory,
                            seen=masks.encoder(present=present), key=keys[1])[0]

    def logits(self, hidden: Array) -> Array:
        table = self.tokens if self.targets is None else self.targets
        logits = table.logits(hidden)
        logits = logits if self.bias is None else logits + self.bias.astype(jnp.float32)[None, None, :]
        return shard(logits, "batch", "length", "vocab")

    def start(self, memory: Array, length: int, present: Array | None = None) -> Memory:
        """Keys and values of the memory are computed here, once."""
        blocks = self.decoder.blocks.caches(len(memory), length, memory, memory.dtype)
        return Memory(blocks, Slots.empty(len(memory), length), masks.encoder(present=present))

    def decode(self, tokens: Array, memory: Memory, present: Array | None = None) -> tuple[Array, Memory]:
        positions, slots = memory.slots.take(tokens, present)
        x, blocks = self.decoder(self._target(tokens), jnp.maximum(positions, 0), cache=memory.blocks,
                                 mask=masks.before(positions, slots.positions), seen=memory.seen)
        return self.logits(x), Memory(blocks, slots, memory.seen)

    def _target(self, tokens: Array) -> Array:
        return self.multiplier * (self.tokens if self.targets is None else self.targets)(tokens)
