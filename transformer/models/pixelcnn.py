"""Gated PixelCNN (van den Oord et al. 2016): an image as a sequence of pixels, each from those above it and to its left.

A vertical stack sees the rows above, a horizontal one its own row so far; what the first found is told to the second, so
that no pixel is out of sight. As with any decoder the tokens begin with one that stands before the image: token t is read
to tell token t + 1, which is pixel t.
"""
import dataclasses

import jax
import jax.numpy as jnp
from flax import struct

from transformer.layers import Embedding, Head, Linear
from transformer.recurrent import kept, one_by_one
from transformer.sharding import shard
from transformer.weights import normal

Array = jax.Array


@dataclasses.dataclass(frozen=True)
class Size:
    vocab: int = 18  # levels, and the token before the image
    height: int = 8
    width: int = 8
    layers: int = 5
    embed: int = 64
    around: int = 5  # columns that a vertical convolution reads in each row
    above: int = 3  # rows that it reads, the one it stands in included
    left: int = 3  # columns that a horizontal one reads, its own included

    @property
    def gates(self) -> int:
        return 2 * self.embed


@struct.dataclass
class Layer:
    """Both stacks: gated convolutions of the rows, and of the row so far; only the second adds to what it reads."""

    vertical: Linear
    horizontal: Linear
    told: Linear
    out: Linear

    @classmethod
    def of(cls, size: Size) -> "Layer":
        return cls(Linear.of(size, "above around embed -> gates", True), Linear.of(size, "left embed -> gates", True),
                   Linear.of(size, "gates -> gates"), Linear.of(size, "embed -> embed", True))

    def beside(self, gates: Array, told: Array, x: Array) -> Array:
        """The horizontal stream after this layer."""
        return x + self.out(let(gates + self.told(told)))


@struct.dataclass
class Memory:
    """What the next pixels still need, in each row of the batch."""

    taken: Array  # tokens so far [b]
    row: Array  # the pixels of the row under way [b, w, d]
    rows: tuple[Array, ...]  # of each layer, what its vertical convolution read in the rows above [b, above - 1, w, d]
    told: tuple[Array, ...]  # of each layer, what it found there [b, w, gates]
    lefts: tuple[Array, ...]  # of each layer, what its horizontal one read before [b, left - 1, d]


@struct.dataclass
class PixelCNN:
    tokens: Embedding
    blocks: tuple[Layer, ...]
    middle: Linear
    head: Head
    shape: tuple[int, int] = struct.field(pytree_node=False)

    @classmethod
    def of(cls, size: Size) -> "PixelCNN":
        return cls(Embedding.of(size, initialiser=normal(1.0)), tuple(Layer.of(size) for _ in range(size.layers)),
                   Linear.of(size, "embed -> embed", True), Head.of(size), (size.height, size.width))

    @property
    def vocab(self) -> int:
        return len(self.tokens.table)

    @property
    def longest(self) -> int:
        """The token before the image, and every pixel."""
        return self.shape[0] * self.shape[1] + 1

    def __call__(self, tokens: Array) -> Array:
        return self.logits(self.hidden(tokens))

    def hidden(self, tokens: Array, *, key: Array | None = None) -> Array:
        """The horizontal stream of the pixels that the tokens [b, t] tell of."""
        down = grid(self.tokens(tokens[:, 1:]), *self.shape)
        across = shifted(down, 2)  # none sees itself
        for block in self.blocks:
            gates = block.vertical(_around(down, *block.vertical.kernel.shape[:2]))
            told = shifted(gates, 1)  # of the rows above
            across = block.beside(block.horizontal(so_far(across, block.horizontal.kernel.shape[0])), told, across)
            down = let(gates)
        return across.reshape(len(tokens), -1, across.shape[-1])[:, :tokens.shape[1]]

    def logits(self, hidden: Array) -> Array:
        return shard(self.head(jax.nn.relu(self.middle(jax.nn.relu(hidden)))), "batch", "length", "vocab")

    def start(self, batch: int, length: int) -> Memory:
        width, embed, dtype = self.shape[1], self.tokens.table.shape[1], self.tokens.table.dtype
        rows, told, lefts = [], [], []
        for block in self.blocks:
            above, _, _, gates = block.vertical.kernel.shape
            rows.append(jnp.zeros((batch, above - 1, width, embed), dtype))
            told.append(jnp.zeros((batch, width, gates), dtype))
            lefts.append(jnp.zeros((batch, block.horizontal.kernel.shape[0] - 1, embed), dtype))
        return Memory(jnp.zeros(batch, jnp.int32), jnp.zeros((batch, width, embed), dtype), tuple(rows), tuple(told), tuple(lefts))

    def decode(self, tokens: Array, memory: Memory, present: Array | None = None) -> tuple[Array, Memory]:
        hidden, memory = one_by_one(self._next, tokens, memory, present)
        return self.logits(hidden), memory

    def _next(self, token: Array, memory: Memory) -> tuple[Array, Memory]:
        """The stream at the pixel after this token [b]: its row so far, and below rows that are done."""
        width = self.shape[1]
        pixel, column = self.tokens(token), memory.taken % width
        written = jnp.arange(width)[None] == ((memory.taken - 1) % width)[:, None]
        row = jnp.where((written & (memory.taken > 0)[:, None])[..., None], pixel[:, None], memory.row)
        new = (column == 0)[:, None]
        below = new[:, 0] & (memory.taken > 0)
        rows, told = jax.lax.cond(below.any(), lambda: self._row_done(row, memory, below), lambda: (memory.rows, memory.told))
        across, lefts = jnp.where(new, 0, pixel), []
        for block, left, above in zip(self.blocks, memory.lefts, told, strict=True):
            read = jnp.concatenate([jnp.where(new[..., None], 0, left), across[:, None]], 1)
            here = jnp.take_along_axis(above, column[:, None, None], 1)[:, 0]
            across = block.beside(block.horizontal(read), here, across)
            lefts.append(read[:, 1:])
        return across, Memory(memory.taken + 1, row, rows, told, tuple(lefts))

    def _row_done(self, row: Array, memory: Memory, done: Array) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
        """What the vertical stack finds once a row is whole, in those images where it is."""
        down, rows, told = row, [], []
        for block, before in zip(self.blocks, memory.rows, strict=True):
            read = jnp.concatenate([before, down[:, None]], 1)
            gates = block.vertical(_around(read, *block.vertical.kernel.shape[:2])[:, -1])
            down = let(gates)
            rows.append(read[:, 1:])
            told.append(gates)
        return kept((tuple(rows), tuple(told)), (memory.rows, memory.told), done)


def let(gates: Array) -> Array:
    new, open = jnp.split(gates, 2, -1)
    return jnp.tanh(new) * jax.nn.sigmoid(open)


def grid(pixels: Array, height: int, width: int) -> Array:
    """The pixels so far [b, t, d], laid out as an image [b, h, w, d]; those to come are zero."""
    pixels = jnp.pad(pixels, ((0, 0), (0, height * width - pixels.shape[1]), (0, 0)))
    return pixels.reshape(len(pixels), height, width, -1)


def shifted(x: Array, axis: int) -> Array:
    """At each place what stood one before it on this axis, and zeros at the first."""
    ahead = [(int(at == axis), 0) for at in range(x.ndim)]
    return jax.lax.slice_in_dim(jnp.pad(x, ahead), 0, x.shape[axis], axis=axis)


def _around(x: Array, above: int, around: int) -> Array:
    """What a vertical convolution reads at each place of x [b, h, w, d]: [b, h, w, above, around, d]."""
    height, width = x.shape[1:3]
    side = around // 2
    x = jnp.pad(x, ((0, 0), (above - 1, 0), (side, side), (0, 0)))
    rows = [jnp.stack([x[:, i:i + height, j:j + width] for j in range(around)], 3) for i in range(above)]
    return jnp.stack(rows, 3)


def so_far(x: Array, left: int) -> Array:
    """At each place of x [b, h, w, d] itself and its neighbours on the left [b, h, w, left, d]."""
    width = x.shape[2]
    x = jnp.pad(x, ((0, 0), (0, 0), (left - 1, 0), (0, 0)))
    return jnp.stack([x[:, :, j:j + width] for j in range(left)], 3)
