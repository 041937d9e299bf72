"""GPT (Radford et al. 2018): the decoder before GPT-2, with its norms after each part and none at the end."""
import jax
import jax.numpy as jnp
from flax import struct

from transformer.attention import Attention
from transformer.layers import Activation, Embedding, Head, Identity, LayerNorm, Linear, Mlp, gelu_tanh
from transformer.models.gpt2 import GPT2, Size
from transformer.stack import PostNorm, Stack
from transformer.weights import normal


def gpt(size: Size, dropout: float = 0.0, activation: Activation = gelu_tanh,
        epsilon: float = 1e-5, tied: bool = True) -> GPT2:
    initialiser = normal(0.02)
    block = PostNorm(
        attention=Attention.of(size, bias=True, initialiser=initialiser, dropout=dropout),
        attention_norm=LayerNorm.of(size, epsilon),
        mlp=Mlp.of(size, activation, initialiser=initialiser),
        mlp_norm=LayerNorm.of(size, epsilon),
        dropout=dropout)
    return GPT2(Embedding.of(size), Embedding.of(size, "length embed"), Stack.of(block, size.layers), Identity(),
                None if tied else Head.of(size, initialiser=initialiser), dropout)


@struct.dataclass
class Classifier:
    """A decoder that is fine-tuned to tell classes apart, by what stands in its stream at the end of a text."""

    decoder: GPT2
    head: Linear

    def verdict(self, hidden: jax.Array, present: jax.Array) -> jax.Array:
        """Logits of the classes [b, classes]; the last position that is present has read the whole text."""
        last = jnp.maximum(present.sum(-1) - 1, 0)
        return self.head(jnp.take_along_axis(hidden, last[:, None, None], axis=1)[:, 0]).astype(jnp.float32)
