"""ViT (Dosovitskiy et al. 2020): an image is a sequence of patches, and an encoder says what is on it."""
import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from transformer.attention import Attention
from transformer.layers import Activation, Embedding, LayerNorm, Linear, Mlp, dropout, gelu, static
from transformer.mistakes import Mistake
from transformer.models.bert import Pooler
from transformer.sharding import shard
from transformer.stack import PreNorm, Stack
from transformer.weights import normal

Array = jax.Array


@dataclasses.dataclass(frozen=True)
class Size:
    image: int = 224
    patch: int = 16
    channels: int = 3
    classes: int = 1000
    layers: int = 12
    embed: int = 768
    heads: int = 12
    mlp: int = 3072

    @property
    def head(self) -> int:
        return self.embed // self.heads

    @property
    def length(self) -> int:
        """The patches, after one token that stands for the whole."""
        return (self.image // self.patch) ** 2 + 1


def patches(images: Array, patch: int) -> Array:
    """Images [b, height, width, channels] cut into squares, row by row: [b, patches, patch, patch, channels]."""
    b, height, width, channels = images.shape
    if height % patch or width % patch:
        raise Mistake(f"a picture of {height} × {width} cannot be cut into patches of {patch} × {patch}: choose a divisor")
    grid = images.reshape(b, height // patch, patch, width // patch, patch, channels)
    return grid.swapaxes(2, 3).reshape(b, -1, patch, patch, channels)


def joined(squares: Array) -> Array:
    """Square images from their patches again [b, height, width, channels]."""
    b, count, patch, _, channels = squares.shape
    side = math.isqrt(count)
    return squares.reshape(b, side, side, patch, patch, channels).swapaxes(2, 3).reshape(b, side * patch, side * patch, channels)


@struct.dataclass
class ViT:
    patch: Linear
    whole: Embedding
    positions: Embedding
    blocks: Stack
    norm: LayerNorm
    dropout: float = static(0.0)

    @classmethod
    def of(cls, size: Size, dropout: float = 0.0, epsilon: float = 1e-12, activation: Activation = gelu,
           bias: bool = True) -> "ViT":
        """`bias` is of queries, keys and values; all else has one in any case."""
        initialiser = normal(0.02)
        asking = Attention.of(size, bias=bias, initialiser=initialiser, dropout=dropout)
        block = PreNorm(
            attention_norm=LayerNorm.of(size, epsilon),
            attention=dataclasses.replace(asking, out=Linear.of(size, "heads head -> embed", True, initialiser)),
            mlp_norm=LayerNorm.of(size, epsilon),
            mlp=Mlp.of(size, activation, initialiser=initialiser),
            dropout=dropout)
        return cls(Linear.of(size, "patch patch channels -> embed", True, initialiser), Embedding.of(size, "1 embed"),
                   Embedding.of(size, "length embed"), Stack.of(block, size.layers), LayerNorm.of(size, epsilon), dropout)

    def encode(self, images: Array, *, key: Array | None = None) -> Array:
        """A vector for the whole, then one for every patch, of images [b, height, width, channels]."""
        keys = (None, None) if key is None else jax.random.split(key)
        x = self.patch(patches(images.astype(self.patch.kernel.dtype), self.patch.kernel.shape[0]))
        whole = jnp.broadcast_to(self.whole.table.astype(x.dtype)[None], (len(x), 1, x.shape[-1]))
        x = jnp.concatenate([whole, x], axis=1) + self.positions.table.astype(x.dtype)[None]
        x = shard(dropout(x, self.dropout, keys[0]), "batch", "length", "embed")
        return self.norm(self.blocks(x, key=keys[1])[0])


@struct.dataclass
class Classes:
    """A ViT that says what is on the image: logits [b, class] from the vector of the whole."""

    vit: ViT
    head: Linear

    @classmethod
    def of(cls, size: Size, **choices: Any) -> "Classes":
        return cls(ViT.of(size, **choices), Linear.of(size, "embed -> classes", True, normal(0.02)))

    def __call__(self, images: Array, *, key: Array | None = None) -> Array:
        return self.logits(self.vit.encode(images, key=key))

    def logits(self, hidden: Array) -> Array:
        return self.head(hidden[:, 0]).astype(jnp.float32)


@struct.dataclass
class Pooled:
    """A ViT and one vector for the image."""

    vit: ViT
    pooler: Pooler

    @classmethod
    def of(cls, size: Size, **choices: Any) -> "Pooled":
        return cls(ViT.of(size, **choices), Pooler.of(size))

    def encode(self, images: Array, *, key: Array | None = None) -> Array:
        return self.vit.encode(images, key=key)

    def pooled(self, hidden: Array) -> Array:
        return self.pooler(hidden)
