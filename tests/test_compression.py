"""Autoencoders: what a code may and may not change, what certainty costs; what a mixture of Gaussians says."""
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import sharp

from transformer.compression import next_latent, quantised, variational
from transformer.mistakes import Mistake
from transformer.mixtures import Mixture
from transformer.models import latents, vae, vqvae
from transformer.models.vit import joined, patches

RANDOM = np.random.default_rng(0)
IMAGES = jnp.asarray(RANDOM.random((3, 8, 8, 3)), jnp.float32)
BATCH = {"images": IMAGES, "weights": jnp.ones(3)}
QUANTISER = sharp(vqvae.VQVAE.of(vqvae.Size(patch=2, codes=12, width=3, embed=8, mlp=12)))
AUTOENCODER = sharp(vae.VAE.of(vae.Size(image=8, patch=4, channels=3, width=2, layers=1, embed=8, heads=2, mlp=12)))
DECODER = sharp(latents.Latents.of(latents.Size(width=2, length=6, mixed=3, layers=2, embed=8, heads=2, mlp=12)))
VECTORS = jnp.asarray(RANDOM.normal(size=(3, 6, 2)), jnp.float32)


def test_patches_are_joined_again():
    assert (joined(patches(IMAGES, 2)) == IMAGES).all()
    with pytest.raises(Mistake, match="a picture of 8 × 8 cannot be cut into patches of 3 × 3"):
        patches(IMAGES, 3)


def test_the_nearest_code_is_chosen_and_drawn_the_same_anywhere():
    vectors = jax.jit(lambda model: model.encode(IMAGES))(QUANTISER)
    table = np.asarray(QUANTISER.codes.table)
    near = np.linalg.norm(np.asarray(vectors)[:, :, None] - table[None, None], axis=-1).argmin(-1)
    codes = QUANTISER.nearest(vectors)
    assert (codes == near).all()
    drawn = patches(jax.jit(lambda model: model.drawn(jnp.asarray([[4] * 16])))(QUANTISER), 2)
    np.testing.assert_allclose(drawn, jnp.broadcast_to(drawn[:, :1], drawn.shape), atol=1e-6)


def test_the_gradient_passes_by_the_choice_and_reaches_codes_that_nobody_chose():
    def total(model, **choices):
        return quantised(model, BATCH, **choices)[0]

    slopes = jax.jit(jax.grad(total))(QUANTISER)
    assert np.abs(slopes.read.kernel).sum() > 0 and (np.abs(slopes.codes.table).sum(-1) > 0).all()
    chosen = np.unique(QUANTISER.nearest(QUANTISER.encode(IMAGES)))
    alone = np.abs(jax.jit(jax.grad(lambda model: total(model, revival=0.0)))(QUANTISER).codes.table).sum(-1)
    assert set(np.flatnonzero(alone)) == set(chosen) and len(chosen) < 12


@pytest.mark.parametrize(("loss", "model"), [(variational, AUTOENCODER), (next_latent, DECODER)], ids=["variational", "next_latent"])
def test_blank_rows_weigh_nothing(loss, model):
    batch = {**BATCH, "latents": VECTORS}
    blank = {name: jnp.concatenate([value, jnp.zeros_like(value[:2])]) for name, value in batch.items()}
    told = jax.jit(loss)
    for one, other in zip(jax.tree.leaves(told(model, batch)), jax.tree.leaves(told(model, blank)), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)


def test_what_a_standard_normal_says_costs_nothing_and_certainty_costs():
    blind = jax.tree.map(jnp.zeros_like, AUTOENCODER)
    told = jax.jit(variational)
    total, rows, metrics = told(blind, BATCH)
    assert float(metrics["told"][0]) == 0 and float(rows) == 3
    np.testing.assert_allclose(total, jnp.square(IMAGES).sum() / (2 * 0.1**2), rtol=1e-5)
    assert float(told(AUTOENCODER, BATCH)[2]["told"][0]) > 1
    drawn = [told(AUTOENCODER, BATCH, jax.random.key(seed))[0] for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_a_mixture_is_a_density_and_draws_by_it():
    numbers = jnp.asarray([[[0.3, -1.0, -0.5], [1.1, 2.0, 0.2]]])  # two Gaussians of one number
    mixture, grid = Mixture.of(numbers, 1), np.linspace(-12, 14, 4001)
    density = np.exp(-jax.jit(jax.vmap(lambda x: mixture.nats(jnp.full((1, 1), x))))(grid))[:, 0]
    assert abs(float(np.trapezoid(density, grid)) - 1) < 1e-4
    logits, means, deviations = np.asarray(numbers[0]).T
    shares = np.exp(logits) / np.exp(logits).sum()
    plain = shares @ (np.exp(-0.5 * ((0.7 - means) / np.exp(deviations)) ** 2) / np.exp(deviations)) / math.sqrt(2 * math.pi)
    np.testing.assert_allclose(density[np.abs(grid - 0.7).argmin()], plain, rtol=0.01)
    drawn = np.asarray(jax.jit(jax.vmap(mixture.draw))(jax.random.split(jax.random.key(0), 20_000))).ravel()
    np.testing.assert_allclose(drawn.mean(), shares @ means, atol=0.04)
    np.testing.assert_allclose((drawn < 0).mean(), np.trapezoid(density[grid < 0], grid[grid < 0]), atol=0.02)


def test_no_vector_is_told_by_itself_or_by_what_comes_after():
    slopes = np.abs(jax.jit(jax.jacrev(lambda x: DECODER(x[None]).means[0]))(VECTORS[0])).sum((1, 2, 4))
    assert (np.triu(slopes) == 0).all() and (slopes[np.tril_indices(6, -1)] > 0).all()


def test_vectors_told_one_by_one_are_told_as_in_one_go():
    decode, memory = jax.jit(lambda model, vectors, memory: model.decode(vectors, memory)), DECODER.start(3, 6)
    whole = jax.jit(lambda model: model(VECTORS))(DECODER)
    said, memory = decode(DECODER, None, memory)
    parts = [said]
    for cut in (slice(0, 2), slice(2, 3), slice(3, 5)):
        said, memory = decode(DECODER, VECTORS[:, cut], memory)
        parts.append(said)
    for one, other in zip(jax.tree.leaves(jax.tree.map(lambda *some: jnp.concatenate(some, 1), *parts)), jax.tree.leaves(whole), strict=True):
        np.testing.assert_allclose(one, other, atol=2e-5)


def test_rows_of_vectors_are_drawn_from_a_key():
    some = [latents.drawn(DECODER, 4, jax.random.key(seed)) for seed in (0, 0, 1)]
    assert some[0].shape == (4, 6, 2) and (some[0] == some[1]).all() and (some[0] != some[2]).any()
