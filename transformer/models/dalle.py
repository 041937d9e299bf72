"""DALL-E (Ramesh et al. 2021): one decoder over a caption and then the codes of an image, row by row.

All see the caption. Of the image, layers see in turn the codes of the last row's length, those above in the same column,
and in the last layer those around. Positions of the image are a row and a column. The first image code is told by the
caption's last token; a caption is filled up to its full length.
"""
import dataclasses
import math

import jax
import jax.numpy as jnp
from flax import struct

from transformer import masks
from transformer.attention import Attention
from transformer.caches import Slots
from transformer.layers import Embedding, Head, LayerNorm, Mlp, dropout, gelu, static
from transformer.sharding import shard
from transformer.stack import Memory, PreNorm, Stack
from transformer.weights import normal

Array = jax.Array
ROW, COLUMN, AROUND = range(3)  # the kinds of layers


@dataclasses.dataclass(frozen=True)
class Size:
    words: int = 16384 + 256  # with a padding token for each position of a caption
    codes: int = 8192
    caption: int = 256
    side: int = 32
    layers: int = 64
    embed: int = 3968
    heads: int = 62
    around: int = 11

    @property
    def head(self) -> int:
        return self.embed // self.heads

    @property
    def mlp(self) -> int:
        return 4 * self.embed

    @property
    def vocab(self) -> int:
        """Words first, then codes."""
        return self.words + self.codes

    @property
    def kinds(self) -> tuple[int, ...]:
        """Every fourth layer looks along columns, the last one around."""
        return tuple(AROUND if layer == self.layers - 1 else COLUMN if layer % 4 == 2 else ROW for layer in range(self.layers))


@struct.dataclass
class DallE:
    tokens: Embedding
    places: Embedding  # of the caption
    rows: Embedding
    columns: Embedding
    blocks: Stack
    norm: LayerNorm
    head: Head
    around: int = static(11)
    dropout: float = static(0.0)

    @classmethod
    def of(cls, size: Size, dropout: float = 0.0) -> "DallE":
        first, last = normal(0.02), normal(0.02 / math.sqrt(2 * size.layers))
        block = PreNorm(
            attention_norm=LayerNorm.of(size),
            attention=Attention.of(size, bias=True, initialiser=first, last=last, dropout=dropout),
            mlp_norm=LayerNorm.of(size),
            mlp=Mlp.of(size, gelu, initialiser=first, last=last),
            dropout=dropout)
        return cls(Embedding.of(size), Embedding.of(size, "caption embed", normal(0.01)), Embedding.of(size, "side embed", normal(0.01)),
                   Embedding.of(size, "side embed", normal(0.01)), Stack.of(block, size.layers, size.kinds), LayerNorm.of(size),
                   Head.of(size, initialiser=first), size.around, dropout)

    @property
    def vocab(self) -> int:
        return len(self.tokens.table)

    @property
    def caption(self) -> int:
        return len(self.places.table)

    @property
    def side(self) -> int:
        return len(self.rows.table)

    @property
    def longest(self) -> int:
        """The caption and every code."""
        return self.caption + self.side**2

    def __call__(self, tokens: Array, **context: Array | None) -> Array:
        return self.logits(self.hidden(tokens, **context))

    def hidden(self, tokens: Array, *, key: Array | None = None) -> Array:
        keys = (None, None) if key is None else jax.random.split(key)
        positions = jnp.arange(tokens.shape[1])[None]
        x, _ = self.blocks(self._embed(tokens, positions, keys[0]), mask=self.seen(positions, positions), key=keys[1])
        return self.norm(x)

    def logits(self, hidden: Array) -> Array:
        return shard(self.head(hidden), "batch", "length", "vocab")

    def start(self, batch: int, length: int) -> Memory:
        return Memory(self.blocks.caches(batch, length, dtype=self.tokens.table.dtype, windows=(None,) * 3), Slots.empty(batch, length))

    def decode(self, tokens: Array, memory: Memory, present: Array | None = None) -> tuple[Array, Memory]:
        positions, slots = memory.slots.take(tokens, present)
        x = self._embed(tokens, jnp.maximum(positions, 0))
        x, blocks = self.blocks(x, cache=memory.blocks, mask=self.seen(positions, slots.positions))
        return self.logits(self.norm(x)), Memory(blocks, slots)

    def seen(self, queries: Array, keys: Array) -> tuple[Array, Array, Array]:
        """Who sees whom in each kind of layer, by positions [b, t] and [b, s]; a caption is seen by all that follows."""
        back = queries[:, :, None] - keys[:, None, :]
        down, right = (axis(queries)[:, :, None] - axis(keys)[:, None, :] for axis in (self._row, self._column))
        words = (keys < self.caption)[:, None, :] | (queries < self.caption)[:, :, None]
        near = (down <= self.around // 2) & (jnp.abs(right) <= self.around // 2)
        kinds = (back < self.side, right == 0, near)
        row, column, around = (masks.before(queries, keys) & (words | kind) for kind in kinds)
        return row, column, around

    def _row(self, positions: Array) -> Array:
        return (positions - self.caption) // self.side

    def _column(self, positions: Array) -> Array:
        return (positions - self.caption) % self.side

    def _embed(self, tokens: Array, positions: Array, key: Array | None = None) -> Array:
        inside = jnp.minimum(self._row(positions), self.side - 1)  # the last code is fed only to be left
        of_image = self.rows(jnp.maximum(inside, 0)) + self.columns(self._column(positions))
        of_words = self.places(jnp.minimum(positions, self.caption - 1))
        x = self.tokens(tokens) + jnp.where((positions < self.caption)[..., None], of_words, of_image)
        return shard(dropout(x, self.dropout, key), "batch", "length", "embed")
