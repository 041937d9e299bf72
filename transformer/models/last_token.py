"""A decoder that has read a text to its end says what kind of text it was, from the vector of the last token."""
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from transformer.layers import Linear, static

Array = jax.Array


@struct.dataclass
class LastToken:
    """Logits [b, class]; the last token is the last that is no padding, if there is such a token."""

    decoder: Any
    head: Linear
    pad: int | None = static(None)

    def __call__(self, tokens: Array, **context: Array | None) -> Array:
        return self.logits(self.decoder.hidden(tokens, **context), tokens)

    def logits(self, hidden: Array, tokens: Array) -> Array:
        places = jnp.arange(tokens.shape[1])[None]
        last = (places if self.pad is None else jnp.where(tokens == self.pad, 0, places)).max(-1)
        last = jnp.broadcast_to(last, len(tokens))
        return self.head(hidden[jnp.arange(len(tokens)), last]).astype(jnp.float32)
