"""A variational autoencoder (Kingma and Welling 2014) of patches: every one becomes a few numbers, not quite certain ones.

Encoder and decoder are stacks of the usual blocks, so that each patch is told and drawn knowing all of the others.
"""
import dataclasses

import jax
import jax.numpy as jnp
from flax import struct

from transformer.attention import Attention
from transformer.layers import Embedding, LayerNorm, Linear, Mlp, gelu
from transformer.models.vit import joined, patches
from transformer.sharding import shard
from transformer.stack import PreNorm, Stack

Array = jax.Array


@dataclasses.dataclass(frozen=True)
class Size:
    image: int = 8
    patch: int = 2
    channels: int = 1
    width: int = 2  # numbers that a patch becomes
    layers: int = 2
    embed: int = 64
    heads: int = 4
    mlp: int = 128

    @property
    def head(self) -> int:
        return self.embed // self.heads

    @property
    def length(self) -> int:
        return (self.image // self.patch) ** 2


@struct.dataclass
class Half:
    """Vectors in, as many vectors out, each knowing all others."""

    enter: Linear
    positions: Embedding
    blocks: Stack
    norm: LayerNorm
    leave: Linear

    @classmethod
    def of(cls, size: Size, enter: str, leave: str) -> "Half":
        block = PreNorm(LayerNorm.of(size), Attention.of(size, bias=True), LayerNorm.of(size), Mlp.of(size, gelu))
        return cls(Linear.of(size, enter, True), Embedding.of(size, "length embed"), Stack.of(block, size.layers), LayerNorm.of(size),
                   Linear.of(size, leave, True))

    def __call__(self, x: Array) -> Array:
        x = self.enter(x.astype(self.enter.kernel.dtype))
        x = shard(x + self.positions.table.astype(x.dtype)[None], "batch", "length", "embed")
        return self.leave(self.norm(self.blocks(x)[0]))


@struct.dataclass
class VAE:
    encoder: Half
    decoder: Half

    @classmethod
    def of(cls, size: Size) -> "VAE":
        return cls(Half.of(size, "patch patch channels -> embed", "embed -> 2 width"),
                   Half.of(size, "width -> embed", "embed -> patch patch channels"))

    def encode(self, images: Array) -> tuple[Array, Array]:
        """The mean and the logarithm of the deviation of every patch's numbers [b, n, width]."""
        told = self.encoder(patches(images, self.encoder.enter.kernel.shape[0]))
        return told[:, :, 0], jnp.clip(told[:, :, 1], -6.0, 2.0)

    def draw(self, vectors: Array) -> Array:
        """The picture of numbers [b, n, width]."""
        return joined(self.decoder(vectors))
