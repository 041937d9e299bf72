"""CLIP (Radford et al. 2021): a text and an image become vectors of one space, near when they belong together."""
import dataclasses
import math

import jax
import jax.numpy as jnp
from flax import struct

from transformer import masks
from transformer.attention import Attention
from transformer.layers import Activation, Embedding, LayerNorm, Linear, Mlp, quick_gelu, static
from transformer.models.bi_encoder import unit
from transformer.models.vit import patches
from transformer.positions import counted
from transformer.sharding import shard
from transformer.stack import PreNorm, Stack
from transformer.weights import constant, normal

Array = jax.Array


@dataclasses.dataclass(frozen=True)
class TextSize:
    vocab: int = 49408
    length: int = 77
    layers: int = 12
    embed: int = 512
    heads: int = 8
    mlp: int = 2048
    shared: int = 512  # the space of texts and images

    @property
    def head(self) -> int:
        return self.embed // self.heads


@dataclasses.dataclass(frozen=True)
class ImageSize:
    image: int = 224
    patch: int = 32
    channels: int = 3
    layers: int = 12
    embed: int = 768
    heads: int = 12
    mlp: int = 3072
    shared: int = 512

    @property
    def head(self) -> int:
        return self.embed // self.heads

    @property
    def length(self) -> int:
        return (self.image // self.patch) ** 2 + 1


def _blocks(size: TextSize | ImageSize, activation: Activation, epsilon: float) -> Stack:
    initialiser = normal(0.02)
    return Stack.of(PreNorm(
        attention_norm=LayerNorm.of(size, epsilon),
        attention=Attention.of(size, bias=True, initialiser=initialiser),
        mlp_norm=LayerNorm.of(size, epsilon),
        mlp=Mlp.of(size, activation, initialiser=initialiser)), size.layers)


@struct.dataclass
class Text:
    """A causal encoder: its end token has read everything, and stands for the text."""

    tokens: Embedding
    positions: Embedding
    blocks: Stack
    norm: LayerNorm
    end: int | None = static(49407)  # None: whichever token has the highest number

    @classmethod
    def of(cls, size: TextSize, end: int | None, activation: Activation = quick_gelu, epsilon: float = 1e-5) -> "Text":
        return cls(Embedding.of(size), Embedding.of(size, "length embed", normal(0.01)), _blocks(size, activation, epsilon),
                   LayerNorm.of(size, epsilon), end)

    def encode(self, tokens: Array, *, present: Array | None = None) -> Array:
        x = self.tokens(tokens) + self.positions(counted(tokens.shape[1], self.positions.table.shape[0]))
        x = shard(x, "batch", "length", "embed")
        return self.norm(self.blocks(x, mask=masks.decoder(tokens.shape[1], present=present))[0])

    def pooled(self, hidden: Array, tokens: Array) -> Array:
        """The vector at each row's first end token."""
        first = (tokens if self.end is None else tokens == self.end).argmax(-1)
        return jnp.take_along_axis(hidden, first[:, None, None], axis=1)[:, 0]


@struct.dataclass
class Image:
    """A ViT with a norm before its blocks too."""

    patch: Linear
    whole: Embedding
    positions: Embedding
    first_norm: LayerNorm
    blocks: Stack
    norm: LayerNorm

    @classmethod
    def of(cls, size: ImageSize, activation: Activation = quick_gelu, epsilon: float = 1e-5) -> "Image":
        return cls(Linear.of(size, "patch patch channels -> embed", initialiser=normal(0.02)), Embedding.of(size, "1 embed"),
                   Embedding.of(size, "length embed"), LayerNorm.of(size, epsilon), _blocks(size, activation, epsilon),
                   LayerNorm.of(size, epsilon))

    def encode(self, images: Array) -> Array:
        """A vector for the whole, then one for every patch, of images [b, height, width, channels]."""
        x = self.patch(patches(images.astype(self.patch.kernel.dtype), self.patch.kernel.shape[0]))
        whole = jnp.broadcast_to(self.whole.table.astype(x.dtype)[None], (len(x), 1, x.shape[-1]))
        x = jnp.concatenate([whole, x], axis=1) + self.positions.table.astype(x.dtype)[None]
        return self.blocks(shard(self.first_norm(x), "batch", "length", "embed"))[0]

    def pooled(self, hidden: Array) -> Array:
        return self.norm(hidden[:, 0])


@struct.dataclass
class CLIP:
    text: Text
    image: Image
    text_out: Linear
    image_out: Linear
    warmth: Array  # the log of what similarities are multiplied by

    @classmethod
    def of(cls, text: TextSize, image: ImageSize, end: int | None, text_activation: Activation = quick_gelu,
           image_activation: Activation = quick_gelu, epsilon: float = 1e-5) -> "CLIP":
        return cls(Text.of(text, end, text_activation, epsilon), Image.of(image, image_activation, epsilon),
                   Linear.of(text, "embed -> shared", initialiser=normal(text.embed ** -0.5)),
                   Linear.of(image, "embed -> shared", initialiser=normal(image.embed ** -0.5)),
                   constant(text, "", math.log(1 / 0.07)))

    def __call__(self, tokens: Array, images: Array, *, present: Array | None = None) -> Array:
        """Similarity logits [texts, images]."""
        texts, pictures = self.embed_text(tokens, present=present), self.embed_image(images)
        return jnp.exp(self.warmth) * (texts @ pictures.T)

    def embed_text(self, tokens: Array, *, present: Array | None = None) -> Array:
        return unit(self.text_out(self.text.pooled(self.text.encode(tokens, present=present), tokens)).astype(jnp.float32))

    def embed_image(self, images: Array) -> Array:
        return unit(self.image_out(self.image.pooled(self.image.encode(images))).astype(jnp.float32))
