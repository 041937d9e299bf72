"""What is true of every model whatever it has learned: who influences whom, padding, packing, caches."""
import fnmatch
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import SPECS, sharp

from transformer.layers import Linear
from transformer.mistakes import Mistake
from transformer.models import bert, clip, t5, whisper
from transformer.models.modernbert import ModernBert, Size
from transformer.models.roberta import Roberta
from transformer.weights import abstract, edit, initialise, named

ROWS, LENGTH = 3, 8
MODELS = {name: sharp(spec) for name, spec in SPECS.items()}
MODELS["bert"] = MODELS["bert"].bert
DECODERS, ENCODERS, DECODING = ["gpt2", "gpt3", "llama", "palm"], ["bert", "t5"], ["gpt2", "gpt3", "llama", "palm", "t5", pytest.param("t5 1.1", marks=pytest.mark.slow)]
TOKENS = np.stack([np.random.default_rng(row).permutation(32)[:LENGTH] for row in range(ROWS)])
SOURCE = 32 + TOKENS[::-1]  # no token is both in a source and in a target
SOURCE_PRESENT = np.arange(LENGTH) < np.asarray([[8], [5], [3]])
AT = np.broadcast_to(np.arange(LENGTH), (ROWS, LENGTH))


@jax.jit
def encoded(model: Any, tokens: Any, positions: Any, present: Any, segments: Any) -> jax.Array:
    """Logits of a decoder, vectors of an encoder."""
    run = model.encode if hasattr(model, "encode") else model
    return run(tokens, positions=positions, present=present, segments=segments)


@jax.jit
def answered(model: Any, tokens: Any) -> jax.Array:
    """Logits of a decoder by itself, or given the sources."""
    return model(SOURCE, tokens, present=SOURCE_PRESENT) if hasattr(model, "encode") else model(tokens)


@jax.jit
def begun(model: Any) -> Any:
    length = LENGTH + 4
    if hasattr(model, "encode"):
        return model.start(model.encode(SOURCE, present=SOURCE_PRESENT), length, SOURCE_PRESENT)
    return model.start(ROWS, length)


continued = jax.jit(lambda model, tokens, memory, present: model.decode(tokens, memory, present))


def everything(**changes: Any) -> list[Any]:
    given = {"tokens": TOKENS, "positions": AT, "present": np.ones((ROWS, LENGTH), bool), "segments": np.ones((ROWS, LENGTH), int)}
    return list((given | changes).values())


def influence(stream: Any, model: Any, tokens: Any) -> np.ndarray:
    """How strongly each position of a stream hangs on each token, by gradient: [positions, tokens]."""
    direction = np.random.default_rng(0).normal(size=32).astype(np.float32)

    def seen(table):
        return stream(model.replace(tokens=model.tokens.replace(table=table))) @ direction

    return np.linalg.norm(jax.jit(jax.jacrev(seen))(model.tokens.table)[:, tokens], axis=-1)


@pytest.mark.parametrize("name", ["gpt2", *(pytest.param(name, marks=pytest.mark.slow) for name in ("llama", "palm"))])
def test_a_decoder_never_looks_ahead_nor_into_another_document(name):
    tokens, segments = TOKENS[:1], np.asarray([[1, 1, 1, 2, 2, 2, 2, 2]])
    positions = np.asarray([[0, 1, 2, 0, 1, 2, 3, 4]])
    got = influence(lambda model: model.hidden(tokens, segments=segments, positions=positions)[0], MODELS[name], tokens[0])
    may = np.tril(segments[0][:, None] == segments[0][None])
    assert (got[~may] == 0).all() and (got[may] > 1e-5).all()


def test_bert_looks_both_ways_but_not_into_another_document():
    tokens, segments = TOKENS[:1], np.asarray([[1, 1, 1, 2, 2, 2, 2, 2]])
    got = influence(lambda model: model.encode(tokens, segments=segments)[0], MODELS["bert"], tokens[0])
    may = segments[0][:, None] == segments[0][None]
    assert (got[~may] == 0).all() and (got[may] > 1e-5).all()


def test_t5_learns_its_queries_as_much_slower_as_they_are_born_smaller():
    size = t5.Size(64, 1, 256, 4, 64, 64)
    born = {name: float(np.std(w)) for name, w in named(initialise(t5.T5.of(size), jax.random.key(0))).items() if w.size > 1}
    rates = t5.rates(size)
    assert all(fnmatch.filter(born, pattern) for pattern in rates)
    queries = fnmatch.filter(born, "*query.kernel")
    assert len(queries) == 3
    for name in queries:
        assert born[name] / born[name.replace("query", "key")] == pytest.approx(rates["*query.kernel"], rel=0.05)


def test_t5_reads_both_ways_what_is_there_and_writes_from_the_past_alone():
    source, target = SOURCE[1:2], TOKENS[:1]
    present = SOURCE_PRESENT[1:2]

    def streams(model):
        return jnp.concatenate([model.encode(source, present=present)[0, :5], model.hidden(source, target, present=present)[0]])

    got = influence(streams, MODELS["t5"], np.concatenate([source[0], target[0]]))
    may = np.zeros((5 + LENGTH, 2 * LENGTH), bool)
    may[:, :5], may[5:, LENGTH:] = True, np.tril(np.ones((LENGTH, LENGTH), bool))
    assert (got[~may] == 0).all() and (got[may] > 1e-5).all()


@pytest.mark.parametrize("name", [*DECODERS, *ENCODERS])
def test_no_row_sees_another_and_padding_is_seen_by_nobody(name):
    model, plain = MODELS[name], encoded(MODELS[name], *everything())
    np.testing.assert_allclose(encoded(model, *everything(tokens=TOKENS[[2, 0, 1]])), plain[np.asarray([2, 0, 1])], atol=1e-5)
    present = np.arange(LENGTH) < np.asarray([[5], [8], [3]])
    padded, otherwise = (encoded(model, *everything(present=present, tokens=np.where(present, TOKENS, pad))) for pad in (0, 33))
    np.testing.assert_array_equal(padded[present], otherwise[present])
    # The first row, cut to its five tokens, with rows of another length beside it.
    short = encoded(model, *(x[:1, :5] for x in everything()))
    np.testing.assert_allclose(padded[0, :5], short[0], atol=1e-5)
    assert np.allclose(padded[0, :5], plain[0, :5], atol=1e-5) == (name in DECODERS)


@pytest.mark.parametrize("name", [*DECODERS, *ENCODERS])
def test_a_packed_document_is_as_if_alone(name):
    model = MODELS[name]
    segments, positions = np.asarray([[1, 1, 1, 2, 2, 2, 2, 2]] * ROWS), np.asarray([[0, 1, 2, 0, 1, 2, 3, 4]] * ROWS)
    packed = encoded(model, *everything(segments=segments, positions=positions))
    changed = encoded(model, *everything(segments=segments, positions=positions,
                                         tokens=np.where(segments == 1, (TOKENS + 7) % 32, TOKENS)))
    np.testing.assert_array_equal(changed[:, 3:], packed[:, 3:])
    assert not np.allclose(changed[:, :3], packed[:, :3])
    alone = encoded(model, *(x[:1] for x in everything(tokens=np.roll(TOKENS, -3, 1), present=AT < 5)))
    np.testing.assert_allclose(packed[0, 3:], alone[0, :5], atol=1e-5)


@pytest.mark.parametrize("kinds", [0, 2])
def test_only_who_has_a_table_of_sentence_kinds_tells_them_apart(kinds):
    model = sharp(ModernBert.of(Size(vocab=64, layers=1, embed=16, heads=2, mlp=24, kinds=kinds)))
    one, other, unsaid = (model.encode(TOKENS, kinds=given) for given in (jnp.zeros((ROWS, LENGTH), int), jnp.ones((ROWS, LENGTH), int), None))
    assert np.allclose(one, other, atol=1e-3) == (kinds == 0)
    np.testing.assert_array_equal(one, unsaid)


@pytest.mark.parametrize("name", ENCODERS)
def test_without_positions_an_encoder_knows_no_order(name):
    order, nowhere = np.random.default_rng(1).permutation(LENGTH), np.zeros((ROWS, LENGTH), int)
    plain, permuted = (encoded(MODELS[name], *everything(tokens=tokens, positions=nowhere)) for tokens in (TOKENS, TOKENS[:, order]))
    np.testing.assert_allclose(permuted, plain[:, order], atol=1e-5)
    assert not np.allclose(encoded(MODELS[name], *everything(tokens=TOKENS[:, order])), encoded(MODELS[name], *everything())[:, order], atol=1e-2)


@pytest.mark.slow
@pytest.mark.parametrize("name", DECODING)
def test_decoding_in_pieces_equals_the_whole(name):
    model = MODELS[name]
    memory, pieces = begun(model), []
    for piece in np.split(TOKENS, [1, 4, 7], axis=1):
        logits, memory = continued(model, piece, memory, np.ones(piece.shape, bool))
        pieces.append(logits)
    whole = answered(model, TOKENS)
    assert whole.dtype == jnp.float32
    np.testing.assert_allclose(np.concatenate(pieces, 1), whole, atol=2e-5 * abs(whole).max())


@pytest.mark.parametrize("name", DECODING)
def test_ragged_prompts_decode_as_each_row_alone(name):
    """A full prompt, one padded on the left, one on the right: what lies in a hole changes nothing."""
    model = MODELS[name]
    present = np.ones((ROWS, 7), bool)
    present[1, :2] = present[2, 1:3] = False
    given = np.full((ROWS, 7), 63)
    for row in range(ROWS):
        given[row, present[row]] = TOKENS[row, : present[row].sum()]
    memory, pieces = begun(model), []
    for piece in ([0, 1, 2], [3], [4, 5, 6]):
        logits, memory = continued(model, given[:, piece], memory, present[:, piece])
        pieces.append(logits)
    got, whole = np.concatenate(pieces, 1), np.asarray(answered(model, TOKENS))
    for row in range(ROWS):
        want = whole[row, : present[row].sum()]
        np.testing.assert_allclose(got[row, present[row]], want, atol=2e-5 * abs(want).max())


@pytest.mark.parametrize("name", ["gpt2", *(pytest.param(name, marks=pytest.mark.slow) for name in ("llama", "palm", "t5"))])
def test_an_unrolled_model_answers_and_decodes_the_same(name):
    model = MODELS[name]
    loose = model.replace(decoder=model.decoder.replace(blocks=model.decoder.blocks.unrolled())) if name == "t5" else \
        model.replace(blocks=model.blocks.unrolled())
    memory, pieces = begun(loose), []
    for piece in np.split(TOKENS, 2, axis=1):
        logits, memory = continued(loose, piece, memory, np.ones(piece.shape, bool))
        pieces.append(logits)
    whole = answered(model, TOKENS)
    np.testing.assert_allclose(np.concatenate(pieces, 1), whole, atol=2e-5 * abs(whole).max())


def test_keys_and_values_of_the_source_are_computed_once_in_start():
    model = MODELS["t5"]
    memory = begun(model)
    keys = model.decoder.blocks.blocks.cross.key
    forgetful = edit(model, Linear, lambda linear: jax.tree.map(lambda w: w * np.nan, linear) if linear is keys else linear)
    step = TOKENS[:, :1], memory, np.ones((ROWS, 1), bool)
    np.testing.assert_array_equal(continued(forgetful, *step)[0], continued(model, *step)[0])
    assert jnp.isnan(begun(forgetful).blocks.source[0]).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gpt2", "llama", "palm", "t5"])
def test_every_weight_matters(name):
    """A part that is built but never called, or a scale that is never used, has no gradient."""
    def loss(model):
        logits = model(SOURCE, TOKENS, present=SOURCE_PRESENT) if name == "t5" else model(TOKENS)
        return (logits * jnp.sin(jnp.arange(logits.size, dtype=jnp.float32)).reshape(logits.shape)).sum()

    gradients = jax.jit(jax.grad(loss))(MODELS[name])
    for path, gradient in named(gradients).items():
        # Softmax does not see what all keys have in common.
        assert float(abs(gradient).max()) > 1e-4 or path.endswith("attention.key.bias"), path


@pytest.mark.parametrize("spec", [
    Roberta.of(bert.Size(64, 8, 1, 1, 16, 2, 24)),  # two of its eight positions are not for real tokens
    clip.Text.of(clip.TextSize(64, 6, 1, 16, 2, 24), None), whisper.Whisper.of(whisper.Size(64, 4, 6, 6, 1, 16, 2, 24))])
def test_rows_longer_than_there_are_positions_are_refused(spec):
    row = np.ones((1, 13, 4)) if isinstance(spec, whisper.Whisper) else np.ones((1, 13), int)
    with pytest.raises(Mistake, match="the model has 6: cut them"):
        jax.eval_shape(type(spec).encode, abstract(spec), row)
