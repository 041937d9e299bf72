"""Music Transformer: skewing puts each distance under its key, the future is unheard, and a cache changes nothing."""
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import sharp

from transformer.decoding import generate
from transformer.mistakes import Mistake
from transformer.models.music import MusicTransformer, Size

MODEL = sharp(MusicTransformer.of(Size(vocab=20, length=24, layers=2, embed=12, heads=3, mlp=16)))
TOKENS = np.random.default_rng(0).integers(0, 20, (2, 11))


def relative():
    return jax.tree.map(lambda w: w[0], MODEL.blocks.blocks).attention


def test_skewing_finds_what_looking_up_finds():
    part, q = relative(), jax.random.normal(jax.random.key(1), (2, 9, 3, 4))
    back = jnp.arange(9)[:, None] - jnp.arange(9)[None]
    skewed, looked_up = part._skewed(q), part._looked_up(q, jnp.broadcast_to(back, (2, 9, 9)))
    there = np.asarray(back >= 0)
    np.testing.assert_allclose(skewed[:, :, there], looked_up[:, :, there], atol=1e-5)
    one = q[1, 7, 2] @ part.distances[2, 7 - 3]
    np.testing.assert_allclose(skewed[1, 2, 7, 3], one, atol=1e-5)


def test_the_future_has_a_gradient_of_exactly_zero():
    def seen(x):
        return MODEL.blocks(x, mask=jnp.tril(jnp.ones((1, 11, 11), bool)))[0][0]

    slopes = np.abs(jax.jacrev(seen)(MODEL.tokens.table[TOKENS[:1]])).sum((1, 2, 4))
    assert (np.triu(slopes, 1) == 0).all() and np.tril(slopes).sum(1).min() > 0 and slopes[10].min() > 0


@pytest.mark.parametrize("pieces", [(11,), (1,) * 11, (4, 1, 1, 3, 2)])
def test_decoding_in_pieces_equals_the_whole(pieces):
    decode = jax.jit(lambda model, tokens, memory: model.decode(tokens, memory))
    memory, found, at = MODEL.start(2, 16), [], 0
    for steps in pieces:
        logits, memory = decode(MODEL, TOKENS[:, at:at + steps], memory)
        found.append(logits)
        at += steps
    np.testing.assert_allclose(np.concatenate(found, 1), MODEL(TOKENS), atol=2e-4)


def test_rows_longer_than_there_are_distances_are_refused():
    with pytest.raises(Mistake, match="need as many positions, but the model has 24"):
        MODEL(np.zeros((1, 25), np.int32))
    with pytest.raises(Mistake, match="the model has 24"):
        generate(MODEL, [[1, 2]], most=23)
