"""What every account of the transformer says of its parts, as exact tests: lookup, positions, attention, blocks, heads."""
import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import struct
from tiny import SPECS, sharp

from transformer import masks
from transformer.attention import Attention, attend
from transformer.describe import order
from transformer.layers import Embedding, LayerNorm, Linear, Mlp, gelu_tanh
from transformer.models import bert, gpt2
from transformer.presets import PRESETS
from transformer.stack import PreNorm, Stack
from transformer.weights import initialise

SIZE = gpt2.Size(vocab=11, length=8, layers=2, embed=16, heads=4)
X = jax.random.normal(jax.random.key(0), (2, 6, 16))


def born(spec, seed=0):
    return initialise(spec, jax.random.key(seed))


# An embedding is a lookup table.


def test_an_embedding_looks_rows_up_and_learns_only_in_those():
    embedding = born(Embedding.of(SIZE))
    tokens = jnp.asarray([[3, 7, 3]])
    assert (embedding(tokens) == jax.nn.one_hot(tokens, 11) @ embedding.table).all()
    gradient = jax.grad(lambda e: (e(tokens) ** 2).sum())(embedding).table
    assert set(np.flatnonzero(np.abs(gradient).sum(-1))) == {3, 7}


# Without positions there is no order.


@dataclasses.dataclass(frozen=True)
class Classes(bert.Size):
    classes: int = 11


def first_of_two(positions):
    """How well an encoder that reads [start] and two words learns to say which of the words came first."""
    size = Classes(vocab=11, length=3, layers=1, embed=32, heads=4, mlp=64)
    model = born(bert.TextClasses.of(bert.Bert.of(size), size))
    words, rate = np.random.default_rng(0).permuted(np.tile(np.arange(1, 11), (4096, 1)), axis=1)[:, :2], optax.adam(3e-3)
    tokens = jnp.asarray(np.concatenate([np.zeros((4096, 1), int), words], 1)).reshape(-1, 64, 3)

    def loss(model, tokens):
        logits = model(tokens, positions=jnp.broadcast_to(positions, tokens.shape))
        return optax.softmax_cross_entropy_with_integer_labels(logits, tokens[:, 1]).mean()

    def step(carry, tokens):
        updates, state = rate.update(jax.grad(loss)(carry[0], tokens), carry[1])
        return (optax.apply_updates(carry[0], updates), state), None

    train = jax.jit(lambda model: jax.lax.scan(step, (model, rate.init(model)), jnp.tile(tokens[:-8], (3, 1, 1)))[0][0])
    seen = tokens[-8:].reshape(-1, 3)
    answers = train(model)(seen, positions=jnp.broadcast_to(positions, seen.shape)).argmax(-1)
    return float((answers == seen[:, 1]).mean())


@pytest.mark.slow
def test_only_with_positions_can_it_be_learned_which_word_came_first():
    assert first_of_two(jnp.arange(3)) >= 0.99
    assert first_of_two(jnp.zeros(3, int)) < 0.6


# Attention: queries ask, keys answer, values are summed.


def test_one_head_is_plain_attention():
    attention = born(Attention.of(gpt2.Size(vocab=11, length=8, layers=1, embed=16, heads=1), bias=True))
    x, w = np.asarray(X), jax.tree.map(np.asarray, attention)
    q, k, v = (x @ one.kernel[:, 0] + one.bias[0] for one in (w.query, w.key, w.value))
    weights = np.asarray(jax.nn.softmax(q @ k.swapaxes(1, 2) / 4.0))
    expected = weights @ v @ w.out.kernel[0] + w.out.bias
    np.testing.assert_allclose(attention(X)[0], expected, atol=1e-5)
    np.testing.assert_allclose(weights.sum(-1), 1.0, atol=1e-6)


def gradients(mask):
    """How much each output hangs on each input [t, s]."""
    attention = born(Attention.of(SIZE, bias=True))
    slopes = jax.jacrev(lambda x: attention(x[None], mask=mask)[0][0])(X[0])
    return np.abs(slopes).sum((1, 3))


def test_without_a_mask_every_word_moves_every_other():
    assert (gradients(None) > 1e-6).all()


def test_the_causal_mask_gives_the_future_a_gradient_of_exactly_zero():
    slopes = gradients(masks.causal(6))
    assert (np.triu(slopes, 1) == 0).all() and (np.tril(slopes)[np.tril_indices(6)] > 1e-6).all()


def test_what_is_masked_weighs_exactly_nothing():
    """The score is minus infinity before the softmax, not zero: zero would still weigh something."""
    eye = jnp.broadcast_to(jnp.eye(6)[None, :, None], (1, 6, 1, 6))  # values that say where they came from
    q = k = X[:1, :, None, :6]
    weights = attend(q, k, eye, masks.causal(6))[0, :, 0]
    assert (np.triu(weights, 1) == 0).all()
    np.testing.assert_allclose(weights.sum(-1), 1.0, atol=1e-6)


@pytest.mark.slow
def test_an_answer_hangs_on_the_source_but_not_on_its_padding():
    model = sharp(SPECS["t5"])
    source, target = jnp.asarray([[5, 6, 7, 8]]), jnp.asarray([[0, 9, 10]])
    present = jnp.asarray([[True, True, True, False]])
    plain = model(source, target, present=present)
    assert np.abs(plain - model(source.at[0, 1].set(20), target, present=present)).max() > 1e-3
    assert (plain == model(source.at[0, 3].set(20), target, present=present)).all()


# Blocks: the residual stream is what makes depth trainable.


@struct.dataclass
class Bare(PreNorm):
    """The same parts without the stream around them."""

    def __call__(self, x, *, mask=None, cache=None, key=None, **context):
        x = self.attention(self.attention_norm(x), mask=mask)[0]
        return self.mlp(self.mlp_norm(x)), None


@pytest.mark.slow
def test_twelve_layers_learn_with_a_residual_stream_and_not_without():
    size = gpt2.Size(vocab=8, length=12, layers=12, embed=32, heads=4)
    parts = {"attention_norm": LayerNorm.of(size), "attention": Attention.of(size), "mlp_norm": LayerNorm.of(size),
             "mlp": Mlp.of(size, gelu_tanh)}
    random = np.random.default_rng(0)
    chances = random.dirichlet(np.full(8, 0.2), 8)  # a Markov chain: the last token tells most of the next
    chain = np.zeros((96, 13), np.int32)
    for at in range(1, 13):
        chain[:, at] = (chances[chain[:, at - 1]].cumsum(-1) > random.random((96, 1))).argmax(-1)

    def final(block):
        model = born(gpt2.GPT2.of(size).replace(blocks=Stack.of(block, 12)))

        def loss(model):
            nats = optax.softmax_cross_entropy_with_integer_labels(model(chain[:, :-1]), chain[:, 1:])
            return nats.mean()

        rate = optax.adam(3e-3)

        @jax.jit
        def steps(model):
            def step(carry, _):
                value, gradient = jax.value_and_grad(loss)(carry[0])
                updates, state = rate.update(gradient, carry[1])
                return (optax.apply_updates(carry[0], updates), state), value

            return jax.lax.scan(step, (model, rate.init(model)), length=40)[1][-1]

        return float(steps(model))

    shares = np.bincount(chain[:, 1:].ravel(), minlength=8) / chain[:, 1:].size
    unigram = float(-(shares * np.log(shares + 1e-12)).sum())
    assert final(PreNorm(**parts)) < unigram - 0.3
    assert final(Bare(**parts)) > unigram - 0.05


# The head: hidden state, logits, distribution.


def test_a_tied_head_is_the_table_turned_around():
    model = born(SPECS["gpt2"])
    hidden = jax.random.normal(jax.random.key(1), (1, 3, 32))
    np.testing.assert_allclose(model.logits(hidden), hidden @ model.tokens.table.T, atol=1e-5)
    np.testing.assert_allclose(jax.nn.softmax(model.logits(hidden)).sum(-1), 1.0, atol=1e-6)


def test_a_linear_layer_is_a_matrix_and_a_bias():
    linear = born(Linear.of(SIZE, "embed -> mlp", bias=True))
    np.testing.assert_allclose(linear(X), np.asarray(X) @ np.asarray(linear.kernel) + np.asarray(linear.bias), atol=1e-5)


# The figure: what `describe` says is what the traced forward pass does.


@pytest.mark.parametrize(("name", "figure"), [
    ("gpt2", "tokens → positions → 12 × (attention_norm → attention → mlp_norm → mlp) → norm → tokens"),
    ("bert-base", "bert.tokens → bert.positions → bert.kinds → bert.norm → "
                  "12 × bert (attention → attention_norm → mlp → mlp_norm) → masked.dense → masked.norm → bert.tokens → masked"),
    ("t5-small", "6 × decoder (attention_norm → attention → cross_norm → cross → mlp_norm → mlp) → decoder.norm → tokens"),
])
def test_a_description_gives_the_real_order_of_the_parts(name, figure):
    assert figure in order(PRESETS[name]())
