"""PixelRNN (van den Oord et al. 2016), the Row LSTM: an LSTM runs down the image, all pixels of a row side by side.

At each pixel the state of the row above, with its neighbours on both sides, is met by what was read in this row so far. As
with any decoder the tokens begin with one that stands before the image: token t is read to tell token t + 1, which is pixel t.
"""
import dataclasses

import jax
import jax.numpy as jnp
from flax import struct

from transformer.layers import Embedding, Head, Linear
from transformer.models.pixelcnn import grid, shifted, so_far
from transformer.recurrent import LSTM, State, kept, one_by_one
from transformer.sharding import shard
from transformer.weights import normal

Array = jax.Array
NEIGHBOURS = 3  # pixels of the row above that a state comes from


@dataclasses.dataclass(frozen=True)
class Size:
    vocab: int = 18  # levels, and the token before the image
    height: int = 8
    width: int = 8
    layers: int = 2
    state: int = 64
    left: int = 3  # columns that are read in the pixel's own row, its own place included


@struct.dataclass
class Memory:
    """What the next pixels still need, in each row of the batch."""

    taken: Array  # tokens so far [b]
    above: tuple[tuple[Array, Array], ...]  # of each layer, the states of the row above [b, w, d]
    row: tuple[tuple[Array, Array], ...]  # and of the row under way
    lefts: tuple[Array, ...]  # what it read before in this row [b, left - 1, d]


@struct.dataclass
class PixelRNN:
    tokens: Embedding
    blocks: tuple[LSTM, ...]
    middle: Linear
    head: Head
    shape: tuple[int, int] = struct.field(pytree_node=False)

    @classmethod
    def of(cls, size: Size) -> "PixelRNN":
        layer = LSTM(Linear.of(size, "left state -> 4 state", True), Linear.of(size, f"{NEIGHBOURS} state -> 4 state"))
        return cls(Embedding.of(size, "vocab state", normal(1.0)), (layer,) * size.layers,
                   Linear.of(size, "state -> state", True), Head.of(size, "state -> vocab"), (size.height, size.width))

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
        """The states at the pixels that the tokens [b, t] tell of."""
        x = shifted(grid(self.tokens(tokens[:, 1:]), *self.shape), 2)  # none sees itself
        for block in self.blocks:
            x = x + self._down(block, x)
        return x.reshape(len(tokens), -1, x.shape[-1])[:, :tokens.shape[1]]

    def _down(self, block: LSTM, x: Array) -> Array:
        """What an LSTM says about x [b, h, w, d], row by row."""
        def step(read: Array, above: State) -> tuple[Array, State]:
            said, cell = above
            state = block.step(read, (_near(said), cell))
            return state[0], state

        begin = jnp.zeros_like(x[:, 0])
        said, _ = one_by_one(step, block.read(so_far(x, block.input.kernel.shape[0])), (begin, begin))
        return said

    def logits(self, hidden: Array) -> Array:
        return shard(self.head(jax.nn.relu(self.middle(jax.nn.relu(hidden)))), "batch", "length", "vocab")

    def start(self, batch: int, length: int) -> Memory:
        width, state = self.tokens.table.shape[1], jnp.zeros((batch, self.shape[1], self.tokens.table.shape[1]))
        states = tuple((state, state) for _ in self.blocks)
        lefts = tuple(jnp.zeros((batch, block.input.kernel.shape[0] - 1, width)) for block in self.blocks)
        return Memory(jnp.zeros(batch, jnp.int32), states, states, lefts)

    def decode(self, tokens: Array, memory: Memory, present: Array | None = None) -> tuple[Array, Memory]:
        hidden, memory = one_by_one(self._next, tokens, memory, present)
        return self.logits(hidden), memory

    def _next(self, token: Array, memory: Memory) -> tuple[Array, Memory]:
        """The state at the pixel after this token [b]."""
        column = memory.taken % self.shape[1]
        new = column == 0
        here = (jnp.arange(self.shape[1])[None] == column[:, None])[..., None]
        above = kept(memory.row, memory.above, new)
        x, rows, lefts = jnp.where(new[:, None], 0, self.tokens(token)), [], []
        for block, states, row, left in zip(self.blocks, above, memory.row, memory.lefts, strict=True):
            read = jnp.concatenate([jnp.where(new[:, None, None], 0, left), x[:, None]], 1)
            near = jnp.take_along_axis(_near(states[0]), column[:, None, None, None], 1)[:, 0]
            cell = jnp.take_along_axis(states[1], column[:, None, None], 1)[:, 0]
            state = block.step(block.read(read), (near, cell))
            rows.append(tuple(jnp.where(here, now[:, None], before) for now, before in zip(state, row, strict=True)))
            lefts.append(read[:, 1:])
            x = x + state[0]
        return x, Memory(memory.taken + 1, above, tuple(rows), tuple(lefts))


def _near(said: Array) -> Array:
    """What the row above says at each place and at its neighbours [b, w, 3, d]."""
    side, width = NEIGHBOURS // 2, said.shape[1]
    padded = jnp.pad(said, ((0, 0), (side, side), (0, 0)))
    return jnp.stack([padded[:, at:at + width] for at in range(NEIGHBOURS)], 2)
