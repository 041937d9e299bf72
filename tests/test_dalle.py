"""DALL-E: captions are seen by all, codes along rows, columns and around; decoding equals the whole."""
import jax
import numpy as np
import pytest
from tiny import sharp

from transformer.decoding import Greedy, Sample, generate
from transformer.models.dalle import AROUND, COLUMN, ROW, DallE, Size
from transformer.weights import count

SIZE = Size(words=9, codes=7, caption=3, side=4, layers=4, embed=16, heads=2, around=3)
MODEL = sharp(DallE.of(SIZE))
TOKENS = np.concatenate([np.random.default_rng(0).integers(0, 9, (2, 3)), np.random.default_rng(1).integers(9, 16, (2, 16))], 1)


def test_the_published_layers_alternate_and_end_around():
    kinds = Size().kinds
    assert kinds[:7] == (ROW, ROW, COLUMN, ROW, ROW, ROW, COLUMN) and kinds[-1] == AROUND and len(kinds) == 64
    assert abs(count(DallE.of(Size())) - 12e9) < 0.5e9


def test_each_kind_of_layer_sees_its_part():
    at = np.arange(19)[None]
    row, column, around = (np.asarray(mask)[0] for mask in MODEL.seen(at, at))
    for mask in (row, column, around):
        assert not np.triu(mask, 1).any() and mask[:, :3][3:].all() and (mask[:3, :3] == np.tril(np.ones((3, 3)))).all()
    query = 3 + 2 * 4 + 1  # the second of the third row
    def codes(mask):
        return [divmod(int(at), 4) for at in np.flatnonzero(mask[query, 3:])]

    assert codes(row) == [(1, 2), (1, 3), (2, 0), (2, 1)]
    assert codes(column) == [(0, 1), (1, 1), (2, 1)]
    assert codes(around) == [(1, 0), (1, 1), (1, 2), (2, 0), (2, 1)]


@pytest.mark.slow
def test_decoding_in_pieces_equals_the_whole():
    whole = jax.jit(lambda model: model(TOKENS))(MODEL)
    decoded, memory, found, at = jax.jit(lambda model, tokens, memory: model.decode(tokens, memory)), MODEL.start(2, 19), [], 0
    for steps in (4, 1, 9, 5):
        logits, memory = decoded(MODEL, TOKENS[:, at:at + steps], memory)
        found.append(logits)
        at += steps
    np.testing.assert_allclose(np.concatenate(found, 1), whole, atol=2e-5)


@pytest.mark.slow
def test_an_image_follows_its_caption():
    prompts = TOKENS[:, :3].tolist()
    for strategy in (Greedy(), Sample(0.7)):
        keys = jax.random.split(jax.random.key(0), 2)
        together = generate(MODEL, prompts, most=16, strategy=strategy, key=keys)
        alone = generate(MODEL, prompts[1:], most=16, strategy=strategy, key=keys[1:])
        assert together.texts()[1] == alone.texts()[0] and len(alone.texts()[0][0]) == 16
