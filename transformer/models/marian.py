"""MarianMT (Junczys-Dowmunt et al. 2018; Tiedemann and Thottingal 2020): BART's two sides, for translation.

Fixed sinusoidal positions instead of learned ones, no norm after the embeddings, swish, embeddings scaled by √d; one
vocabulary for both languages, or one each.
"""
import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp

from transformer.layers import Activation, Embedding, Identity
from transformer.models.bart import Bart, Side
from transformer.positions import waves
from transformer.weights import constant, normal

Array = jax.Array


@dataclasses.dataclass(frozen=True)
class Size:
    vocab: int = 58101
    target_vocab: int | None = None  # if the target has a vocabulary of its own
    layers: int = 6
    embed: int = 512
    heads: int = 8
    mlp: int = 2048

    @property
    def head(self) -> int:
        return self.embed // self.heads


@dataclasses.dataclass(frozen=True)
class Halves:
    """Sines in the first half of the channels, cosines in the second."""

    embed: int

    def __call__(self, positions: Array) -> Array:
        return jnp.concatenate(waves(positions, self.embed), axis=-1)


jax.tree_util.register_static(Halves)


def marian(size: Size, decoder_layers: int | None = None, dropout: float = 0.0, activation: Activation = jax.nn.silu,
           scaled: bool = True) -> Bart:
    inner: Any = dataclasses.replace(size, layers=decoder_layers or size.layers, vocab=size.target_vocab or size.vocab)
    encoder, decoder = (Side.of(s, s is inner, Halves(s.embed), Identity(), activation, dropout) for s in (size, inner))
    return Bart(Embedding.of(size, initialiser=normal(0.02)), encoder, decoder, constant(inner, "vocab", 0.0),
                targets=Embedding.of(inner) if size.target_vocab else None,
                multiplier=math.sqrt(size.embed) if scaled else 1.0)
