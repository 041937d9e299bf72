"""Whisper (Radford et al. 2022): an encoder hears a log-mel spectrogram, a decoder writes what was said.

Two convolutions, the second of which halves the frames; pre-norm blocks whose keys have no bias; fixed positions for the
sound, learned ones for the text; logits from the token table.
"""
import dataclasses

import jax
import jax.numpy as jnp
from flax import struct

from transformer import masks
from transformer.attention import Attention
from transformer.caches import Slots
from transformer.convolution import Convolution
from transformer.layers import Activation, Embedding, LayerNorm, Linear, Mlp, dropout, gelu, static
from transformer.positions import counted
from transformer.sharding import shard
from transformer.stack import Memory, PreNorm, Stack
from transformer.weights import normal

Array = jax.Array


@dataclasses.dataclass(frozen=True)
class Size:
    vocab: int = 51865
    mels: int = 80
    frames: int = 1500  # that the encoder sees: half of the spectrogram's
    length: int = 448
    layers: int = 4
    embed: int = 384
    heads: int = 6
    mlp: int = 1536

    @property
    def head(self) -> int:
        return self.embed // self.heads


def fixed_positions(key: Array, shape: tuple[int, ...], fan_in: int) -> Array:
    """Sines, then cosines, of wavelengths from 2π to 20,000π, both ends included."""
    length, embed = shape
    turning = jnp.exp(-jnp.log(10_000.0) / (embed // 2 - 1) * jnp.arange(embed // 2))
    angles = jnp.arange(length)[:, None] * turning[None, :]
    return jnp.concatenate([jnp.sin(angles), jnp.cos(angles)], axis=1)


def _block(size: Size, decoder: bool, activation: Activation, dropout: float) -> PreNorm:
    initialiser = normal(0.02)

    def attention() -> Attention:
        whole = Attention.of(size, bias=True, initialiser=initialiser, dropout=dropout)
        return dataclasses.replace(whole, key=Linear.of(size, "embed -> heads head", initialiser=initialiser))

    return PreNorm(
        attention_norm=LayerNorm.of(size),
        attention=attention(),
        mlp_norm=LayerNorm.of(size),
        mlp=Mlp.of(size, activation, initialiser=initialiser),
        cross_norm=LayerNorm.of(size) if decoder else None,
        cross=attention() if decoder else None,
        dropout=dropout)


@struct.dataclass
class Ear:
    """Frames of a spectrogram in, vectors of what was heard out."""

    first: Convolution
    second: Convolution
    positions: Embedding
    blocks: Stack
    norm: LayerNorm
    dropout: float = static(0.0)

    def __call__(self, frames: Array, key: Array | None = None) -> Array:
        keys = (None, None) if key is None else jax.random.split(key)
        x = gelu(self.second(gelu(self.first(frames.astype(self.first.kernel.dtype)))))  # whatever the blocks' activation
        x = x + self.positions(counted(x.shape[1], self.positions.table.shape[0])).astype(x.dtype)
        x = shard(dropout(x, self.dropout, keys[0]), "batch", "length", "embed")
        return self.norm(self.blocks(x, key=keys[1])[0])


@struct.dataclass
class Whisper:
    encoder: Ear
    tokens: Embedding
    positions: Embedding
    blocks: Stack
    norm: LayerNorm
    dropout: float = static(0.0)

    @classmethod
    def of(cls, size: Size, decoder_layers: int | None = None, dropout: float = 0.0, activation: Activation = gelu) -> "Whisper":
        initialiser = normal(0.02)
        ear = Ear(Convolution.of(size, "3 mels -> embed", initialiser=initialiser),
                  Convolution.of(size, "3 embed -> embed", stride=2, initialiser=initialiser),
                  Embedding.of(size, "frames embed", fixed_positions),
                  Stack.of(_block(size, False, activation, dropout), size.layers), LayerNorm.of(size), dropout)
        return cls(ear, Embedding.of(size), Embedding.of(size, "length embed"),
                   Stack.of(_block(size, True, activation, dropout), decoder_layers or size.layers), LayerNorm.of(size), dropout)

    @property
    def longest(self) -> int:
        """How many positions it has."""
        return self.positions.table.shape[0]

    def encode(self, frames: Array, *, present: Array | None = None, key: Array | None = None) -> Array:
        """What was heard, of frames [b, t, mels]. Silence is padding enough: all of it is attended to."""
        return self.encoder(frames, key)

    def __call__(self, source: Array, target: Array, **context: Array | None) -> Array:
        return self.logits(self.hidden(source, target, **context))

    def hidden(self, source: Array, target: Array, *, present: Array | None = None, target_present: Array | None = None,
               key: Array | None = None) -> Array:
        """The decoder's final stream; `target` is what it is fed: the answer, shifted right."""
        keys = (None,) * 3 if key is None else jax.random.split(key, 3)
        memory = self.encode(source, key=keys[0])
        x = self._embed(target, counted(target.shape[1], self.longest), keys[1])
        x, _ = self.blocks(x, mask=masks.decoder(target.shape[1], present=target_present), memory=memory, key=keys[2])
        return self.norm(x)

    def logits(self, hidden: Array) -> Array:
        return shard(self.tokens.logits(hidden), "batch", "length", "vocab")

    def start(self, memory: Array, length: int, present: Array | None = None) -> Memory:
        """Keys and values of the memory are computed here, once."""
        return Memory(self.blocks.caches(len(memory), length, memory, memory.dtype), Slots.empty(len(memory), length))

    def decode(self, tokens: Array, memory: Memory, present: Array | None = None) -> tuple[Array, Memory]:
        positions, slots = memory.slots.take(tokens, present)
        x = self._embed(tokens, jnp.maximum(positions, 0))
        x, blocks = self.blocks(x, cache=memory.blocks, mask=masks.before(positions, slots.positions))
        return self.logits(self.norm(x)), Memory(blocks, slots)

    def _embed(self, tokens: Array, positions: Array, key: Array | None = None) -> Array:
        x = self.tokens(tokens) + self.positions(positions)
        return shard(dropout(x, self.dropout, key), "batch", "length", "embed")
