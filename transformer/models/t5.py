"""T5 (Raffel et al. 2020): text in, text out, by an encoder and a decoder that attends to what was encoded.

Pre-norm blocks with RMS norms and no biases; positions are learned biases on the scores, shared by all layers of a side; no
1/√k (it is folded into how queries are born). Version 1.0 has ReLU and a tied table; 1.1 a gated GELU and its own head.
"""
import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from transformer import masks
from transformer.attention import Attention
from transformer.caches import Slots
from transformer.layers import Activation, Embedding, GatedMlp, Head, Mlp, RMSNorm, dropout, gelu_tanh, static
from transformer.positions import relative_buckets
from transformer.sharding import shard
from transformer.stack import Memory, PreNorm, Stack
from transformer.weights import normal, table

Array = jax.Array


@dataclasses.dataclass(frozen=True)
class Size:
    vocab: int = 32128
    layers: int = 6
    embed: int = 512
    heads: int = 8
    head: int = 64
    mlp: int = 2048
    buckets: int = 32
    reach: int = 128


def rates(size: Size) -> dict[str, float]:
    """How fast parts should learn beside the rest: queries by as much slower as they are born smaller, distances' biases,
    which have far to go, faster."""
    return {"*query.kernel": size.head ** -0.5, "*bias.table": 30.0}


@struct.dataclass
class RelativeBias:
    """A learned number for each head and each bucket of distances, added to the scores."""

    table: Array
    reach: int = static(128)
    both_ways: bool = static(True)

    @classmethod
    def of(cls, size: Size, both_ways: bool) -> "RelativeBias":
        return cls(table(size, "buckets heads", normal(size.embed ** -0.5)), size.reach, both_ways)

    def __call__(self, queries: Array, keys: Array) -> Array:
        buckets = relative_buckets(queries, keys, len(self.table), self.reach, self.both_ways)
        return jnp.moveaxis(self.table[buckets], -1, 1).astype(jnp.float32)


@struct.dataclass
class Side:
    """One half of T5: a stack, the biases its layers share, and a last norm."""

    bias: RelativeBias
    blocks: Stack
    norm: RMSNorm
    dropout: float = static(0.0)

    @classmethod
    def of(cls, size: Size, decoder: bool, gated: bool, dropout: float, activation: Activation | None = None,
           epsilon: float = 1e-6) -> "Side":
        def attention() -> Attention:
            attention = Attention.of(size, scale=1.0, dropout=dropout)
            folded = Attention.of(size, initialiser=normal((size.embed * size.head) ** -0.5))
            return dataclasses.replace(attention, query=folded.query)

        block = PreNorm(
            attention_norm=RMSNorm.of(size, epsilon),
            attention=attention(),
            mlp_norm=RMSNorm.of(size, epsilon),
            mlp=GatedMlp.of(size, activation or gelu_tanh) if gated else Mlp.of(size, activation or jax.nn.relu, bias=False),
            cross_norm=RMSNorm.of(size, epsilon) if decoder else None,
            cross=attention() if decoder else None,
            dropout=dropout)
        bias, last = RelativeBias.of(size, both_ways=not decoder), RMSNorm.of(size, epsilon)
        return cls(bias, Stack.of(block, size.layers), last, dropout)

    def __call__(self, x: Array, *, queries: Array, keys: Array, key: Array | None = None, **context) -> tuple:
        first, inner, last = (None,) * 3 if key is None else jax.random.split(key, 3)
        x = shard(dropout(x, self.dropout, first), "batch", "length", "embed")
        x, cache = self.blocks(x, bias=self.bias(queries, keys), key=inner, **context)
        return dropout(self.norm(x), self.dropout, last), cache


@struct.dataclass
class Encoder:
    """The half of T5 that reads, by itself."""

    tokens: Embedding
    encoder: Side

    def encode(self, tokens: Array, *, present: Array | None = None, segments: Array | None = None,
               positions: Array | None = None, key: Array | None = None) -> Array:
        positions = jnp.arange(tokens.shape[1])[None] if positions is None else positions
        mask = masks.encoder(present=present, segments=segments)
        return self.encoder(self.tokens(tokens), queries=positions, keys=positions, mask=mask, key=key)[0]


@struct.dataclass
class T5:
    tokens: Embedding
    encoder: Side
    decoder: Side
    head: Head | None = None
    scaled: bool = static(True)  # what the head reads, by 1/√d

    @classmethod
    def of(cls, size: Size, gated: bool = False, dropout: float = 0.0, decoder_layers: int | None = None,
           tied: bool | None = None, scaled: bool | None = None, **choices: Any) -> "T5":
        """Version 1.0, or with `gated` version 1.1, whose head is its own. `choices` are an activation and an epsilon."""
        tied = not gated if tied is None else tied
        inner = dataclasses.replace(size, layers=decoder_layers or size.layers)
        encoder, decoder = (Side.of(s, s is inner, gated, dropout, **choices) for s in (size, inner))
        return cls(Embedding.of(size, initialiser=normal(1.0)), encoder, decoder, None if tied else Head.of(size),
                   tied if scaled is None else scaled)

    def encode(self, source: Array, **context: Array | None) -> Array:
        return Encoder(self.tokens, self.encoder).encode(source, **context)

    def __call__(self, source: Array, target: Array, **context: Array | None) -> Array:
        return self.logits(self.hidden(source, target, **context))

    def hidden(self, source: Array, target: Array, *, present: Array | None = None, target_present: Array | None = None,
               key: Array | None = None) -> Array:
        """The decoder's final stream; `target` is what it is fed: the answer, shifted right."""
        keys = (None, None) if key is None else jax.random.split(key)
        memory = self.encode(source, present=present, key=keys[0])
        positions = jnp.arange(target.shape[1])[None]
        x, _ = self.decoder(self.tokens(target), queries=positions, keys=positions,
                            mask=masks.decoder(target.shape[1], present=target_present), memory=memory,
                            seen=masks.encoder(present=present), key=keys[1])
        return x

    def logits(self, hidden: Array) -> Array:
        hidden = hidden / math.sqrt(hidden.shape[-1]) if self.scaled else hidden
        logits = self.tokens.logits(hidden) if self.head is None else self.head(hidden)
        return shard(logits, "batch", "length", "vocab")

    def start(self, memory: Array, length: int, present: Array | None = None) -> Memory:
        """Keys and values of the memory are computed here, once."""
        blocks = self.decoder.blocks.caches(len(memory), length, memory, memory.dtype)
        return Memory(blocks, Slots.empty(len(memory), length), masks.encoder(present=present))

    def decode(self, tokens: Array, memory: Memory, present: Array | None = None) -> tuple[Array, Memory]:
        positions, slots = memory.slots.take(tokens, present)
        x, blocks = self.decoder(self.tokens(tokens), queries=positions, keys=slots.positions, cache=memory.blocks,
                                 mask=masks.before(positions, slots.positions), seen=memory.seen)
        return self.logits(x), Memory(blocks, slots, memory.seen)
