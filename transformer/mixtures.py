"""Mixtures of Gaussians: what is said of a vector that is no token, as Mixture Density Networks do (Bishop 1994)."""
import math

import jax
import jax.numpy as jnp
from flax import struct

Array = jax.Array


@struct.dataclass
class Mixture:
    """Of each place some Gaussians: how likely each is [..., k], its mean and the logarithm of its deviation [..., k, d]."""

    logits: Array
    means: Array
    deviations: Array

    @classmethod
    def of(cls, numbers: Array, width: int) -> "Mixture":
        """From what a head says [..., k, 1 + 2 width]."""
        numbers = numbers.astype(jnp.float32)
        return cls(numbers[..., 0], numbers[..., 1:1 + width], jnp.clip(numbers[..., 1 + width:], -7.0, 5.0))

    def nats(self, x: Array) -> Array:
        """The surprise at vectors [..., d], densities counting as chances."""
        apart = (x[..., None, :] - self.means) * jnp.exp(-self.deviations)
        each = (-0.5 * jnp.square(apart) - self.deviations - 0.5 * math.log(2 * math.pi)).sum(-1)
        return -jax.nn.logsumexp(jax.nn.log_softmax(self.logits) + each, axis=-1)

    def draw(self, key: Array) -> Array:
        """A vector for every place [..., d]."""
        which, how = jax.random.split(key)
        chosen = jax.random.categorical(which, self.logits)[..., None, None]
        mean, deviation = (jnp.take_along_axis(x, chosen, -2)[..., 0, :] for x in (self.means, self.deviations))
        return mean + jnp.exp(deviation) * jax.random.normal(how, mean.shape)
