"""Convolutions along one axis."""
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from transformer.layers import static
from transformer.weights import Initialiser, constant, weight

Array = jax.Array


@struct.dataclass
class Convolution:
    """Each output reads `width` neighbouring steps of x [b, t, channels], centred, every `stride` steps."""

    kernel: Array
    bias: Array
    stride: int = static(1)

    @classmethod
    def of(cls, size: Any, axes: str, stride: int = 1, initialiser: Initialiser | None = None) -> "Convolution":
        """`axes` as in "3 mels -> embed": width and inputs, outputs."""
        return cls(weight(size, axes, initialiser), constant(size, axes.partition("->")[2], 0.0), stride)

    def __call__(self, x: Array) -> Array:
        side = self.kernel.shape[0] // 2
        y = jax.lax.conv_general_dilated(x, self.kernel.astype(x.dtype), (self.stride,), [(side, side)],
                                         dimension_numbers=("NWC", "WIO", "NWC"))
        return y + jnp.expand_dims(self.bias.astype(x.dtype), (0, 1))
