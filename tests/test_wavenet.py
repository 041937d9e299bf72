"""WaveNet hears the past alone, goes on sample by sample as it would have all at once, and in the same time each."""
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import sharp

from transformer.bench.sound import sound
from transformer.convolution import Causal
from transformer.decoding import Beams, Greedy, Sample, generate
from transformer.mistakes import Mistake
from transformer.models.wavenet import Size, WaveNet
from transformer.weights import initialise

SIZE = Size(vocab=12, layers=5, cycle=3, embed=8, gate=6, skip=10)
MODEL = sharp(WaveNet.of(SIZE))
TOLD = sharp(WaveNet.of(Size(**{**vars(SIZE), "condition": 3})), seed=1)
TOKENS = np.random.default_rng(0).integers(0, 12, (3, 20))
answered = jax.jit(lambda model, tokens, condition=None: model(tokens, condition=condition))
decoded = jax.jit(lambda model, tokens, memory, present=None: model.decode(tokens, memory, present))


@pytest.mark.parametrize(("width", "dilation"), [(2, 1), (2, 4), (3, 2)])
def test_a_causal_convolution_is_a_sum_over_the_past(width, dilation):
    layer = Causal(jax.random.normal(jax.random.key(0), (width, 3, 4)), jnp.arange(4.0), dilation)
    x = np.random.default_rng(1).normal(size=(2, 9, 3)).astype(np.float32)
    expected = np.tile(np.arange(4.0), (2, 9, 1))
    for t in range(9):
        for tap in range(width):
            before = t - (width - 1 - tap) * dilation
            if before >= 0:
                expected[:, t] += x[:, before] @ np.asarray(layer.kernel[tap])
    np.testing.assert_allclose(layer(x), expected, atol=1e-5)
    recent, pieces = layer.start(2), []
    for at, steps in ((0, 1), (1, 4), (5, 1), (6, 2), (8, 1)):
        y, recent = layer.go_on(x[:, at:at + steps], recent)
        pieces.append(y)
    np.testing.assert_allclose(np.concatenate(pieces, 1), expected, atol=1e-5)
    assert recent.steps.shape == (2, (width - 1) * dilation + 1, 3)


def test_the_future_has_a_gradient_of_exactly_zero_and_the_past_as_far_as_it_reaches_has_not():
    table = MODEL.tokens.table

    def seen(streams):
        x = streams
        answer = 0.0
        for block in MODEL.blocks:
            x, said = block(x, block.heard(x), None)
            answer = answer + said
        return MODEL._answer(answer)[0]

    slopes = np.abs(jax.jacrev(seen)(table[TOKENS[:1]])).sum((1, 2, 4))
    assert MODEL.reach == 1 + 1 + 2 + 4 + 1 + 2
    assert (np.triu(slopes, 1) == 0).all()
    distance = np.arange(20)[:, None] - np.arange(20)
    assert (slopes[distance >= MODEL.reach] == 0).all() and slopes[(distance >= 0) & (distance < MODEL.reach)].min() > 0


@pytest.mark.parametrize("pieces", [(20,), (1,) * 20, (7, 1, 1, 8, 3)])
def test_decoding_in_pieces_equals_the_whole(pieces):
    memory, found, at = MODEL.start(3, 20), [], 0
    for steps in pieces:
        logits, memory = decoded(MODEL, TOKENS[:, at:at + steps], memory)
        found.append(logits)
        at += steps
    np.testing.assert_allclose(np.concatenate(found, 1), answered(MODEL, TOKENS), atol=2e-5)


@pytest.mark.parametrize("steps", [1, 20])
def test_what_it_is_told_is_heard_in_time(steps):
    condition = np.random.default_rng(2).normal(size=(3, steps, 3)).astype(np.float32)
    whole = answered(TOLD, TOKENS, condition)
    assert np.abs(whole - answered(TOLD, TOKENS, condition[::-1])).max() > 0.1
    memory, found = TOLD.start(jnp.asarray(condition), 20), []
    for at in range(0, 20, 4):
        logits, memory = decoded(TOLD, TOKENS[:, at:at + 4], memory)
        found.append(logits)
    np.testing.assert_allclose(np.concatenate(found, 1), whole, atol=2e-5)


@pytest.mark.slow
@pytest.mark.parametrize("strategy", [Greedy(), Sample(0.8), Beams(2)])
def test_ragged_prompts_go_on_as_each_alone(strategy):
    prompts = [TOKENS[0, :3].tolist(), TOKENS[1, :9].tolist(), TOKENS[2, :1].tolist()]
    keys = jax.random.split(jax.random.key(5), 3)
    together = generate(MODEL, prompts, most=6, strategy=strategy, key=keys)
    for row, prompt in enumerate(prompts):
        assert generate(MODEL, [prompt], most=6, strategy=strategy, key=keys[row:row + 1]).texts()[0] == together.texts()[row]


def test_generating_equals_choosing_from_the_whole_each_time():
    (text,), = generate(MODEL, [TOKENS[0, :4].tolist()], most=8).texts()
    tokens = TOKENS[0, :4].tolist()
    for _ in range(8):
        tokens.append(int(answered(MODEL, np.asarray([tokens]))[0, -1].argmax()))
    assert text == tokens[4:]


def test_thirty_layers_are_as_published():
    model = WaveNet.of(Size())
    assert model.reach == 3 * 1023 + 1 and len(model.blocks) == 30
    assert np.isfinite(answered(initialise(WaveNet.of(Size(layers=4)), jax.random.key(0)), TOKENS)).all()


def test_the_benchmark_of_sound_times_its_parts(capsys):
    sound(seconds=0.01, layers=2, rate=4000, parts=4)
    said = capsys.readouterr().out
    assert "which hears 4 samples" in said and said.count(" µs each") == 4 and "a second of sound takes" in said
    with pytest.raises(Mistake, match="make it longer"):
        sound(seconds=0.001, rate=4000)
    with pytest.raises(Mistake, match="parts is 1, but must be at least 2"):
        sound(parts=1)
