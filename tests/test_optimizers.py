import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import struct

from transformer.layers import Embedding, LayerNorm, Linear
from transformer.mistakes import Mistake
from transformer.training import optimizers
from transformer.weights import initialise, named, stacked


class Size:
    vocab, embed, mlp = 12, 6, 10


@struct.dataclass
class Toy:
    """A model that can be called, as ours can: optax would call a tree of masks made of it."""

    tokens: Embedding
    blocks: Any
    norm: LayerNorm

    @classmethod
    def of(cls, size):
        pair = (Linear.of(size, "embed -> mlp", bias=True), Linear.of(size, "mlp -> embed"))
        return cls(Embedding.of(size), stacked({"up": pair[0], "down": pair[1]}, 2), LayerNorm.of(size))

    def __call__(self, tokens):
        def block(x, own):
            return x + own["down"](jnp.tanh(own["up"](x))), None
        return self.tokens.logits(self.norm(jax.lax.scan(block, self.tokens(tokens), self.blocks)[0]))


SPEC = Toy.of(Size)
TOKENS = jnp.arange(12).reshape(2, 6)


@pytest.fixture(scope="module")
def toy():
    born = jax.jit(partial(initialise, SPEC))(jax.random.key(0))
    return jax.tree.map(lambda w: w + 0.1 * np.random.default_rng(w.size).normal(size=w.shape).astype(np.float32), born)


def loss(toy):
    return optax.softmax_cross_entropy_with_integer_labels(toy(TOKENS), (TOKENS * 5 + 1) % 12).mean()


@pytest.fixture(scope="module")
def gradient(toy):
    return jax.jit(jax.grad(loss))(toy)


def first_update(optimizer, toy, gradient):
    return named(jax.jit(lambda toy, gradient: optimizer.update(gradient, optimizer.init(toy), toy)[0])(toy, gradient))


@pytest.mark.parametrize(
    "optimizer",
    [optimizers.adamw(0.03), *(pytest.param(optimizer, marks=pytest.mark.slow) for optimizer in (
        optimizers.adafactor(0.1), optimizers.lion(0.03), optimizers.muon(SPEC, 0.03, adam=1.0)))],
    ids=["adamw", "adafactor", "lion", "muon"])
def test_thirty_steps_lower_the_loss(toy, optimizer):
    @jax.jit
    def steps(toy):
        def step(carry, _):
            toy, state = carry
            value, gradient = jax.value_and_grad(loss)(toy)
            updates, state = optimizer.update(gradient, state, toy)
            return (optax.apply_updates(toy, updates), state), value
        return jax.lax.scan(step, (toy, optimizer.init(toy)), length=30)[1]

    losses = steps(toy)
    assert losses[0] > 2 and losses[-1] < 0.3 * losses[0], losses


def test_adamw_is_adam_and_decay_on_matrices_and_tables_alone(toy, gradient):
    update = first_update(optimizers.adamw(0.5, betas=(0.9, 0.999), decay=0.1, clip=None), toy, gradient)
    for name, g in named(gradient).items():
        want = g / (abs(g) + 1e-8)  # Adam's first step
        if name in ("tokens.table", "blocks.up.kernel", "blocks.down.kernel"):
            want = want + 0.1 * named(toy)[name]
        np.testing.assert_allclose(update[name], -0.5 * want, rtol=1e-4, atol=1e-6, err_msg=name)
    assert {"blocks.up.bias", "norm.scale", "norm.shift"} < update.keys()


def test_what_decays_can_be_named(toy):
    nothing = jax.tree.map(jnp.zeros_like, toy)
    update = first_update(optimizers.adamw(0.5, decay=0.1, decayed=("norm.*",)), toy, nothing)
    for name, w in named(toy).items():
        np.testing.assert_allclose(update[name], -0.05 * w if name.startswith("norm.") else 0 * w, rtol=1e-6)


def test_rates_by_path_scale_the_update_and_the_first_pattern_wins(toy, gradient):
    plain = first_update(optimizers.adamw(0.5), toy, gradient)
    scaled = first_update(optimizers.adamw(0.5, rates={"blocks.up.*": 0.25, "blocks.*": 4.0, "norm.*": 0.0}), toy, gradient)
    for name, update in plain.items():
        factor = {"tokens.table": 1.0, "blocks.down.kernel": 4.0}.get(name, 0.25 if name.startswith("blocks.up") else 0.0)
        np.testing.assert_allclose(scaled[name], factor * update, rtol=1e-6, err_msg=name)


@pytest.mark.parametrize("make", [optimizers.adamw, pytest.param(partial(optimizers.muon, SPEC), marks=pytest.mark.slow)], ids=["adamw", "muon"])
def test_the_frozen_does_not_move_and_is_not_remembered(toy, gradient, make):
    optimizer = make(0.5, frozen=("tokens.*", "blocks.down.*"))
    state = jax.eval_shape(optimizer.init, toy)
    assert not any("tokens" in name or "down" in name for name in named(state))
    assert any("blocks.up.kernel" in name for name in named(state))
    for name, update in first_update(optimizer, toy, gradient).items():
        assert bool(update.any()) != (name.startswith("tokens") or "down" in name), name


def test_freezing_what_does_not_exist_is_a_mistake(toy):
    with pytest.raises(Mistake, match=r"frozen 'tokens.kernel' matches no weight; there are blocks.down.kernel, "):
        optimizers.adamw(0.5, frozen=("tokens.kernel",)).init(toy)


def test_the_gradient_is_clipped_before_all_else(toy):
    huge = jax.tree.map(lambda w: jnp.full_like(w, 1e3), toy)
    plain, clipped = (first_update(optimizers.assemble(optax.identity(), 1.0, clip=clip), toy, huge) for clip in (None, 2.0))
    assert float(optax.tree.norm(plain)) > 1e4
    np.testing.assert_allclose(float(optax.tree.norm(clipped)), 2.0, rtol=1e-5)


def test_muon_turns_every_layer_by_itself(toy):
    random = np.random.default_rng(0)
    gradient = jax.tree.map(lambda w: random.normal(size=w.shape).astype(np.float32), toy)
    update = first_update(optimizers.muon(SPEC, 1.0, decay=0.0, adam=0.5), toy, gradient)
    for name in ("blocks.up.kernel", "blocks.down.kernel"):
        for layer, own in enumerate(update[name]):
            singular = np.linalg.svd(own / (0.2 * 10**0.5), compute_uv=False)
            assert singular.shape == (6,) and singular.min() > 0.4 and singular.max() < 1.3, (name, layer, singular)
        # The direction is that of the gradient's own factors, not of another's.
        u, _, v = np.linalg.svd(named(gradient)[name], full_matrices=False)
        alike = -(update[name] * (u @ v)).sum((1, 2)) / np.linalg.norm(update[name], axis=(1, 2)) / 6**0.5
        assert (alike > 0.97).all(), alike
    table = named(gradient)["tokens.table"]
    np.testing.assert_allclose(update["tokens.table"], -0.5 * table / (abs(table) + 1e-8), rtol=1e-3, atol=1e-6)


def test_muon_knows_which_axes_are_inputs():
    size = type("Size", (), {"embed": 6, "heads": 2, "head": 3})
    blocks = {"blocks": stacked({"query": Linear.of(size, "embed -> heads head"), "out": Linear.of(size, "heads head -> embed")}, 2)}
    random = np.random.default_rng(0)
    params = jax.tree.map(lambda w: jnp.asarray(random.normal(size=w.shape), jnp.float32), blocks)
    update = first_update(optimizers.muon(blocks, 1.0, decay=0.0), params, params)
    for name, shape in (("query", (6, 6)), ("out", (6, 6))):
        for own in update[f"blocks.{name}.kernel"]:
            singular = np.linalg.svd(np.reshape(own, shape) / (0.2 * 6**0.5), compute_uv=False)
            assert singular.min() > 0.4 and singular.max() < 1.3, (name, singular)


def test_schedules_pass_through_known_points():
    cosine = optimizers.warmup_cosine(2.0, steps=110, warmup=10, floor=0.1)
    np.testing.assert_allclose([cosine(step) for step in (0, 5, 10, 60, 110, 999)], [0, 1, 2, 1.1, 0.2, 0.2], rtol=1e-6)
    stable = optimizers.warmup_stable_decay(2.0, steps=100, warmup=10, decay=20)
    np.testing.assert_allclose([stable(step) for step in (0, 5, 10, 79, 80, 90, 100, 999)], [0, 1, 2, 2, 2, 1, 0, 0], rtol=1e-6)
    root = optimizers.inverse_root(2.0, warmup=100)
    np.testing.assert_allclose([root(step) for step in (0, 49, 99, 399)], [0.02, 1, 2, 1], rtol=1e-6)
    assert math.isclose(float(optimizers.warmup_cosine(2.0, steps=5, warmup=0)(0)), 2.0)


def test_what_has_read_much_moves_a_500th_as_far(toy, gradient):
    def moved(gentle):
        optimizer = optimizers.fitting(SPEC, 0.05, 2, adam=1.0, gentle=gentle)
        state = optimizer.init(toy)
        for _ in range(2):  # the first step only warms up
            updates, state = optimizer.update(gradient, state, toy)
        return float(jnp.abs(updates.norm.scale).mean())

    assert moved(True) == pytest.approx(moved(False) / 500, rel=0.05)
