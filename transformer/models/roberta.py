"""RoBERTa (Liu et al. 2019): BERT's blocks, trained longer on more text, without sentence pairs.

Positions are counted over real tokens only, from after the padding token's own number.
"""
import jax
import jax.numpy as jnp
from flax import struct

from transformer.layers import Activation, Embedding, gelu, static
from transformer.models.bert import Bert, Masked, MaskedHead, Size
from transformer.positions import counted

Array = jax.Array


@struct.dataclass
class Roberta:
    bert: Bert
    pad: int = static(1)

    @classmethod
    def of(cls, size: Size, dropout: float = 0.0, pad: int = 1, epsilon: float = 1e-5,
           activation: Activation = gelu) -> "Roberta":
        return cls(Bert.of(size, dropout, epsilon, activation), pad)

    @property
    def tokens(self) -> Embedding:
        return self.bert.tokens

    @property
    def longest(self) -> int:
        """How many positions it has; the first ones of its table are not for real tokens."""
        return self.bert.positions.table.shape[0] - self.pad - 1

    def encode(self, tokens: Array, **context: Array | None) -> Array:
        counted(tokens.shape[1], self.longest)
        real = (tokens != self.pad).astype(jnp.int32)
        positions = jnp.cumsum(real, -1) * real + self.pad
        return self.bert.encode(tokens, **{"positions": positions, **context})


def masked(size: Size, dropout: float = 0.0, pad: int = 1, epsilon: float = 1e-5,
           activation: Activation = gelu) -> Masked:
    """RoBERTa as it is pretrained; the head's own activation is always GELU."""
    return Masked(Roberta.of(size, dropout, pad, epsilon, activation), MaskedHead.of(size, epsilon))
