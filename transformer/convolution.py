"""Convolutions along one axis."""
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from transformer.layers import product, static
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


@struct.dataclass
class Causal:
    """Each output reads `width` inputs, the last of them its own step's, `dilation` steps apart (van den Oord et al. 2016)."""

    kernel: Array
    bias: Array
    dilation: int = static(1)

    @classmethod
    def of(cls, size: Any, axes: str, dilation: int = 1, initialiser: Initialiser | None = None) -> "Causal":
        """`axes` as in "2 embed -> gates": width and inputs, outputs."""
        return cls(weight(size, axes, initialiser), constant(size, axes.partition("->")[2], 0.0), dilation)

    @property
    def reach(self) -> int:
        """How many steps back it reads."""
        return (self.kernel.shape[0] - 1) * self.dilation

    def __call__(self, x: Array) -> Array:
        """All steps of x [b, t, channels] at once; before the first one there was silence."""
        return self._read(jnp.pad(x, ((0, 0), (self.reach, 0), (0, 0))))

    def start(self, batch: int, dtype: Any = jnp.float32) -> "Recent":
        return Recent(jnp.zeros((batch, self.reach + 1, self.kernel.shape[1]), dtype), jnp.zeros((), jnp.int32))

    def go_on(self, x: Array, recent: "Recent") -> tuple[Array, "Recent"]:
        """The steps x [b, t, channels] after the recent ones; one step costs the same however far back it reads."""
        if x.shape[1] == 1:
            recent = recent.push(x)
            taps = [recent.ago(steps).astype(x.dtype) for steps in range(self.reach, -1, -self.dilation)]
            y = jnp.concatenate(taps, -1) @ self.kernel.astype(x.dtype).reshape(-1, self.kernel.shape[-1])
            return (y + jnp.expand_dims(self.bias.astype(x.dtype), 0))[:, None], recent
        whole = jnp.concatenate([recent.in_order()[:, 1:].astype(x.dtype), x], 1)
        return self._read(whole), recent.refilled(whole, x.shape[1])

    def _read(self, x: Array) -> Array:
        """One product for each tap: its gradient is faster than a dilated convolution's."""
        steps = x.shape[1] - self.reach
        taps = (product(x[:, tap * self.dilation:tap * self.dilation + steps], kernel)
                for tap, kernel in enumerate(self.kernel.astype(x.dtype)))
        return sum(taps, start=jnp.zeros((), x.dtype)) + jnp.expand_dims(self.bias.astype(x.dtype), (0, 1))


@struct.dataclass
class Recent:
    """The last steps of a stream [b, n, channels]; the newest takes the place of the oldest, and nothing moves.

    XLA writes in place, rather than copy all steps to write one, only if what is read is read afterwards, by a gather, and
    if axes of length one are left out.
    """

    steps: Array
    taken: Array  # how many came so far

    def ago(self, steps: int) -> Array:
        """What came so many steps before the last one [b, channels]."""
        place, axis = (self.taken - 1 - steps) % self.steps.shape[1], int(len(self.steps) > 1)
        return jnp.take(self._bare(self.steps), place, axis=axis).reshape(len(self.steps), -1)

    def push(self, x: Array) -> "Recent":
        bare, new = self._bare(self.steps), self._bare(x.astype(self.steps.dtype))
        steps = jax.lax.dynamic_update_slice_in_dim(bare, new, self.taken % self.steps.shape[1], int(len(self.steps) > 1))
        return Recent(steps.reshape(self.steps.shape), self.taken + 1)

    def _bare(self, x: Array) -> Array:
        return x.reshape([x.shape[axis] for axis in range(3) if axis == 1 or self.steps.shape[axis] > 1])

    def in_order(self) -> Array:
        """Oldest first."""
        return jnp.roll(self.steps, -self.taken, 1)

    def refilled(self, whole: Array, new: int) -> "Recent":
        """With the end of a stream of which so many steps are new."""
        missing = max(self.steps.shape[1] - whole.shape[1], 0)
        last = jnp.pad(whole, ((0, 0), (missing, 0), (0, 0)))[:, -self.steps.shape[1]:].astype(self.steps.dtype)
        return Recent(jnp.roll(last, self.taken + new, 1), self.taken + new)
