"""VQ-VAE (van den Oord et al. 2017): a picture as a grid of whole numbers, each that of the nearest of some learned vectors.

Each patch is coded by itself, so that what a code stands for looks the same wherever it is.
"""
import dataclasses

import jax
import jax.numpy as jnp
from flax import struct

from transformer.layers import Embedding, Linear, Mlp, gelu
from transformer.models.vit import joined, patches
from transformer.weights import normal

Array = jax.Array


@dataclasses.dataclass(frozen=True)
class Size:
    patch: int = 2
    channels: int = 3
    codes: int = 512
    width: int = 8  # of the vectors
    embed: int = 64
    mlp: int = 128


@struct.dataclass
class VQVAE:
    read: Linear
    reading: Mlp
    code: Linear
    codes: Embedding
    decode: Linear
    writing: Mlp
    write: Linear

    @classmethod
    def of(cls, size: Size) -> "VQVAE":
        return cls(Linear.of(size, "patch patch channels -> embed", True), Mlp.of(size, gelu), Linear.of(size, "embed -> width", True),
                   Embedding.of(size, "codes width", normal(1.0)), Linear.of(size, "width -> embed", True), Mlp.of(size, gelu),
                   Linear.of(size, "embed -> patch patch channels", True))

    def encode(self, images: Array) -> Array:
        """A vector for every patch [b, n, width] of images [b, height, width, channels] of 0 to 1, which no code stands for yet."""
        x = self.read(patches(images.astype(self.read.kernel.dtype), self.read.kernel.shape[0]))
        return self.code(x + self.reading(x))

    def nearest(self, vectors: Array) -> Array:
        """The number of the code nearest to each vector [b, n]."""
        return self.apart(vectors).argmin(-1).astype(jnp.int32)

    def apart(self, vectors: Array) -> Array:
        """Of each vector the squared distance to each code [b, n, codes], in float32."""
        vectors, table = vectors.astype(jnp.float32), self.codes.table.astype(jnp.float32)
        lengths = jnp.square(vectors).sum(-1, keepdims=True) + jnp.square(table).sum(-1)[None, None]
        return lengths - 2 * jnp.einsum("bnd,cd->bnc", vectors, table)

    def draw(self, vectors: Array) -> Array:
        """The picture of vectors [b, n, width]: of codes, once they have been looked up."""
        x = self.decode(vectors)
        return joined(self.write(x + self.writing(x)))

    def drawn(self, codes: Array) -> Array:
        """The picture of codes [b, n]."""
        return self.draw(self.codes(codes))
