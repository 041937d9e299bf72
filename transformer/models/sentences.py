"""A decoder whose tokens are sentences: words become one vector a sentence, and from the vectors so far the next is expected."""
import jax
import jax.numpy as jnp
from flax import struct

from transformer import masks
from transformer.attention import Part
from transformer.layers import Embedding, Linear, RMSNorm, static
from transformer.models.llama import Size, plain
from transformer.positions import Rotary
from transformer.stack import Stack

Array = jax.Array


@struct.dataclass
class Sentences:
    words: Embedding
    reader: Stack  # looks both ways inside a sentence
    reader_norm: Part
    writer: Stack  # goes from sentence to sentence
    writer_norm: Part
    expected: Linear
    rotary: Rotary = static(Rotary(16))

    @classmethod
    def of(cls, size: Size) -> "Sentences":
        return cls(Embedding.of(size), Stack.of(plain(size), size.layers), RMSNorm.of(size), Stack.of(plain(size), size.layers),
                   RMSNorm.of(size), Linear.of(size, "embed -> embed"), Rotary(size.head))

    def vectors(self, words: Array) -> Array:
        """Sentences [b, n, w], filled up with zeros, as vectors of length one [b, n, d]."""
        b, n, w = words.shape
        words = words.reshape(b * n, w)
        present = words > 0
        x, _ = self.reader(self.words(words), mask=masks.encoder(present=present), rotate=self.rotary(jnp.arange(w)[None]))
        x = (self.reader_norm(x) * present[..., None]).sum(1) / jnp.maximum(present.sum(1), 1)[:, None]
        return _unit(x).reshape(b, n, -1)

    def next(self, vectors: Array) -> Array:
        """What is expected after each sentence, given those before it [b, n, d]."""
        n, embed = vectors.shape[1:]
        x = vectors * jnp.sqrt(jnp.asarray(embed, vectors.dtype))  # a stream has about unit variance
        x, _ = self.writer(x, mask=masks.causal(n), rotate=self.rotary(jnp.arange(n)[None]))
        return _unit(self.expected(self.writer_norm(x)))


def _unit(x: Array) -> Array:
    return x * jax.lax.rsqrt(jnp.square(x).sum(-1, keepdims=True) + 1e-6)
