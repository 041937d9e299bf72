"""Recurrent cells against loops in 64 bits and against PyTorch; padding; the two attentions."""
import dataclasses
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import sharp

from transformer.recurrent import GRU, LSTM, Additive, BothWays, Multiplicative, glance, through

RECORDED = np.load(Path(__file__).parent / "reference" / "recurrent.npz")
RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(3, 6, 5)).astype(np.float32)
PRESENT = np.arange(6) < np.asarray([[6], [4], [1]])


@dataclasses.dataclass(frozen=True)
class Size:
    embed: int = 5
    state: int = 4
    memory: int = 8
    align: int = 7


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def looped(cell, row):
    """One row, moment by moment, in 64 bits: all that is said, and the last state."""
    weights = {name: np.asarray(w, np.float64) for name, w in (
        ("in", cell.input.kernel), ("bias", cell.input.bias), ("inner", cell.inner.kernel))}
    said, kept, all_said = np.zeros(4), np.zeros(4), []
    for x in row.astype(np.float64):
        read = np.einsum("d,dgs->gs", x, weights["in"]) + weights["bias"]
        inner = np.einsum("d,dgs->gs", said, weights["inner"])
        if isinstance(cell, LSTM):
            enter, forget, new, out = read + inner
            kept = sigmoid(forget) * kept + sigmoid(enter) * np.tanh(new)
            said = sigmoid(out) * np.tanh(kept)
        else:
            inner = inner + np.asarray(cell.inner.bias, np.float64)
            reset, update = sigmoid(read[:2] + inner[:2])
            said = (1 - update) * np.tanh(read[2] + reset * inner[2]) + update * said
        all_said.append(said)
    return np.stack(all_said), (said, kept) if isinstance(cell, LSTM) else (said,)


@pytest.mark.parametrize("kind", [LSTM, GRU])
@pytest.mark.parametrize("backwards", [False, True])
def test_a_cell_is_the_loop_it_stands_for(kind, backwards):
    cell = sharp(kind.of(Size()))
    said, last = through(cell, jnp.asarray(X), present=jnp.asarray(PRESENT), backwards=backwards)
    for row, there in enumerate(PRESENT):
        order = slice(None, None, -1 if backwards else 1)
        want, state = looped(cell, X[row][there][order])
        np.testing.assert_allclose(said[row][there], want[order], atol=1e-5)
        for got, one in zip(last, state, strict=True):
            np.testing.assert_allclose(got[row], one, atol=1e-5)


@pytest.mark.parametrize("kind", [LSTM, GRU])
def test_a_cell_goes_on_where_it_stopped_and_padding_on_the_left_is_nothing(kind):
    cell = sharp(kind.of(Size()))
    said, last = through(cell, jnp.asarray(X))
    first, state = through(cell, jnp.asarray(X[:, :2]))
    second, again = through(cell, jnp.asarray(X[:, 2:]), state)
    np.testing.assert_allclose(np.concatenate([first, second], 1), said, atol=1e-6)
    padded = np.concatenate([RANDOM.normal(size=(3, 2, 5)), X], 1).astype(np.float32)
    _, late = through(cell, jnp.asarray(padded), present=jnp.broadcast_to(jnp.arange(8) >= 2, (3, 8)))
    for one, two, three in zip(last, again, late, strict=True):
        np.testing.assert_allclose(one, two, atol=1e-6)
        np.testing.assert_allclose(one, three, atol=1e-6)


@pytest.mark.parametrize("kind", [LSTM, GRU])
def test_both_ways_is_what_pytorch_says(kind):
    name = kind.__name__

    def cell(suffix):
        of = {key: RECORDED[f"{name}.{key}_l0{suffix}"] for key in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")}
        blank, gates = kind.of(Size()), len(of["bias_ih"]) // 4
        split = {key: value.reshape(gates, 4, -1).transpose(2, 0, 1) if value.ndim == 2 else value.reshape(gates, 4)
                 for key, value in of.items()}
        inner = blank.inner.replace(kernel=split["weight_hh"], bias=None if kind is LSTM else split["bias_hh"])
        bias = split["bias_ih"] + (split["bias_hh"] if kind is LSTM else 0)
        return jax.tree.map(jnp.asarray, kind(blank.input.replace(kernel=split["weight_ih"], bias=bias), inner))

    said, (ahead, behind) = BothWays(cell(""), cell("_reverse"))(jnp.asarray(RECORDED["x"]), jnp.asarray(RECORDED["present"]))
    np.testing.assert_allclose(np.where(RECORDED["present"][..., None], said, 0), RECORDED[f"{name}.said"], atol=1e-6)
    for place, pair in enumerate(zip(ahead, behind, strict=True)):
        np.testing.assert_allclose(np.stack(pair), RECORDED[f"{name}.last{place}"], atol=1e-6)


def scored(attention, query, word):
    """One query and one word, in 64 bits."""
    query, word = query.astype(np.float64), word.astype(np.float64)
    if isinstance(attention, Additive):
        felt = query @ np.asarray(attention.query.kernel) + word @ np.asarray(attention.key.kernel) + np.asarray(attention.key.bias)
        return np.tanh(felt) @ np.asarray(attention.judge)
    return query @ (word if attention.key is None else word @ np.asarray(attention.key.kernel))


@pytest.mark.parametrize("spec, width", [(Additive.of(Size()), 4), (Multiplicative.of(Size()), 4), (Multiplicative(), 8)])
def test_attention_is_the_double_loop_it_stands_for(spec, width):
    attention = sharp(spec)
    query, memory = (RANDOM.normal(size=shape).astype(np.float32) for shape in ((3, 2, width), (3, 6, 8)))
    told, weights = glance(attention.score(jnp.asarray(query), attention.remember(jnp.asarray(memory))),
                           jnp.asarray(memory), jnp.asarray(PRESENT))
    for row in range(3):
        there = memory[row][PRESENT[row]]
        for at in range(2):
            scores = np.exp([scored(attention, query[row, at], word) for word in there])
            want = scores / scores.sum()
            np.testing.assert_allclose(weights[row, at][PRESENT[row]], want, atol=1e-5)
            np.testing.assert_allclose(told[row, at], want @ there, atol=1e-5)
    assert (np.asarray(weights)[~np.broadcast_to(PRESENT[:, None], weights.shape)] == 0).all()


def test_where_nothing_is_present_nothing_is_told():
    told, weights = glance(jnp.zeros((1, 1, 2)), jnp.ones((1, 2, 3)), jnp.zeros((1, 2), bool))
    assert (np.asarray(told) == 0).all() and (np.asarray(weights) == 0).all()
