import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import struct
from tiny import SPECS, sharp

from transformer import masks
from transformer.attention import Attention, fused
from transformer.layers import dropout
from transformer.stack import POLICIES, PreNorm, Stack
from transformer.weights import edit, named

MASK = masks.causal(6)
# Its bits are quick to compile.
KEY = jax.random.key(1, impl="unsafe_rbg")
X = jax.device_put(np.random.default_rng(0).normal(size=(2, 6, 32)).astype(np.float32))


@pytest.fixture(scope="module")
def stack():
    dropping = edit(sharp(SPECS["gpt2"]).blocks, Attention, lambda attention: attention.replace(dropout=0.3))
    return edit(dropping, PreNorm, lambda block: block.replace(dropout=0.2))


@pytest.fixture(scope="module")
def run():
    """Values and gradients, with dropout: the same keys must reach the same layers."""
    @jax.jit
    def run(stack, key):
        def loss(stack, x):
            y, _ = stack(x, mask=MASK, key=key)
            return (y * jnp.cos(jnp.arange(y.size, dtype=jnp.float32)).reshape(y.shape)).sum(), y
        return jax.grad(loss, (0, 1), has_aux=True)(stack, X)
    return run


@pytest.fixture(scope="module")
def scanned(stack, run):
    return run(stack, KEY)


def same(got, want):
    for name, value in named(want).items():
        np.testing.assert_allclose(named(got)[name], value, atol=max(3e-5 * float(abs(value).max()), 1e-5), err_msg=name)


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["full", pytest.param("dots", marks=pytest.mark.slow)])
def test_rematerialised_equals_kept(stack, run, scanned, policy):
    same(run(stack.replace(remat=policy), KEY), scanned)


def test_unrolled_equals_scanned(stack, run, scanned):
    (gradients, of_x), y = run(stack.unrolled(), KEY)
    together = stack.replace(blocks=jax.tree.map(lambda *layers: np.stack(layers), *gradients.blocks))
    same(((together, of_x), y), scanned)
    assert len(stack) == len(stack.unrolled()) == 2 and stack.unrolled().unrolled().blocks[0] is not None


@pytest.mark.slow
def test_stacked_blocks_can_run_one_by_one_and_rematerialised(stack, run, scanned):
    same(run(stack.replace(unroll=True), KEY), scanned)
    same(run(stack.unrolled().replace(remat="full"), KEY)[1], scanned[1])


@pytest.mark.parametrize("policy", ["full", "dots"])
def test_rematerialisation_keeps_less(stack, policy):
    def saved(stack):
        def loss(stack):
            return stack(X, mask=MASK)[0].sum()
        _, backward = jax.eval_shape(lambda stack: jax.vjp(loss, stack), stack)
        return sum(leaf.size for leaf in jax.tree.leaves(backward))

    assert saved(stack.replace(remat=policy)) < 0.75 * saved(stack)
    assert saved(stack.replace(remat="full")) <= saved(stack.replace(remat="dots"))
    assert POLICIES.keys() == {"none", "full", "dots", "offload"}


def test_hidden_states_begin_with_what_enters_and_end_with_what_leaves(stack):
    states, loose, y = jax.jit(lambda stack: (stack.hidden(X, mask=MASK), stack.unrolled().hidden(X, mask=MASK),
                                              stack(X, mask=MASK)[0]))(stack)
    assert states.shape == (3, 2, 6, 32)
    np.testing.assert_array_equal(states[0], X)
    np.testing.assert_allclose(states[-1], y, atol=1e-5)
    np.testing.assert_allclose(states, loose, atol=1e-4)
    assert not np.allclose(states[1], states[2], atol=0.1)


@struct.dataclass
class Drops:
    """A block that only drops, to see what each layer drops."""

    weight: jax.Array

    def __call__(self, x, *, cache=None, key=None):
        return x + dropout(jnp.ones_like(x), 0.5, key) * self.weight, cache


@pytest.mark.parametrize("unrolled", [False, True])
def test_every_layer_drops_something_else(unrolled):
    stack = Stack(Drops(jnp.asarray([1.0, 10.0])))
    dropped = (stack.unrolled() if unrolled else stack)(jnp.zeros((8, 8)), key=KEY)[0]
    assert set(np.unique(dropped)) == {0.0, 2.0, 20.0, 22.0}


def test_the_parts_of_a_block_drop_something_else_each(stack):
    """With every branch the same constant, the stream would be a multiple of one pattern if they shared a key."""
    block = jax.tree.map(lambda w: jnp.zeros_like(w[0]), stack.blocks)
    ones = block.replace(attention=block.attention.replace(out=block.attention.out.replace(bias=jnp.ones(32))),
                         mlp=block.mlp.replace(down=block.mlp.down.replace(bias=10 * jnp.ones(32))))
    y, _ = jax.jit(lambda block: block(jnp.zeros((2, 6, 32)), mask=MASK, key=KEY))(ones)
    assert set(np.round(np.unique(y), 2)) == {0.0, 1.25, 12.5, 13.75}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["t5", "llama"])
def test_the_core_of_every_attention_can_be_swapped(name):
    model, called = sharp(SPECS[name]), []
    tokens = np.arange(12).reshape(2, 6)

    def core(*given):
        called.append(given)
        return fused(*given)

    run = jax.jit(lambda model: model(tokens, tokens[:, ::-1]) if name == "t5" else model(tokens))
    swapped = edit(model, Attention, lambda attention: attention.replace(core=core))
    want = run(model)
    np.testing.assert_allclose(run(swapped), want, atol=1e-5 * float(abs(want).max()))
    assert len(called) == (3 if name == "t5" else 1)  # a scan traces its block once
