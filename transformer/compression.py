"""What models are trained to do that say an input again from less of it, and those that go on from what was said.

`images` are [b, height, width, channels] of 0 to 1; `weights` [b] say which rows are no blank ones.
"""
from typing import Any

import jax
import jax.numpy as jnp

from transformer.losses import Batch, Result

Array = jax.Array


def quantised(model: Any, batch: Batch, key: Array | None = None, commitment: float = 0.25, revival: float = 0.1) -> Result:
    """VQ-VAE's: the picture again, its vectors near their codes and the codes near their vectors.

    The gradient passes by the choice of a code as if it were none. Each code is also drawn a little, by `revival`, to the
    vector nearest to it, so that one that nobody chooses comes to where it may be chosen.
    """
    there, vectors = batch["weights"], model.encode(batch["images"])
    apart = jax.lax.stop_gradient(model.apart(vectors))
    chosen = model.codes(apart.argmin(-1))
    again = model.draw(vectors + jax.lax.stop_gradient(chosen - vectors))
    error = jnp.square(again - batch["images"]).mean((1, 2, 3))
    follows = jnp.square(chosen - jax.lax.stop_gradient(vectors)).mean((1, 2))
    stays = jnp.square(vectors - jax.lax.stop_gradient(chosen)).mean((1, 2))
    flat = vectors.reshape(-1, vectors.shape[-1])
    nearest = jax.lax.stop_gradient(flat[apart.reshape(len(flat), -1).argmin(0)])
    idle = jnp.square(model.codes.table - nearest).mean()
    rows = there.sum()
    total = ((error + follows + commitment * stays) * there).sum() + revival * idle * rows
    return total, rows, {"error": ((error * there).sum(), rows)}


def variational(model: Any, batch: Batch, key: Array | None = None, grain: float = 0.1) -> Result:
    """A VAE's: the nats of a picture, told to within `grain`, by way of numbers that a standard normal would not surprise."""
    there, (mean, deviation) = batch["weights"], model.encode(batch["images"])
    vectors = mean if key is None else mean + jnp.exp(deviation) * jax.random.normal(key, mean.shape)
    error = jnp.square(model.draw(vectors) - batch["images"])
    told = (0.5 * (jnp.square(mean) + jnp.exp(2 * deviation) - 1) - deviation).sum((1, 2))
    nats = error.sum((1, 2, 3)) / (2 * grain**2) + told
    rows = there.sum()
    return (nats * there).sum(), rows, {"error": ((error.mean((1, 2, 3)) * there).sum(), rows), "told": ((told * there).sum(), rows)}


def next_latent(model: Any, batch: Batch, key: Array | None = None) -> Result:
    """A decoder's of vectors: nats for each number of `latents` [b, t, width]."""
    nats = model(batch["latents"], key=key).nats(batch["latents"]).mean(1) / batch["latents"].shape[-1]
    there = batch["weights"]
    return (nats * there).sum(), there.sum(), {"nats": ((nats * there).sum(), there.sum())}
