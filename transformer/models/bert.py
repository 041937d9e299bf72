"""BERT (Devlin et al. 2018): an encoder that reads both ways, trained on masked words and on which sentence follows.

Post-norm blocks, exact GELU, learned positions, a table of sentence kinds, a norm after the embeddings.
"""
import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from transformer import masks
from transformer.attention import Attention
from transformer.layers import Embedding, LayerNorm, Linear, Mlp, dropout, gelu, static
from transformer.sharding import shard
from transformer.stack import PostNorm, Stack
from transformer.weights import constant, normal

Array = jax.Array
EPSILON = 1e-12


@dataclasses.dataclass(frozen=True)
class Size:
    vocab: int = 30522
    length: int = 512
    kinds: int = 2
    layers: int = 12
    embed: int = 768
    heads: int = 12
    mlp: int = 3072

    @property
    def head(self) -> int:
        return self.embed // self.heads


@struct.dataclass
class Bert:
    """The encoder itself."""

    tokens: Embedding
    positions: Embedding
    kinds: Embedding
    norm: LayerNorm
    blocks: Stack
    dropout: float = static(0.0)

    @classmethod
    def of(cls, size: Size, dropout: float = 0.0) -> "Bert":
        initialiser = normal(0.02)
        block = PostNorm(
            attention=Attention.of(size, bias=True, initialiser=initialiser, dropout=dropout),
            attention_norm=LayerNorm.of(size, EPSILON),
            mlp=Mlp.of(size, gelu, initialiser=initialiser),
            mlp_norm=LayerNorm.of(size, EPSILON),
            dropout=dropout)
        return cls(Embedding.of(size), Embedding.of(size, "length embed"), Embedding.of(size, "kinds embed"),
                   LayerNorm.of(size, EPSILON), Stack.of(block, size.layers), dropout)

    def encode(self, tokens: Array, *, present: Array | None = None, kinds: Array | None = None,
               positions: Array | None = None, segments: Array | None = None, key: Array | None = None) -> Array:
        """A vector for every token. `kinds` says sentence A or B; `segments` keeps packed documents apart."""
        positions = jnp.arange(tokens.shape[1])[None] if positions is None else positions
        kinds = jnp.zeros_like(tokens) if kinds is None else kinds
        keys = (None, None) if key is None else jax.random.split(key)
        x = self.norm(self.tokens(tokens) + self.positions(positions) + self.kinds(kinds))
        x = shard(dropout(x, self.dropout, keys[0]), "batch", "length", "embed")
        return self.blocks(x, mask=masks.encoder(present=present, segments=segments), key=keys[1])[0]


@struct.dataclass
class MaskedHead:
    """Guesses a masked word from its vector: a dense layer, a norm, and the token table itself with a bias."""

    dense: Linear
    norm: LayerNorm
    bias: Array

    @classmethod
    def of(cls, size: Any) -> "MaskedHead":
        return cls(Linear.of(size, "embed -> embed", True, normal(0.02)), LayerNorm.of(size, EPSILON),
                   constant(size, "vocab", 0.0))

    def __call__(self, x: Array, tokens: Embedding) -> Array:
        return tokens.logits(self.norm(gelu(self.dense(x)))) + self.bias.astype(jnp.float32)[None, None, :]


@struct.dataclass
class Pretraining:
    """BERT with the two heads it is trained with."""

    bert: Bert
    masked: MaskedHead
    pooler: Linear
    verdict: Linear

    @classmethod
    def of(cls, size: Size, dropout: float = 0.0) -> "Pretraining":
        initialiser = normal(0.02)
        return cls(Bert.of(size, dropout), MaskedHead.of(size), Linear.of(size, "embed -> embed", True, initialiser),
                   Linear.of(size, "embed -> 2", True, initialiser))

    def encode(self, tokens: Array, **context: Array | None) -> Array:
        return self.bert.encode(tokens, **context)

    def words(self, hidden: Array) -> Array:
        """Logits over the vocabulary of the word at each vector."""
        return shard(self.masked(hidden, self.bert.tokens), "batch", "length", "vocab")

    def follows(self, hidden: Array) -> Array:
        """Logits [b, 2] from the first token: does not follow, follows."""
        return self.verdict(jnp.tanh(self.pooler(hidden[:, 0]))).astype(jnp.float32)
