"""Lines for a decoder, and what each shape is asked: against loops over single lines."""
import jax
import numpy as np
import pytest
from tiny import sharp

from transformer.data import tokenizers
from transformer.data.examples import example
from transformer.data.pairs import prefixed
from transformer.models import bert, llama, t5
from transformer.training.columns import Lines, of_decoder, of_encoder, of_encoder_decoder

ASKED, ANSWERS = ["a b c .", "c d .", "d a b c ."], ["b", "c d", "a"]
WORDS = tokenizers.spaced([*ASKED, *ANSWERS])
LINES = Lines.of(ASKED, ANSWERS, WORDS)


def test_a_decoder_learns_the_answer_or_the_whole_line():
    start, end, pad = WORDS.start, WORDS.end, WORDS.pad
    c, d, stop = (WORDS(word)[0] for word in ("c", "d", "."))
    answer, whole = (example(prefixed(ASKED, ANSWERS, WORDS, whole=whole), 1) for whole in (False, True))
    assert answer["tokens"].tolist() == [c, d, stop, start, c, d, end] and answer["targets"].tolist() == [d, stop, start, c, d, end, pad]
    assert answer["weights"].tolist() == [0, 0, 0, 1, 1, 1, 0] and whole["weights"].tolist() == [1, 1, 1, 1, 1, 1, 0]


@pytest.mark.slow
def test_what_a_decoder_reaches_is_what_its_logits_say():
    model = sharp(llama.Llama.of(llama.Size(WORDS.size, 1, 16, 2, 2, 24)))
    nats, fills, at = [], [], LINES.hidden()
    for row, half in enumerate(LINES.halves):
        logs = np.asarray(jax.nn.log_softmax(model(LINES.tokens[row:row + 1, :half])))[0]
        nats += [-logs[place - 1, LINES.tokens[row, place]] for place in range(1, half)]
        fills.append(logs[at[row] - 1].argmax() == LINES.tokens[row, at[row]])
    got = of_decoder(model, LINES)
    np.testing.assert_allclose([got["generate"], got["fill"]], [np.mean(nats), np.mean(fills)], atol=1e-5)


@pytest.mark.slow
def test_an_encoder_generates_from_the_left_alone():
    size = bert.Size(WORDS.size, 16, 0, 1, 16, 2, 24)
    model = sharp(bert.Masked(bert.Bert.of(size), bert.MaskedHead.of(size)))
    nats = []
    for row, half in enumerate(LINES.halves):
        for place in range(1, half):
            line = LINES.tokens[row][LINES.present[row]].copy()
            truth = line[place]
            line[place:] = WORDS.mask
            nats.append(-np.asarray(jax.nn.log_softmax(model.words(model.encode(line[None]))))[0, place, truth])
    assert abs(of_encoder(model, LINES)["generate"] - np.mean(nats)) < 1e-5


@pytest.mark.slow
def test_an_encoder_decoder_reads_the_first_half():
    model = sharp(t5.T5.of(t5.Size(WORDS.size, 1, 16, 2, 8, 24)))
    got = of_encoder_decoder(model, LINES)
    start = np.asarray([[WORDS.start]])
    nats = []
    for half in LINES.first_halves():
        logs = np.asarray(jax.nn.log_softmax(model(np.zeros((1, 1), int), np.concatenate([start, half[None, :-1]], 1))))[0]
        nats += [-logs[place, half[place]] for place in range(1, len(half))]
    assert abs(got["generate"] - np.mean(nats)) < 1e-5 and "fill" not in got and 0 <= got["transduce"] <= 1
