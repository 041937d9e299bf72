import io

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import SPECS, sharp

from transformer import masks
from transformer.attention import Attention, attend, fused, weigh
from transformer.looking import attention_maps, draw_attention, draw_masks, hidden_states, weights_of
from transformer.stack import Stack
from transformer.weights import edit

TOKENS = np.random.default_rng(1).integers(1, 64, (3, 10)).astype(np.int32)
TARGET = TOKENS[:, ::-1][:, :7]
MODELS = {name: sharp(spec) for name, spec in SPECS.items()}
maps_of, states_of = jax.jit(attention_maps), jax.jit(hidden_states)


def inputs_of(name):
    return (TOKENS, TARGET) if name.startswith("t5") else (TOKENS,)


@pytest.fixture(scope="module", params=SPECS)
def looked(request):
    return request.param, maps_of(MODELS[request.param], *inputs_of(request.param))


def test_every_attention_is_there_by_name(looked):
    name, maps = looked
    self_attention = {"bert": "bert.attention"}.get(name, "attention")
    expected = {self_attention: (2, 3, 4, 10, 10)}
    if name.startswith("t5"):
        expected = {"encoder.attention": (2, 3, 4, 10, 10), "decoder.attention": (2, 3, 4, 7, 7),
                    "decoder.cross": (2, 3, 4, 7, 10)}
    assert {name: weights.shape for name, weights in maps.items()} == expected


def test_rows_sum_to_one(looked):
    for weights in looked[1].values():
        np.testing.assert_allclose(weights.sum(-1), 1, atol=1e-5)
        assert weights.min() >= 0


def test_nobody_looks_ahead_in_a_decoder(looked):
    for name, weights in looked[1].items():
        ahead = np.triu(np.asarray(weights), 1)
        assert (ahead.max() < 1e-6) == (name in ("attention", "decoder.attention"))


@pytest.mark.parametrize("name", ["gpt2", "llama"])
def test_maps_are_what_each_layer_weighs(name):
    """By hand, from the stream that enters each layer of the model as it is."""
    model = MODELS[name]
    maps, states = maps_of(model, TOKENS)["attention"], states_of(model, TOKENS)["blocks"]
    rotate = model.rotary(jnp.arange(10)[None]) if name == "llama" else lambda x: x
    for layer, block in enumerate(model.blocks.unrolled().blocks):
        x = block.attention_norm(states[layer])
        by_hand = weigh(rotate(block.attention.query(x)), rotate(block.attention.key(x)), masks.causal(10))
        np.testing.assert_allclose(maps[layer], by_hand, atol=1e-5)


def test_states_end_where_the_model_does():
    for name in ("gpt2", "llama"):
        model = MODELS[name]
        states = states_of(model, TOKENS)["blocks"]
        assert states.shape == (3, 3, 10, 32)
        np.testing.assert_allclose(model.logits(model.norm(states[-1])), model(TOKENS), atol=1e-4)


@pytest.mark.slow
def test_states_of_both_sides():
    model = MODELS["t5"]
    states = states_of(model, TOKENS, TARGET)
    shapes = {name: x.shape for name, x in states.items()}
    assert shapes == {"encoder.blocks": (3, 3, 10, 32), "decoder.blocks": (3, 3, 7, 32)}
    # The decoder read what the encoder's blocks left.
    np.testing.assert_allclose(model.decoder.norm(states["decoder.blocks"][-1]), model.hidden(TOKENS, TARGET), atol=1e-4)


def test_however_a_model_runs_it_looks_the_same():
    model = MODELS["gpt2"]
    plain = maps_of(model, TOKENS)["attention"]
    for other in (edit(model, Stack, lambda stack: stack.unrolled()),
                  edit(model, Stack, lambda stack: stack.replace(remat="full")),
                  edit(model, Attention, lambda attention: attention.replace(core=fused))):
        np.testing.assert_allclose(maps_of(other, TOKENS)["attention"], plain, atol=1e-5)


def test_context_reaches_the_model():
    present = np.arange(10)[None] < np.array([10, 6, 3])[:, None]
    for name, attention in (("gpt2", "attention"), ("bert", "bert.attention"), ("t5", "decoder.cross")):
        weights = maps_of(MODELS[name], *inputs_of(name), present=present)[attention]
        assert np.asarray(weights)[:, 1, :, :, 6:].max() == 0
        np.testing.assert_allclose(weights[:, 1, :, :6, :6].sum(-1), 1, atol=1e-5)


@pytest.mark.parametrize("length", [3, 8, 11])
def test_any_core_says_what_it_weighs(length):
    """Also one that weighs otherwise, groups of heads, keys fewer than channels or more, and rows that see nothing."""
    q, k, v = np.random.default_rng(0).normal(size=(3, 2, length, 4, 4)).astype(np.float32)
    k, v = k[:, :, :2], v[:, :, :2]
    mask = masks.causal(length) & masks.keys(jnp.arange(length)[None] > 0)

    def calm(q, k, v, mask, bias, scale, drop):
        return attend(q, k, v, mask, bias, scale / 3, drop)

    of = jax.jit(weights_of, static_argnums=0)
    np.testing.assert_allclose(of(attend, q, k, v, mask), weigh(q, k, mask), atol=1e-6)
    np.testing.assert_array_equal(of(attend, q, k, v, mask)[:, :, 0], 0)
    np.testing.assert_allclose(of(calm, q, k, v, mask, None, 1.5), weigh(q, k, mask, scale=0.5), atol=1e-6)


def test_masks_are_drawn_as_squares():
    figure = draw_masks({"causal": masks.causal(4), "padding": masks.keys(jnp.arange(4)[None] < 2)}, tokens="abcd")
    causal, padding = (np.asarray(axes.images[0].get_array()) for axes in figure.axes)
    np.testing.assert_array_equal(causal, np.tril(np.ones((4, 4), bool)))
    np.testing.assert_array_equal(padding, np.tile([True, True, False, False], (4, 1)))
    assert [axes.get_title() for axes in figure.axes] == ["causal", "padding"]
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == list("abcd")


def test_attention_is_drawn_with_its_words_and_frames():
    weights = jnp.eye(3, 5)
    figure = draw_attention({str(head): weights for head in range(5)}, "xyz", "abcde", marked=[weights > 0])
    drawn = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title() for axes in drawn] == ["0", "1", "2", "3", "4"]
    assert [len(axes.patches) for axes in drawn] == [3, 0, 0, 0, 0]
    assert [label.get_text() for label in drawn[0].get_yticklabels()] == list("xyz")
    assert [label.get_text() for label in drawn[0].get_xticklabels()] == list("abcde")
    figure.savefig(file := io.BytesIO())
    assert file.tell() > 1000
