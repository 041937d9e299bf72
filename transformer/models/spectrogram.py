"""A decoder over frames of sound instead of tokens: LLaMA's blocks, and the next frame told by how it differs from the last."""
from functools import partial

import jax
import jax.numpy as jnp
from flax import struct

from transformer import masks
from transformer.caches import Slots
from transformer.layers import Linear, RMSNorm, static
from transformer.models import llama
from transformer.positions import Rotary
from transformer.sharding import shard
from transformer.stack import Memory, Stack
from transformer.weights import normal

Array = jax.Array


class Size(llama.Size):
    """`vocab` counts the bands of a frame."""


@struct.dataclass
class Spectrogram:
    heard: Linear
    blocks: Stack
    norm: RMSNorm
    said: Linear
    rotary: Rotary = static(Rotary(32))

    @classmethod
    def of(cls, size: Size) -> "Spectrogram":
        return cls(Linear.of(size, "vocab -> embed", True), Stack.of(llama.plain(size), size.layers), RMSNorm.of(size),
                   Linear.of(size, "embed -> vocab", True, normal(0.02)), Rotary(size.head))

    def __call__(self, frames: Array, *, key: Array | None = None) -> Array:
        """After each of the frames [b, t, bands], what the next is expected to be."""
        rotate = self.rotary(jnp.arange(frames.shape[1])[None])
        x, _ = self.blocks(self._read(frames), mask=masks.causal(frames.shape[1]), rotate=rotate, key=key)
        return frames + self.said(self.norm(x))

    def start(self, batch: int, length: int) -> Memory:
        return Memory(self.blocks.caches(batch, length, dtype=self.heard.kernel.dtype), Slots.empty(batch, length))

    def decode(self, frames: Array, memory: Memory) -> tuple[Array, Memory]:
        positions, slots = memory.slots.take(frames[..., 0])
        x, blocks = self.blocks(self._read(frames), cache=memory.blocks, rotate=self.rotary(positions),
                                mask=masks.before(positions, slots.positions))
        return frames + self.said(self.norm(x)), Memory(blocks, slots)

    def _read(self, frames: Array) -> Array:
        return shard(self.heard(frames.astype(self.heard.kernel.dtype)), "batch", "length", "embed")


@partial(jax.jit, static_argnums=2)
def continued(model: Spectrogram, frames: Array, count: int) -> Array:
    """So many frames after those [b, t, bands]: each as it is expected, and heard as if it had been so."""
    said, memory = model.decode(frames, model.start(len(frames), frames.shape[1] + count))

    def step(carry: tuple[Array, Memory], _: None) -> tuple[tuple[Array, Memory], Array]:
        last, memory = carry
        return model.decode(last, memory), last[:, 0]

    _, new = jax.lax.scan(step, (said[:, -1:], memory), None, count)
    return jnp.moveaxis(new, 0, 1)
