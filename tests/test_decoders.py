"""What sets the decoders apart, and what they are all trained on."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import SPECS, sharp

from transformer.attention import weigh
from transformer.data.examples import example, shifted
from transformer.data.tokenizers import split_words
from transformer.layers import LayerNorm
from transformer.losses import next_token_right

TOKENS = np.random.default_rng(0).integers(0, 64, (2, 12))


def test_a_sentence_is_learned_word_by_word_from_what_came_before():
    """Of [START] The cat sat: [START] -> The; [START] The -> cat; [START] The cat -> sat."""
    words = ["[START]", *split_words("The cat sat")]
    row = example(shifted(np.arange(4)[None]), 0)
    pairs = [([words[token] for token in row["tokens"][: at + 1]], words[row["targets"][at]]) for at in range(3)]
    assert pairs == [(["[START]"], "The"), (["[START]", "The"], " cat"), (["[START]", "The", " cat"], " sat")]
    assert row["weights"].tolist() == [1, 1, 1]


def test_a_prompt_can_weigh_nothing():
    row = example(shifted(np.arange(5)[None], np.array([[0, 0, 0, 1, 1]])), 0)
    assert row["weights"].tolist() == [0, 0, 1, 1] and row["targets"].tolist() == [1, 2, 3, 4]


def test_scores_of_llama_depend_on_how_far_apart_tokens_are():
    model = sharp(SPECS["llama"])
    attention = jax.tree.map(lambda w: w[0], model.blocks.blocks.attention)
    x = jnp.asarray(np.random.default_rng(1).normal(size=(1, 12, 32)), jnp.float32)

    def scores(start):
        rotate = model.rotary(jnp.arange(start, start + 12)[None])
        return weigh(rotate(attention.query(x)), rotate(attention.key(x)))

    np.testing.assert_allclose(scores(0), scores(500), atol=1e-4)
    rotate, same = model.rotary(jnp.arange(12)[None]), x[:, :1] + 0 * x  # one token twelve times: only the distance differs
    q, k = rotate(attention.query(same))[0, :, 0], rotate(attention.key(same))[0, :, 0]
    table = np.asarray(q @ k.T)
    assert all(np.ptp(np.diagonal(table, distance)) < 1e-4 for distance in range(-5, 6)) and np.ptp(table) > 0.1


def test_a_block_of_palm_adds_both_parts_of_one_norm():
    model = sharp(SPECS["palm"])
    block = jax.tree.map(lambda w: w[0], model.blocks.blocks)
    x = jnp.asarray(np.random.default_rng(1).normal(size=(1, 5, 32)), jnp.float32)
    y = LayerNorm(block.norm.scale, None, block.norm.epsilon)(x)
    gate = y @ block.mlp.gate.kernel
    fed = gate * jax.nn.sigmoid(gate) * (y @ block.mlp.up.kernel) @ block.mlp.down.kernel
    np.testing.assert_allclose(block(x)[0], x + block.attention(y)[0] + fed, atol=1e-4)


def test_the_cache_of_palm_is_as_many_times_smaller_as_there_are_heads():
    llama, palm = SPECS["llama"], SPECS["palm"]
    bytes_of = {name: sum(leaf.nbytes for leaf in jax.tree.leaves(sharp(spec).start(2, 16).blocks) if leaf.ndim > 1)
                for name, spec in (("llama", llama), ("palm", palm))}
    groups, heads = 2, 4
    assert bytes_of["palm"] * groups == bytes_of["llama"] and palm.blocks.blocks.attention.query.kernel.shape[-2] == heads
    assert not any(name.endswith("bias") or name.endswith("shift") for name in map(str, jax.tree_util.tree_leaves_with_path(palm)))


@pytest.mark.slow
def test_banded_layers_of_gpt3_see_a_band():
    model = sharp(SPECS["gpt3"])
    assert model.blocks.kinds == (0, 1)

    def influence(kinds):
        banded = model.replace(blocks=model.blocks.replace(kinds=kinds))

        def last(table):
            return banded.replace(tokens=banded.tokens.replace(table=table)).hidden(np.arange(12)[None])[0, -1] @ jnp.ones(32) ** 0.5

        return np.abs(jax.grad(last)(model.tokens.table)[:12]).max(-1) > 0

    assert influence((1, 1)).tolist() == [False] * 7 + [True] * 5  # two layers, two tokens back each
    assert influence((0, 1)).all()


@pytest.mark.slow
def test_right_answers_are_counted_by_group():
    model = sharp(SPECS["gpt2"])
    random = np.random.default_rng(3)
    targets = np.where(random.random(TOKENS.shape) < 0.5, np.asarray(model(TOKENS)).argmax(-1), 7)
    foil, group, weights = random.integers(0, 64, TOKENS.shape), random.integers(-1, 2, TOKENS.shape), random.random(TOKENS.shape)
    weights[0, :4] = 0
    batch = {"tokens": TOKENS, "targets": targets, "group": group, "weights": weights.astype(np.float32)}
    logits = np.asarray(model(TOKENS))

    def counted(right):
        return {name: (right[(group == number) & (weights > 0)].sum(), ((group == number) & (weights > 0)).sum())
                for number, name in enumerate(("near", "far"))}

    for given, right in ((batch, logits.argmax(-1) == targets),
                         ({**batch, "foil": foil}, np.take_along_axis(logits, targets[..., None], -1)[..., 0]
                          > np.take_along_axis(logits, foil[..., None], -1)[..., 0])):
        total, weight, metrics = next_token_right(model, given, groups=("near", "far"))
        for name, (hits, there) in counted(right).items():
            assert (metrics[f"right_{name}"][0], metrics[f"right_{name}"][1]) == (hits, there)
        nats = -np.take_along_axis(np.asarray(jax.nn.log_softmax(logits)), targets[..., None], -1)[..., 0]
        np.testing.assert_allclose(total, (nats * weights).sum(), rtol=1e-5)
        np.testing.assert_allclose(weight, weights.sum(), rtol=1e-5)
