"""A decoder over vectors instead of tokens (as GIVT, Tschannen et al. 2023): the next one is told by a mixture of Gaussians."""
import dataclasses
import math
from functools import partial

import jax
import jax.numpy as jnp
from flax import struct

from transformer import masks
from transformer.attention import Attention
from transformer.caches import Slots, visible
from transformer.layers import Embedding, LayerNorm, Linear, Mlp, dropout, gelu, static
from transformer.mixtures import Mixture
from transformer.sharding import shard
from transformer.stack import Memory, PreNorm, Stack
from transformer.weights import normal

Array = jax.Array


@dataclasses.dataclass(frozen=True)
class Size:
    width: int = 2  # of the vectors
    length: int = 16
    mixed: int = 8  # Gaussians in a mixture
    layers: int = 4
    embed: int = 64
    heads: int = 4
    mlp: int = 256

    @property
    def head(self) -> int:
        return self.embed // self.heads

    @property
    def numbers(self) -> int:
        """That say one Gaussian."""
        return 1 + 2 * self.width


@struct.dataclass
class Latents:
    begin: Embedding  # what stands before the first vector
    read: Linear
    positions: Embedding
    blocks: Stack
    norm: LayerNorm
    say: Linear
    dropout: float = static(0.0)

    @classmethod
    def of(cls, size: Size, dropout: float = 0.0) -> "Latents":
        first, last = normal(0.02), normal(0.02 / math.sqrt(2 * size.layers))
        block = PreNorm(LayerNorm.of(size), Attention.of(size, bias=True, initialiser=first, last=last, dropout=dropout),
                        LayerNorm.of(size), Mlp.of(size, gelu, initialiser=first, last=last), dropout=dropout)
        # Born different, so that no two Gaussians of a mixture learn the same.
        return cls(Embedding.of(size, "1 embed"), Linear.of(size, "width -> embed", True), Embedding.of(size, "length embed", normal(0.01)),
                   Stack.of(block, size.layers), LayerNorm.of(size), Linear.of(size, "embed -> mixed numbers", True), dropout)

    @property
    def width(self) -> int:
        return self.read.kernel.shape[0]

    def __call__(self, vectors: Array, *, key: Array | None = None) -> Mixture:
        """What is said of each of the vectors [b, t, width] by those before it."""
        keys = (None, None) if key is None else jax.random.split(key)
        before = jnp.concatenate([self._begin(len(vectors)), self._read(vectors[:, :-1])], 1)
        x = self._placed(before, jnp.arange(vectors.shape[1])[None], keys[0])
        return self._say(self.blocks(x, mask=masks.causal(vectors.shape[1]), key=keys[1])[0])

    def start(self, batch: int, length: int) -> Memory:
        return Memory(self.blocks.caches(batch, length), Slots.empty(batch, length))

    def decode(self, vectors: Array | None, memory: Memory) -> tuple[Mixture, Memory]:
        """What is said of the vector after these [b, t, width]; after nothing, of the first."""
        read = self._begin(len(memory.slots.positions)) if vectors is None else self._read(vectors)
        positions, slots = memory.slots.take(jnp.zeros(read.shape[:2], jnp.int32))
        mask = visible(positions, memory.slots, slots)
        x, blocks = self.blocks(self._placed(read, positions), cache=memory.blocks, mask=mask, positions=positions)
        return self._say(x), Memory(blocks, slots)

    def _begin(self, rows: int) -> Array:
        return jnp.broadcast_to(self.begin.table[None], (rows, *self.begin.table.shape))

    def _read(self, vectors: Array) -> Array:
        return self.read(vectors.astype(self.read.kernel.dtype))

    def _placed(self, x: Array, positions: Array, key: Array | None = None) -> Array:
        return shard(dropout(x + self.positions(positions).astype(x.dtype), self.dropout, key), "batch", "length", "embed")

    def _say(self, x: Array) -> Mixture:
        return Mixture.of(self.say(self.norm(x)), self.width)


@partial(jax.jit, static_argnums=1)
def drawn(model: Latents, count: int, key: Array) -> Array:
    """Rows of vectors [count, length, width], one vector after the other."""
    length = model.positions.table.shape[0]
    keys = jax.random.split(key, length)
    said, memory = model.decode(None, model.start(count, length))

    def step(carry: tuple[Array, Memory], key: Array) -> tuple[tuple[Array, Memory], Array]:
        last, memory = carry
        said, memory = model.decode(last, memory)
        new = said.draw(key)
        return (new, memory), new

    first = said.draw(keys[0])
    _, rest = jax.lax.scan(step, (first, memory), keys[1:])
    return jnp.concatenate([first, jnp.moveaxis(rest[:, :, 0], 0, 1)], 1)
