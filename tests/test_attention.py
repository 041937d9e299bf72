import math
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import sharp

from transformer import masks
from transformer.attention import Attention, attend, fused, weigh
from transformer.caches import Slots
from transformer.layers import dropout

B, T, S, HEAD = 2, 5, 7, 8


def by_hand(q, k, v, mask, bias, scale):
    """Attention as it is told, one query of one head at a time, in float64."""
    weights, out = np.zeros((B, q.shape[2], T, S)), np.zeros(q.shape)
    each = len(q[0, 0]) // len(k[0, 0])
    for row, head, query in np.ndindex(*weights.shape[:3]):
        seen = [key for key in range(S) if mask is None or mask[row % len(mask), query, key]]
        scores = [scale * float(np.dot(q[row, query, head].astype(float), k[row, key, head // each].astype(float)))
                  + (0.0 if bias is None else float(bias[row % len(bias), head, query, key])) for key in seen]
        for key, score in zip(seen, scores, strict=True):
            weights[row, head, query, key] = math.exp(score - max(scores)) / sum(math.exp(s - max(scores)) for s in scores)
            out[row, query, head] += weights[row, head, query, key] * v[row, key, head // each]
    return weights, out


def inputs(heads, groups):
    random = np.random.default_rng(heads * 10 + groups)
    q, k, v = (random.normal(size=(B, length, n, HEAD)).astype(np.float32) for length, n in ((T, heads), (S, groups), (S, groups)))
    mask = random.random((B, T, S)) < 0.6
    mask[:, :, 0], mask[1, 2] = True, False  # one query of one row sees nothing
    return q, k, v, mask, random.normal(size=(1, heads, T, S)).astype(np.float32)


CASES = pytest.mark.parametrize(
    ("heads", "groups", "masked", "biased", "scale"),
    [(4, 4, False, False, None), (4, 1, False, True, 0.3), (6, 2, True, True, None)])


@CASES
def test_attention_equals_a_loop_in_double_precision(heads, groups, masked, biased, scale):
    q, k, v, mask, bias = inputs(heads, groups)
    mask, bias = mask if masked else None, bias if biased else None
    weights, out = by_hand(q, k, v, mask, bias, HEAD**-0.5 if scale is None else scale)
    got_weights, got = jax.jit(lambda *a: (weigh(*a[:2], *a[3:], scale), attend(*a, scale)))(q, k, v, mask, bias)
    np.testing.assert_allclose(got_weights, weights, rtol=1e-5, atol=1e-6 * weights.max())
    np.testing.assert_allclose(got, out, atol=1e-6 * abs(out).max())
    np.testing.assert_allclose(got_weights.sum(-1), weights.sum(-1), atol=1e-6)
    assert set(np.round(weights.sum(-1).ravel(), 9)) == ({0.0, 1.0} if masked else {1.0})


@CASES
def test_the_fused_core_equals_the_plain_one(heads, groups, masked, biased, scale):
    q, k, v, mask, bias = inputs(heads, groups)
    mask, bias = mask if masked else None, bias if biased else None

    def both(core):
        def loss(q, k, v):
            out = core(q, k, v, mask, bias, scale)
            return jnp.sum(out * jnp.cos(jnp.arange(out.size, dtype=jnp.float32).reshape(out.shape))), out
        return jax.jit(jax.grad(loss, (0, 1, 2), has_aux=True))(q, k, v)

    for got, want in zip(jax.tree.leaves(both(fused)), jax.tree.leaves(both(attend)), strict=True):
        np.testing.assert_allclose(got, want, atol=2e-6 * abs(want).max())


def test_the_fused_core_refuses_to_drop():
    q, k, v, *_ = inputs(4, 4)
    with pytest.raises(ValueError, match="dropout 0"):
        fused(q, k, v, drop=lambda weights: weights)


@pytest.mark.parametrize("core", [attend, fused])
def test_who_sees_nothing_is_told_nothing_and_learns_nothing(core):
    q, k, v, mask, _ = inputs(4, 2)
    out, gradients = jax.jit(lambda *a: (core(*a, mask), jax.grad(lambda *a: jnp.square(core(*a, mask)).sum(), (0, 1, 2))(*a)))(q, k, v)
    assert not out[1, 2].any() and out[1, 3].all()
    assert all(jnp.isfinite(gradient).all() for gradient in gradients)
    assert not gradients[0][1, 2].any() and gradients[0][1, 3].any()


def test_large_scores_do_not_overflow_and_masked_ones_do_not_matter():
    q = jnp.full((1, 1, 1, 4), 200.0)
    k = jnp.asarray([1.0, 0.5, 200.0])[None, :, None, None] * jnp.ones((1, 3, 1, 4))
    np.testing.assert_allclose(weigh(q, k, jnp.asarray([[[True, True, False]]]))[0, 0, 0], [1, 0, 0], atol=1e-30)
    np.testing.assert_allclose(weigh(q, k)[0, 0, 0], [0, 0, 1], atol=1e-30)


def test_scores_are_computed_in_float32_of_whatever_comes():
    q, k, v, mask, bias = inputs(4, 2)
    halves = [jnp.asarray(x, jnp.bfloat16) for x in (q, k, v)]
    assert weigh(*halves[:2], mask, bias).dtype == jnp.float32 and attend(*halves, mask, bias).dtype == jnp.bfloat16
    # Products of two bfloat16 numbers are exact in float32, so only what goes in and comes out is rounded.
    np.testing.assert_allclose(weigh(*halves[:2], mask, bias), weigh(*(h.astype(jnp.float32) for h in halves[:2]), mask, bias), atol=1e-6)


def test_what_is_dropped_is_dropped_from_the_weights():
    q, k, v, mask, bias = inputs(4, 2)
    kept = np.arange(S) % 2 == 0
    dropped = attend(q, k, v, mask, bias, drop=lambda weights: jnp.where(kept[None, None, None], 3 * weights, 0))
    weights = np.asarray(weigh(q, k, mask, bias))
    want = np.einsum("bhts,bshk->bthk", 3 * weights * kept, np.repeat(v, 2, axis=2))
    np.testing.assert_allclose(dropped, want, rtol=1e-4, atol=1e-5)


def test_dropout_keeps_the_mean_and_drops_the_share_it_is_told():
    x = jnp.ones((100, 100))
    y = dropout(x, 0.2, jax.random.key(0))
    assert set(np.unique(y)) == {0.0, 1.25} and abs(float((y == 0).mean()) - 0.2) < 0.02
    assert dropout(x, 0.2, None) is x and dropout(x, 0.0, jax.random.key(0)) is x


def layer(**choices):
    size = SimpleNamespace(embed=16, heads=4, groups=2, head=6)
    return sharp(Attention.of(size, bias=True, groups="groups", **choices))


def test_the_layer_drops_only_with_a_key_and_takes_any_core():
    own, x = layer(dropout=0.5), np.random.default_rng(0).normal(size=(2, 5, 16)).astype(np.float32)

    @jax.jit
    def told(own, one, two):
        def run(own, key=None):
            return own(x, mask=masks.causal(5), key=key)[0]

        silent = own.replace(core=lambda *given: 0 * attend(*given))
        return {"plain": run(own), "one": run(own, one), "two": run(own, two), "undropped": run(own.replace(dropout=0.0), one),
                "fused": run(own.replace(core=fused)), "silent": run(silent), "louder": run(own.replace(scale=5.0)),
                "across": own.across(x, own.remember(x), mask=masks.causal(5))}

    got = {name: np.asarray(value) for name, value in told(own, *jax.random.split(jax.random.key(0, impl="unsafe_rbg"))).items()}
    np.testing.assert_array_equal(got["undropped"], got["plain"])
    for name in ("fused", "across"):
        np.testing.assert_allclose(got[name], got["plain"], atol=1e-5)
    np.testing.assert_allclose(got["silent"], np.broadcast_to(own.out.bias, (2, 5, 16)))
    for name, other in (("one", "two"), ("one", "plain"), ("louder", "plain")):
        assert not np.allclose(got[name], got[other], atol=1e-2)


def test_each_row_counts_its_own_positions_and_padding_leaves_holes():
    @jax.jit
    def twice(present):
        new, slots = Slots.empty(3, 8).take(present, present)
        return new, *slots.take(present[:, :2])

    one, two, slots = twice(np.asarray([[1, 1, 1], [0, 1, 1], [1, 1, 0]], bool))
    np.testing.assert_array_equal(one, [[0, 1, 2], [-1, 0, 1], [0, 1, -1]])
    np.testing.assert_array_equal(two, [[3, 4], [2, 3], [2, 3]])
    np.testing.assert_array_equal(slots.positions, [[0, 1, 2, 3, 4, -1, -1, -1], [-1, 0, 1, 2, 3, -1, -1, -1], [0, 1, -1, 2, 3, -1, -1, -1]])


def test_masks_say_who_sees_whom():
    at = jnp.arange(4)[None]
    seen = {
        "causal": masks.causal(4),
        "window": masks.window(at, at, 2),
        "both": masks.causal(4) & masks.window(at, at, 2),
        "prefix": masks.prefix(4, jnp.asarray([2])),
        "present": masks.decoder(4, present=jnp.asarray([[True, True, False, True]])),
        "segments": masks.encoder(segments=jnp.asarray([[1, 1, 2, 2]])),
    }
    drawn = {name: ["".join(".x"[int(cell)] for cell in row) for row in mask[0]] for name, mask in seen.items()}
    assert drawn == {
        "causal": ["x...", "xx..", "xxx.", "xxxx"],
        "window": ["xx..", "xxx.", ".xxx", "..xx"],
        "both": ["x...", "xx..", ".xx.", "..xx"],
        "prefix": ["xx..", "xx..", "xxx.", "xxxx"],
        "present": ["x...", "xx..", "xx..", "xx.x"],
        "segments": ["xx..", "xx..", "..xx", "..xx"],
    }
    assert not masks.before(jnp.asarray([[2]]), jnp.asarray([[-1]])).any()  # an empty slot
