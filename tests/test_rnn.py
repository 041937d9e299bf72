"""Sequence to sequence by recurrent cells: what it may see, and that the decoding engine runs it as it runs a transformer."""
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import sharp

from transformer.decoding.beams import Beams
from transformer.decoding.engine import generate
from transformer.decoding.sampling import Sample
from transformer.models.rnn import RNN, Bahdanau, Luong, Plain, Size
from transformer.recurrent import GRU, LSTM

SIZE = Size(vocab=20, embed=8, state=6, align=5)
WRITERS = [(Plain, LSTM), (Bahdanau, LSTM), (Luong, GRU)]
SOURCE = np.random.default_rng(0).integers(3, 20, (3, 7))
TARGET = np.random.default_rng(1).integers(3, 20, (3, 5))
PRESENT = np.arange(7) < np.asarray([[7], [4], [2]])
MODELS = {writer: sharp(RNN.of(SIZE, writer, cell)) for writer, cell in WRITERS}


@pytest.mark.parametrize("writer", MODELS)
def test_token_by_token_is_as_all_at_once(writer):
    model = MODELS[writer]
    whole = model(SOURCE, TARGET, present=jnp.asarray(PRESENT))
    memory = model.start(model.encode(SOURCE, present=jnp.asarray(PRESENT)), 5, jnp.asarray(PRESENT))
    first, memory = model.decode(TARGET[:, :2], memory)
    logits = [first]
    for at in range(2, 5):
        more, memory = model.decode(TARGET[:, at:at + 1], memory)
        logits.append(more)
    np.testing.assert_allclose(jnp.concatenate(logits, 1), whole, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("writer", MODELS)
def test_it_writes_from_the_past_and_padding_is_read_by_nobody(writer):
    model = MODELS[writer]
    plain = model(SOURCE, TARGET, present=jnp.asarray(PRESENT))
    later = model(SOURCE, np.where(np.arange(5) < 3, TARGET, 4), present=jnp.asarray(PRESENT))
    np.testing.assert_array_equal(later[:, :3], plain[:, :3])
    assert not np.allclose(later[:, 3:], plain[:, 3:])
    padded = model(np.where(PRESENT, SOURCE, 5), TARGET, present=jnp.asarray(PRESENT))
    np.testing.assert_array_equal(padded, plain)
    other = model(np.where(np.arange(7) == 1, 9, SOURCE), TARGET, present=jnp.asarray(PRESENT))
    assert (np.abs(other - plain).max(-1) > 1e-6).all()


@pytest.mark.slow
@pytest.mark.parametrize("writer", MODELS)
def test_the_engine_decodes_it(writer):
    model, seen = MODELS[writer], jnp.asarray(PRESENT)
    memory, prompt = model.encode(SOURCE, present=seen), [[1], [1], [1]]
    greedy = generate(model, prompt, most=6, memory=memory, seen=seen).tokens[:, 0]
    written = np.ones((3, 1), int)
    for _ in range(6):
        logits = model(SOURCE, written, present=seen)
        written = np.concatenate([written, np.asarray(logits[:, -1:].argmax(-1))], 1)
    np.testing.assert_array_equal(greedy, written[:, 1:])
    one = generate(model, prompt, most=6, strategy=Beams(1), memory=memory, seen=seen)
    np.testing.assert_array_equal(one.tokens[:, 0], greedy)
    drawn = generate(model, prompt, most=4, strategy=Sample(count=2), key=jax.random.key(0), memory=memory, seen=seen)
    assert drawn.tokens.shape == (3, 2, 4)


@pytest.mark.slow
def test_beams_find_the_likeliest_of_all_texts():
    model, seen = MODELS[Bahdanau], jnp.asarray(PRESENT)
    memory = model.encode(SOURCE, present=seen)
    found = generate(model, [[1]] * 3, most=2, strategy=Beams(20), memory=memory, seen=seen)
    first = jax.nn.log_softmax(model(SOURCE, np.ones((3, 1), int), present=seen))[:, 0]
    pairs = np.stack([np.asarray(first)[:, word, None] + np.asarray(jax.nn.log_softmax(
        model(SOURCE, np.asarray([[1, word]] * 3), present=seen)))[:, 1] for word in range(20)], 1)
    best = pairs.reshape(3, -1).argmax(-1)
    np.testing.assert_array_equal(found.tokens[:, 0], np.stack([best // 20, best % 20], 1))


def test_attention_says_where_it_looked():
    weights = MODELS[Luong].attention(SOURCE, TARGET, jnp.asarray(PRESENT))
    np.testing.assert_allclose(weights.sum(-1), 1, atol=1e-5)
    assert (np.asarray(weights)[~np.broadcast_to(PRESENT[:, None], weights.shape)] == 0).all()
    assert MODELS[Plain].attention(SOURCE, TARGET) is None
