"""LLaMA (Touvron et al. 2023): GPT-2 with rotary positions, RMS norms, gated feed-forward layers and grouped heads.

No biases anywhere; the output has a matrix of its own. What the models after it changed is in llama_kin.py.
"""
import dataclasses

import jax
import jax.numpy as jnp
from flax import struct

from transformer import masks
from transformer.attention import Attention, Part
from transformer.caches import Slots, visible
from transformer.layers import Activation, Embedding, GatedMlp, Head, RMSNorm, static
from transformer.positions import Rotary
from transformer.sharding import shard
from transformer.stack import Memory, PreNorm, Stack, each_kind
from transformer.weights import normal

Array = jax.Array


@dataclasses.dataclass(frozen=True)
class Size:
    vocab: int = 32000
    layers: int = 32
    embed: int = 4096
    heads: int = 32
    groups: int = 32
    mlp: int = 11008
    head: int = 0  # unless given, embed / heads

    def __post_init__(self) -> None:
        object.__setattr__(self, "head", self.head or self.embed // self.heads)


def plain(size: Size, epsilon: float = 1e-5, activation: Activation = jax.nn.silu, bias: bool = False,
          mlp_bias: bool = False) -> PreNorm:
    initialiser = normal(0.02)
    return PreNorm(
        attention_norm=RMSNorm.of(size, epsilon),
        attention=Attention.of(size, bias, groups="groups", initialiser=initialiser),
        mlp_norm=RMSNorm.of(size, epsilon),
        mlp=GatedMlp.of(size, activation, mlp_bias, initialiser=initialiser))


@struct.dataclass
class Llama:
    """A decoder of LLaMA's kind; `windows` says how far back the layers of each kind see (None: all the way)."""

    tokens: Embedding
    blocks: Stack
    norm: Part
    head: Head | None = None  # without one, the token table gives the logits
    rotary: Rotary = static(Rotary(128))
    windows: tuple[int | None, ...] = static((None,))
    multiplier: float = static(1.0)  # of what is looked up
    cap: float | None = static(None)  # logits are squeezed between -cap and cap

    @classmethod
    def of(cls, size: Size, theta: float = 10_000.0, epsilon: float = 1e-5, *, block: PreNorm | None = None,
           rotary: Rotary | None = None, tied: bool = False, kinds: tuple[int, ...] = (),
           windows: tuple[int | None, ...] = (None,)) -> "Llama":
        blocks = Stack.of(plain(size, epsilon) if block is None else block, size.layers, kinds)
        return cls(Embedding.of(size), blocks, RMSNorm.of(size, epsilon),
                   None if tied else Head.of(size, initialiser=normal(0.02)), rotary or Rotary(size.head, theta),
                   windows)

    def __call__(self, tokens: Array, **context: Array | None) -> Array:
        return self.logits(self.hidden(tokens, **context))

    def hidden(self, tokens: Array, *, positions: Array | None = None, present: Array | None = None,
               segments: Array | None = None, key: Array | None = None) -> Array:
        """The final stream. `present` marks what is not padding; `segments` keeps packed documents apart."""
        order = jnp.arange(tokens.shape[1])[None]
        mask = masks.decoder(tokens.shape[1], present=present, segments=segments)
        mask = each_kind(mask if reach is None else mask & masks.window(order, order, reach) for reach in self.windows)
        rotate = self.rotary(order if positions is None else positions)
        x, _ = self.blocks(self._embed(tokens), mask=mask, rotate=rotate, key=key)
        return self.norm(x)

    def logits(self, hidden: Array) -> Array:
        logits = shard((self.head or self.tokens.logits)(hidden), "batch", "length", "vocab")
        return logits if self.cap is None else self.cap * jnp.tanh(logits / self.cap)

    def start(self, batch: int, length: int) -> Memory:
        blocks = self.blocks.caches(batch, length, dtype=self.tokens.table.dtype, windows=self.windows)
        return Memory(blocks, Slots.empty(batch, length))

    def decode(self, tokens: Array, memory: Memory, present: Array | None = None) -> tuple[Array, Memory]:
        positions, slots = memory.slots.take(tokens, present)
        mask = each_kind(visible(positions, memory.slots, slots, reach) for reach in self.windows)
        x, blocks = self.blocks(self._embed(tokens), cache=memory.blocks, rotate=self.rotary(positions), mask=mask,
                                positions=positions)
        return self.logits(self.norm(x)), Memory(blocks, slots)

    def _embed(self, tokens: Array) -> Array:
        x = self.tokens(tokens)
        return shard(x * jnp.asarray(self.multiplier, x.dtype), "batch", "length", "embed")
