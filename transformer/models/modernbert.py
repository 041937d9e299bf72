"""ModernBERT (Warner et al. 2024): BERT rebuilt with what decoders learned since.

Pre-norm blocks without biases, rotary positions, gated GELU, and layers that see everything in turn with layers that see
their neighbourhood, each kind with a rotary base of its own. The first block reads the normalised embeddings as they are.
"""
import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from transformer import masks
from transformer.attention import Attention
from transformer.layers import Activation, Embedding, GatedMlp, Identity, LayerNorm, Linear, dropout, gelu, static
from transformer.models.bert import Classes
from transformer.models.bi_encoder import first
from transformer.positions import Rotary
from transformer.sharding import shard
from transformer.stack import PreNorm, Stack
from transformer.weights import Initialiser, constant, normal

Array = jax.Array

BORN = normal(0.02)


@dataclasses.dataclass(frozen=True)
class Size:
    vocab: int = 50368
    layers: int = 22
    embed: int = 768
    heads: int = 12
    mlp: int = 1152
    window: int = 128  # both ways together
    every: int = 3  # each such layer, the first included, sees everything
    kinds: int = 0  # of sentences: published ones tell none apart

    @property
    def head(self) -> int:
        return self.embed // self.heads


@struct.dataclass
class ModernBert:
    tokens: Embedding
    embedding_norm: LayerNorm
    blocks: Stack
    norm: LayerNorm
    reach: int = static(65)
    far: Rotary = static(Rotary(64, 160_000.0))
    near: Rotary = static(Rotary(64))
    dropout: float = static(0.0)
    kinds: Embedding | None = None
    distances: Callable[[Array, Array], Array] | None = None

    @classmethod
    def of(cls, size: Size, dropout: float = 0.0, far: float = 160_000.0, near: float = 10_000.0,
           epsilon: float = 1e-5, activation: Activation = gelu, kinds: tuple[int, ...] = (),
           initialiser: Initialiser | None = BORN, distances: Callable[[Array, Array], Array] | None = None) -> "ModernBert":
        """`kinds` says of each layer whether it sees everything (0) or what is near (1), if not every so-many-th does.
        `distances` may add to the scores by how far apart two positions are, as T5's biases do; published ones only turn.

        Published widths are born with 0.02; narrow ones leave their plateau sooner by fan-in, which is `initialiser=None`.
        """

        def norm() -> LayerNorm:
            return dataclasses.replace(LayerNorm.of(size, epsilon), shift=None)

        def block(layer: int) -> PreNorm:
            return PreNorm(
                attention_norm=norm() if layer else Identity(),
                attention=Attention.of(size, initialiser=initialiser, dropout=dropout),
                mlp_norm=norm(),
                mlp=GatedMlp.of(size, activation, initialiser=initialiser),
                dropout=dropout)

        kinds = kinds or tuple(int(layer % size.every != 0) for layer in range(size.layers))
        blocks = Stack(tuple(block(layer) for layer in range(size.layers)), kinds)
        return cls(Embedding.of(size), norm(), blocks, norm(), size.window // 2 + 1,
                   Rotary(size.head, far), Rotary(size.head, near), dropout,
                   Embedding.of(size, "kinds embed") if size.kinds else None, distances)

    def encode(self, tokens: Array, *, present: Array | None = None, positions: Array | None = None,
               segments: Array | None = None, kinds: Array | None = None, key: Array | None = None) -> Array:
        """A vector for every token. `kinds` says sentence A or B, to one that has a table of them."""
        positions = jnp.arange(tokens.shape[1])[None] if positions is None else positions
        keys = (None, None) if key is None else jax.random.split(key)
        x = self.tokens(tokens)
        if self.kinds is not None:
            x = x + self.kinds(jnp.zeros_like(tokens) if kinds is None else kinds)
        x = shard(dropout(self.embedding_norm(x), self.dropout, keys[0]), "batch", "length", "embed")
        everything = masks.encoder(present=present, segments=segments)
        nearby = everything & masks.window(positions, positions, self.reach)
        x, _ = self.blocks(x, mask=(everything, nearby), rotate=(self.far(positions), self.near(positions)), key=keys[1],
                           bias=None if self.distances is None else self.distances(positions, positions))
        return self.norm(x)


@struct.dataclass
class Masked:
    """ModernBERT as it is pretrained."""

    encoder: ModernBert
    dense: Linear
    norm: LayerNorm
    bias: Array
    activation: Activation = static(gelu)

    @classmethod
    def of(cls, size: Size, epsilon: float = 1e-5, head_activation: Activation = gelu, **choices: Any) -> "Masked":
        norm = dataclasses.replace(LayerNorm.of(size, epsilon), shift=None)
        dense = Linear.of(size, "embed -> embed", initialiser=normal(0.02))
        return cls(ModernBert.of(size, epsilon=epsilon, **choices), dense, norm, constant(size, "vocab", 0.0),
                   head_activation)

    def encode(self, tokens: Array, **context: Array | None) -> Array:
        return self.encoder.encode(tokens, **context)

    def words(self, hidden: Array) -> Array:
        """Logits over the vocabulary of the word at each vector."""
        logits = self.encoder.tokens.logits(self.norm(self.activation(self.dense(hidden))))
        return shard(logits + self.bias.astype(jnp.float32)[None, None, :], "batch", "length", "vocab")


@struct.dataclass
class TokenClasses:
    """ModernBERT that says what each token is: logits [b, t, class]."""

    encoder: ModernBert
    dense: Linear
    norm: LayerNorm
    head: Linear
    activation: Activation = static(gelu)

    @classmethod
    def of(cls, size: Size, classes: int, epsilon: float = 1e-5, head_activation: Activation = gelu,
           **choices: Any) -> "TokenClasses":
        masked = Masked.of(size, epsilon, head_activation, **choices)
        head = Linear.of(Classes(size.embed, classes), "embed -> classes", True, normal(0.02))
        return cls(masked.encoder, masked.dense, masked.norm, head, head_activation)

    def encode(self, tokens: Array, **context: Array | None) -> Array:
        return self.encoder.encode(tokens, **context)

    def __call__(self, tokens: Array, **context: Array | None) -> Array:
        return self.logits(self.encode(tokens, **context))

    def logits(self, hidden: Array) -> Array:
        return self.head(self.norm(self.activation(self.dense(hidden)))).astype(jnp.float32)


@struct.dataclass
class TextClasses:
    """ModernBERT that says what kind of text this is: logits [b, class] from the first token, or from the mean of all."""

    tagger: TokenClasses
    pool: Callable[[Array, Array], Array] = static(first)

    @property
    def encoder(self) -> ModernBert:
        return self.tagger.encoder

    def encode(self, tokens: Array, **context: Array | None) -> Array:
        return self.encoder.encode(tokens, **context)

    def __call__(self, tokens: Array, *, present: Array | None = None, **context: Array | None) -> Array:
        return self.logits(self.encode(tokens, present=present, **context), present)

    def logits(self, hidden: Array, present: Array | None = None) -> Array:
        present = jnp.ones(hidden.shape[:2], bool) if present is None else present
        return self.tagger.logits(self.pool(hidden, present))
