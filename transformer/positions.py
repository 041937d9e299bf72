"""How a transformer learns the order of its tokens: added vectors, rotations of queries and keys, or biases on scores."""
import dataclasses
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from transformer.mistakes import Mistake

Array = jax.Array


def sinusoids(positions: Array, embed: int, longest: float = 10_000.0) -> Array:
    """The fixed positions of 2017 [..., embed]: sines and cosines interleaved, wavelengths from 2π to longest·2π."""
    return jnp.stack(waves(positions, embed, longest), axis=-1).reshape(*positions.shape, embed)


def waves(positions: Array, embed: int, longest: float = 10_000.0) -> tuple[Array, Array]:
    """The sine and the cosine of each pair of channels [..., embed // 2] at positions [...]."""
    angles = jnp.multiply.outer(positions.astype(jnp.float32), frequencies(embed, longest))
    return jnp.sin(angles), jnp.cos(angles)


def frequencies(size: int, longest: float = 10_000.0) -> Array:
    """Radians per position of each pair of channels, from 1 down to almost 1 / longest."""
    # In 64 bits, before the program runs: at position 10 000 an error of one bit would be one of 0.0006 radians.
    return jnp.asarray(longest ** (-np.arange(0, size, 2) / size), jnp.float32)


def counted(length: int, longest: int | None = None) -> Array:
    """The positions of whole rows [1, length], of which learned ones are so many."""
    if longest is not None and length > longest:
        raise Mistake(f"rows of {length} tokens need as many positions, but the model has {longest}: cut them")
    return jnp.arange(length)[None]


Scaling = Callable[[Array], Array]  # frequencies of a short context -> those of a longer one


@dataclasses.dataclass(frozen=True)
class Rotary:
    """Rotary positions: at given positions [batch, length], what turns queries and keys."""

    head: int
    theta: float = 10_000.0
    scaling: Scaling | None = None
    amplitude: float = 1.0  # of the turned vectors: YaRN sharpens attention with it

    def __call__(self, positions: Array) -> Callable[[Array], Array]:
        turning = frequencies(self.head, self.theta)
        turning = self.scaling(turning) if self.scaling else turning
        # In float32 always: bfloat16 rounds position 257 to 256.
        angles = positions[..., None].astype(jnp.float32) * turning[None, None, :]
        return lambda x: rotate(x, angles, self.amplitude)


@dataclasses.dataclass(frozen=True)
class Linear:
    """Positions squeezed by a factor."""

    factor: float

    def __call__(self, turning: Array) -> Array:
        return turning / self.factor


@dataclasses.dataclass(frozen=True)
class Llama3:
    """Slow pairs squeezed, fast ones left alone, those between blended: by how often a pair turns in the old context."""

    factor: float
    slow: float
    fast: float
    context: int

    def __call__(self, turning: Array) -> Array:
        turns = self.context * turning / (2 * math.pi)
        blend = jnp.clip((turns - self.slow) / (self.fast - self.slow), 0.0, 1.0)
        return (1 - blend) * turning / self.factor + blend * turning


@dataclasses.dataclass(frozen=True)
class Yarn:
    """YaRN: as Llama 3's, but the blend is a ramp over channels, between those that turn `fast` and `slow` times."""

    factor: float
    slow: float
    fast: float
    context: int
    theta: float
    whole: bool = True  # the ramp begins and ends at whole channels

    def __call__(self, turning: Array) -> Array:
        pairs = turning.shape[0]

        def channel(turns: float) -> float:
            return pairs * math.log(self.context / (turns * 2 * math.pi)) / math.log(self.theta)

        low, high = channel(self.fast), channel(self.slow)
        if self.whole:
            low, high = math.floor(low), math.ceil(high)
        low, high = max(low, 0), min(high, 2 * pairs - 1)
        ramp = jnp.clip((jnp.arange(pairs) - low) / max(high - low, 0.001), 0.0, 1.0)
        return ramp * turning / self.factor + (1 - ramp) * turning


def rotate(x: Array, angles: Array, amplitude: float = 1.0) -> Array:
    """Turns channel i of the first half of a head with channel i of the second by the angle of its position.

    (Meta's own LLaMA files interleave the pairs; Hugging Face's, like this, keep them in halves.)
    """
    cos, sin = (amplitude * turn(angles)[:, :, None, :] for turn in (jnp.cos, jnp.sin))
    first, second = jnp.split(x.astype(jnp.float32), 2, axis=-1)
    return jnp.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1).astype(x.dtype)


def relative_buckets(queries: Array, keys: Array, buckets: int, reach: int, both_ways: bool) -> Array:
    """T5's buckets [batch, query, key] of the distance key - query: exact when near, logarithmic up to `reach`."""
    distance = keys[:, None, :] - queries[:, :, None]
    if both_ways:
        buckets //= 2
        offset = jnp.where(distance > 0, buckets, 0)
        distance = jnp.abs(distance)
    else:
        offset = jnp.zeros_like(distance)
        distance = jnp.maximum(-distance, 0)
    exact = buckets // 2
    far = jnp.log(jnp.maximum(distance, 1) / exact) / math.log(reach / exact) * (buckets - exact)
    far = jnp.minimum(exact + far.astype(jnp.int32), buckets - 1)
    return offset + jnp.where(distance < exact, distance, far)


def alibi(queries: Array, keys: Array, heads: int) -> Array:
    """A penalty [batch, head, query, key] that grows with distance, steeper in each head than in the next."""
    power = 2 ** math.floor(math.log2(heads))
    slopes = 2.0 ** (-8.0 / power * jnp.arange(1, power + 1))
    between = 2.0 ** (-4.0 / power * jnp.arange(1, 2 * (heads - power), 2))
    distance = jnp.abs(queries[:, None, :, None] - keys[:, None, None, :])
    return -jnp.concatenate([slopes, between])[None, :, None, None] * distance
