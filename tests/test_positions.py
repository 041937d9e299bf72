import math
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from transformer.positions import Rotary, alibi, relative_buckets, rotate, sinusoids


def test_sinusoids_interleave_as_the_paper_says():
    table = sinusoids(jnp.arange(50), 12)
    for position, channel in np.ndindex(50, 12):
        angle = position / 10_000 ** (2 * (channel // 2) / 12)
        want = math.sin(angle) if channel % 2 == 0 else math.cos(angle)
        assert abs(float(table[position, channel]) - want) < 2e-6
    assert np.allclose(sinusoids(jnp.arange(3), 4, longest=100.0)[2], [math.sin(2), math.cos(2), math.sin(0.2), math.cos(0.2)], atol=1e-6)


def test_rotary_turns_each_pair_by_its_angle():
    x = np.random.default_rng(0).normal(size=(2, 3, 2, 8)).astype(np.float32)
    positions = np.asarray([[0, 1, 2], [7, 300, 5]])
    turned = Rotary(8, theta=500.0)(jnp.asarray(positions))(x)
    for row, time, head, channel in np.ndindex(2, 3, 2, 4):
        angle = positions[row, time] * 500.0 ** (-2 * channel / 8)
        pair = complex(x[row, time, head, channel], x[row, time, head, channel + 4]) * complex(math.cos(angle), math.sin(angle))
        got = complex(turned[row, time, head, channel], turned[row, time, head, channel + 4])
        assert abs(got - pair) < 1e-4 * max(1, abs(pair))


def test_rotary_scores_know_only_the_distance():
    rotary = Rotary(16)
    q, k = (jax.random.normal(key, (1, 1, 1, 16)) for key in jax.random.split(jax.random.key(0)))

    @jax.jit
    def score(i, j):
        return jnp.vdot(rotary(i[None, None])(q), rotary(j[None, None])(k))

    scores = {distance: [float(score(jnp.asarray(i + distance), jnp.asarray(i))) for i in (0, 1, 17, 200, 1000)] for distance in (0, 1, 5, 50)}
    for same in scores.values():
        np.testing.assert_allclose(same, same[0], atol=1e-4 * float(jnp.linalg.norm(q) * jnp.linalg.norm(k)))
    assert len({round(same[0], 2) for same in scores.values()}) == 4


def test_rotary_counts_in_float32_and_answers_in_the_type_it_is_given():
    x = jnp.ones((1, 2, 1, 8), jnp.bfloat16)
    turned = Rotary(8)(jnp.asarray([[256, 257]]))(x)
    assert turned.dtype == jnp.bfloat16 and not jnp.array_equal(turned[0, 0], turned[0, 1])
    np.testing.assert_array_equal(rotate(x, jnp.zeros((1, 2, 4))), x)


def bucket(distance: int, buckets: int, reach: int, both_ways: bool) -> int:
    """The appendix's words, in whole numbers: half the buckets exact, the others up to `reach`, each a constant factor wider."""
    first = 0
    if both_ways:
        buckets //= 2
        first = buckets if distance > 0 else 0
        distance = abs(distance)
    else:
        distance = max(-distance, 0)
    exact = buckets // 2
    if distance < exact:
        return first + distance
    wider, steps = Fraction(reach, exact), buckets - exact
    # The largest n with exact * wider ** (n / steps) <= distance, compared as integer powers.
    n = max(n for n in range(steps) if wider**n <= Fraction(distance, exact) ** steps)
    return first + exact + n


@pytest.mark.parametrize(("buckets", "reach"), [(32, 128), (8, 20)])
@pytest.mark.parametrize("both_ways", [True, False])
@pytest.mark.parametrize("run", [lambda f: f, jax.jit])
def test_t5_buckets_equal_those_of_exact_arithmetic(buckets, reach, both_ways, run):
    distances = np.arange(-200, 201)
    got = run(lambda keys: relative_buckets(jnp.zeros((1, 1), int), keys, buckets, reach, both_ways))(distances[None])
    want = [bucket(int(distance), buckets, reach, both_ways) for distance in distances]
    np.testing.assert_array_equal(got[0, 0], want)
    assert len(set(want)) == (buckets - 1 if both_ways else buckets)


@pytest.mark.parametrize(
    ("heads", "slopes"),
    [(8, [2.0**-n for n in range(1, 9)]),
     (12, [2.0**-n for n in range(1, 9)] + [2.0**-0.5, 2.0**-1.5, 2.0**-2.5, 2.0**-3.5])])
def test_alibi_slopes_are_the_published_ones(heads, slopes):
    bias = alibi(jnp.asarray([[3, 9]]), jnp.arange(10)[None], heads)
    assert bias.shape == (1, heads, 2, 10)
    np.testing.assert_allclose(bias[0, :, 1, 8], -np.asarray(slopes), rtol=1e-6)
    np.testing.assert_allclose(bias[0, :, 0, :4], np.asarray(slopes)[:, None] * np.arange(-3.0, 1), rtol=1e-6)
