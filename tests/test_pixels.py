"""PixelCNN and PixelRNN: each pixel from all those before it and none after, at once or one by one."""
import jax
import numpy as np
import pytest
from tiny import sharp

from transformer.decoding import Sample, generate
from transformer.mistakes import Mistake
from transformer.models import pixelcnn, pixelrnn

HEIGHT, WIDTH = 4, 5
CNN = sharp(pixelcnn.PixelCNN.of(pixelcnn.Size(vocab=7, height=HEIGHT, width=WIDTH, layers=3, embed=8, around=3, above=2, left=2)))
RNN = sharp(pixelrnn.PixelRNN.of(pixelrnn.Size(vocab=7, height=HEIGHT, width=WIDTH, layers=2, state=8, left=2)))
BOTH = pytest.mark.parametrize("model", [CNN, RNN], ids=["cnn", "rnn"])
TOKENS = np.concatenate([np.full((3, 1), 6), np.random.default_rng(0).integers(0, 6, (3, HEIGHT * WIDTH))], 1)
answered = jax.jit(lambda model, tokens: model(tokens))
decoded = jax.jit(lambda model, tokens, memory, present=None: model.decode(tokens, memory, present))


def influence(model):
    """How strongly the telling of each pixel hangs on each pixel [told, seen], by gradient."""
    tokens = np.arange(HEIGHT * WIDTH + 1)[None]  # every pixel a level of its own

    def seen(table):
        return model.replace(tokens=model.tokens.replace(table=table)).hidden(tokens[:, :-1])[0]

    table = jax.random.normal(jax.random.key(0), (HEIGHT * WIDTH + 1, 8))
    return np.abs(jax.jit(jax.jacrev(seen))(table)).sum((1, 3))[:, 1:]


@BOTH
def test_no_pixel_sees_itself_or_what_comes_after(model):
    slopes = influence(model)
    assert (np.triu(slopes) == 0).all()


def test_nothing_before_a_pixel_is_out_of_sight():
    deep = sharp(pixelcnn.PixelCNN.of(pixelcnn.Size(vocab=7, height=HEIGHT, width=WIDTH, layers=6, embed=8, around=3, above=2, left=2)))
    slopes = influence(deep)
    assert (slopes[np.tril_indices(HEIGHT * WIDTH, -1)] > 0).all()


def test_a_row_lstm_sees_a_triangle_above_and_what_is_near_on_its_left():
    slopes = influence(RNN)
    at = 2 * WIDTH + 2
    assert slopes[at, WIDTH + 2] > 0 and slopes[at, 2] > 0 and slopes[at, at - 1] > 0 and slopes[at, at - 2] > 0


@BOTH
@pytest.mark.parametrize("pieces", [(HEIGHT * WIDTH,), (1,) * HEIGHT * WIDTH, (7, 1, 9, 3)])
def test_decoding_in_pieces_equals_the_whole(model, pieces):
    memory, found, at = model.start(3, HEIGHT * WIDTH), [], 0
    for steps in pieces:
        logits, memory = decoded(model, TOKENS[:, at:at + steps], memory)
        found.append(logits)
        at += steps
    np.testing.assert_allclose(np.concatenate(found, 1), answered(model, TOKENS[:, :-1]), atol=2e-5)


@pytest.mark.slow
@BOTH
def test_what_is_begun_is_finished_as_each_alone(model):
    prompts = [TOKENS[0, :4].tolist(), TOKENS[1, :9].tolist(), TOKENS[2, :1].tolist()]
    keys = jax.random.split(jax.random.key(1), 3)
    together = generate(model, prompts, most=11, strategy=Sample(0.9), key=keys)
    for row, prompt in enumerate(prompts):
        alone = generate(model, [prompt], most=11, strategy=Sample(0.9), key=keys[row:row + 1])
        assert alone.texts()[0] == together.texts()[row]


@BOTH
def test_an_image_has_an_end(model):
    with pytest.raises(Mistake, match="but the model has 21"):
        generate(model, [[6]], most=21)
