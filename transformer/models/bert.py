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
from transformer.layers import Activation, Embedding, LayerNorm, Linear, Mlp, dropout, gelu, static
from transformer.positions import counted
from transformer.sharding import shard
from transformer.stack import PostNorm, Stack
from transformer.weights import constant, normal

Array = jax.Array


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


@dataclasses.dataclass(frozen=True)
class Classes:
    """What a head needs to know of any encoder, and how many classes there are."""

    embed: int
    classes: int

    @classmethod
    def on(cls, encoder: Any, classes: int) -> "Classes":
        return cls(encoder.tokens.table.shape[-1], classes)


@struct.dataclass
class Bert:
    """The encoder itself."""

    tokens: Embedding
    positions: Embedding
    kinds: Embedding | None
    norm: LayerNorm
    blocks: Stack
    dropout: float = static(0.0)

    @classmethod
    def of(cls, size: Size, dropout: float = 0.0, epsilon: float = 1e-12, activation: Activation = gelu) -> "Bert":
        """Of zero kinds, it has no table of them."""
        initialiser = normal(0.02)
        block = PostNorm(
            attention=Attention.of(size, bias=True, initialiser=initialiser, dropout=dropout),
            attention_norm=LayerNorm.of(size, epsilon),
            mlp=Mlp.of(size, activation, initialiser=initialiser),
            mlp_norm=LayerNorm.of(size, epsilon),
            dropout=dropout)
        return cls(Embedding.of(size), Embedding.of(size, "length embed"),
                   Embedding.of(size, "kinds embed") if size.kinds else None,
                   LayerNorm.of(size, epsilon), Stack.of(block, size.layers), dropout)

    def encode(self, tokens: Array, *, present: Array | None = None, kinds: Array | None = None,
               positions: Array | None = None, segments: Array | None = None, key: Array | None = None) -> Array:
        """A vector for every token. `kinds` says sentence A or B; `segments` keeps packed documents apart."""
        positions = counted(tokens.shape[1], self.positions.table.shape[0]) if positions is None else positions
        keys = (None, None) if key is None else jax.random.split(key)
        x = self.tokens(tokens) + self.positions(positions)
        if self.kinds is not None:
            # RoBERTa has a table of one kind: then both sentences are of it.
            x = x + self.kinds(jnp.zeros_like(tokens) if kinds is None or self.kinds.table.shape[0] == 1 else kinds)
        x = self.norm(x)
        x = shard(dropout(x, self.dropout, keys[0]), "batch", "length", "embed")
        return self.blocks(x, mask=masks.encoder(present=present, segments=segments), key=keys[1])[0]


@struct.dataclass
class MaskedHead:
    """Guesses a masked word from its vector: a dense layer, a norm, and the token table itself with a bias."""

    dense: Linear
    norm: LayerNorm
    bias: Array
    activation: Activation = static(gelu)

    @classmethod
    def of(cls, size: Any, epsilon: float = 1e-12, activation: Activation = gelu) -> "MaskedHead":
        return cls(Linear.of(size, "embed -> embed", True, normal(0.02)), LayerNorm.of(size, epsilon),
                   constant(size, "vocab", 0.0), activation)

    def __call__(self, x: Array, tokens: Embedding) -> Array:
        logits = tokens.logits(self.norm(self.activation(self.dense(x)))) + self.bias.astype(jnp.float32)[None, None, :]
        return shard(logits, "batch", "length", "vocab")


@struct.dataclass
class Pooler:
    """One vector for the whole text: its first token's, once more transformed."""

    dense: Linear
    activation: Activation = static(jnp.tanh)

    @classmethod
    def of(cls, size: Any, activation: Activation = jnp.tanh) -> "Pooler":
        return cls(Linear.of(size, "embed -> embed", True, normal(0.02)), activation)

    def __call__(self, hidden: Array) -> Array:
        return self.activation(self.dense(hidden[:, 0]))


@struct.dataclass
class Pretraining:
    """BERT with the two heads it is trained with."""

    bert: Bert
    masked: MaskedHead
    pooler: Pooler
    verdict: Linear

    @classmethod
    def of(cls, size: Size, dropout: float = 0.0, **choices: Any) -> "Pretraining":
        return cls(Bert.of(size, dropout, **choices), MaskedHead.of(size, **choices), Pooler.of(size),
                   Linear.of(size, "embed -> 2", True, normal(0.02)))

    def encode(self, tokens: Array, **context: Array | None) -> Array:
        return self.bert.encode(tokens, **context)

    def words(self, hidden: Array) -> Array:
        """Logits over the vocabulary of the word at each vector."""
        return self.masked(hidden, self.bert.tokens)

    def follows(self, hidden: Array) -> Array:
        """Logits [b, 2] from the first token: does not follow, follows."""
        return self.verdict(self.pooler(hidden)).astype(jnp.float32)


@struct.dataclass
class Masked:
    """Any encoder with a token table, and the head that guesses masked words."""

    encoder: Any
    masked: MaskedHead

    def encode(self, tokens: Array, **context: Array | None) -> Array:
        return self.encoder.encode(tokens, **context)

    def words(self, hidden: Array) -> Array:
        """Logits over the vocabulary of the word at each vector."""
        return self.masked(hidden, self.encoder.tokens)


@struct.dataclass
class Pooled:
    """An encoder and its pooler: a vector for every token, and one for the text."""

    encoder: Any
    pooler: Pooler

    def encode(self, tokens: Array, **context: Array | None) -> Array:
        return self.encoder.encode(tokens, **context)

    def pooled(self, hidden: Array) -> Array:
        return self.pooler(hidden)


@struct.dataclass
class TextClasses:
    """An encoder that says what kind of text this is: logits [b, class] from the pooled first token."""

    encoder: Any
    pooler: Pooler
    head: Linear
    dropout: float = static(0.0)

    @classmethod
    def of(cls, encoder: Any, size: Any, dropout: float = 0.0) -> "TextClasses":
        """`size` names the number of `classes`, beside the encoder's own axes."""
        return cls(encoder, Pooler.of(size), Linear.of(size, "embed -> classes", True, normal(0.02)), dropout)

    def __call__(self, tokens: Array, *, key: Array | None = None, **context: Array | None) -> Array:
        keys = (None, None) if key is None else jax.random.split(key)
        return self.logits(self.encoder.encode(tokens, key=keys[0], **context), keys[1])

    def logits(self, hidden: Array, key: Array | None = None) -> Array:
        return self.head(dropout(self.pooler(hidden), self.dropout, key)).astype(jnp.float32)


@struct.dataclass
class TokenClasses:
    """An encoder that says what each token is: logits [b, t, class]; with two classes, where an answer starts and ends."""

    encoder: Any
    head: Linear
    dropout: float = static(0.0)

    @classmethod
    def of(cls, encoder: Any, size: Any, dropout: float = 0.0) -> "TokenClasses":
        """`size` names the number of `classes`, beside the encoder's own axes."""
        return cls(encoder, Linear.of(size, "embed -> classes", True, normal(0.02)), dropout)

    def __call__(self, tokens: Array, *, key: Array | None = None, **context: Array | None) -> Array:
        keys = (None, None) if key is None else jax.random.split(key)
        return self.logits(self.encoder.encode(tokens, key=keys[0], **context), keys[1])

    def logits(self, hidden: Array, key: Array | None = None) -> Array:
        return self.head(dropout(hidden, self.dropout, key)).astype(jnp.float32)
