"""LoRA and adapters: nothing at first, all that learns afterwards, and plain weights again in the end."""
import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from little import experiment as little

from transformer.adapters import ADDED, adapters, low_rank, merged
from transformer.mistakes import Mistake
from transformer.models import bert, gpt2, t5
from transformer.training.loop import begin, train
from transformer.training.optimizers import adamw, muon
from transformer.weights import count, holding, initialise, named

TOKENS = jnp.arange(12).reshape(2, 6)
SPECS = {
    "gpt2": gpt2.GPT2.of(gpt2.Size(32, 16, 2, 16, 2)),
    "bert": bert.TextClasses.of(bert.Bert.of(bert.Size(32, 16, 2, 2, 16, 2, 24)), dataclasses.make_dataclass(
        "Size", [("embed", int, 16), ("classes", int, 3)])()),
    "t5": t5.T5.of(t5.Size(32, 2, 16, 2, 8, 24)),
}


def answer(name, model):
    return model(TOKENS, TOKENS[:, ::-1]) if name == "t5" else model(TOKENS)


def shaken(spec, model):
    """As if what was added had learned something."""
    def one(path, x):
        return x + 0.3 * jax.random.normal(jax.random.key(9), x.shape) if "widen" in jax.tree_util.keystr(path) else x
    return jax.tree_util.tree_map_with_path(one, model)


@pytest.mark.slow
@pytest.mark.parametrize("name", SPECS)
@pytest.mark.parametrize("add", [low_rank, adapters])
def test_what_is_added_changes_nothing_at_first(name, add):
    spec = SPECS[name]
    model = initialise(spec, jax.random.key(0))
    changed = add(holding(spec, model), "*attention.query", "*attention.out", "*mlp.down")
    begun = initialise(changed, jax.random.key(1))
    assert count(changed) > count(spec)
    np.testing.assert_allclose(answer(name, begun), answer(name, model), atol=1e-6)
    assert np.abs(answer(name, shaken(changed, begun)) - answer(name, model)).max() > 5e-6


@pytest.mark.slow
@pytest.mark.parametrize("name", SPECS)
def test_merged_is_adapted_and_plain_again(name):
    spec = SPECS[name]
    changed = low_rank(spec, "*attention.query", "*attention.out", "*mlp.*", rank=3, scale=0.5)
    model = shaken(changed, initialise(changed, jax.random.key(0)))
    plain = merged(model)
    assert jax.tree.structure(plain) == jax.tree.structure(initialise(spec, jax.random.key(0)))
    np.testing.assert_allclose(answer(name, plain), answer(name, model), atol=2e-5)


def test_each_layer_has_thin_matrices_of_its_own():
    spec = low_rank(SPECS["gpt2"], "*attention.query", "*attention.out", rank=3)
    weights = named(spec)
    own = weights["blocks.blocks.attention.query.narrow.kernel"], weights["blocks.blocks.attention.out.narrow.kernel"]
    assert [w.shape for w in own] == [(2, 16, 3), (2, 2, 8, 3)] and own[0].axes == ("layers", "embed", None)
    born = named(initialise(spec, jax.random.key(0)))["blocks.blocks.attention.query.narrow.kernel"]
    assert born.std() == pytest.approx(0.25, rel=0.2) and not np.array_equal(born[0], born[1])


def test_a_cache_gives_what_the_whole_gives():
    spec = low_rank(SPECS["gpt2"], "*attention.key", "*attention.value")
    model = shaken(spec, initialise(spec, jax.random.key(0)))
    logits, _ = model.decode(TOKENS, model.start(2, 6))
    np.testing.assert_allclose(logits, model(TOKENS), atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("make", [adamw, pytest.param(lambda rate, **rest: muon(SPEC, rate, **rest), marks=pytest.mark.slow)])
def test_only_what_was_added_learns(make):
    begun = dataclasses.replace(little(), steps=3, model=SPEC, optimizer=make(1e-2, only=ADDED))
    before = begin(begun, 0).model
    *_, last = train(begun)
    after = named(last.state.model)
    for name, was in named(before).items():
        assert np.array_equal(after[name], was) != any(part in name for part in ("narrow", "widen")), name


def test_a_pattern_without_a_match_is_a_mistake():
    with pytest.raises(Mistake, match=r"'\*attention.queries' matches no linear map; there are .*attention.query"):
        low_rank(SPECS["gpt2"], "*attention.queries")
    with pytest.raises(Mistake, match=r"only '\*.narrow.\*' matches no weight"):
        adamw(0.1, only=ADDED).init(initialise(SPECS["gpt2"], jax.random.key(0)))


SPEC = low_rank(little().model, "*attention.query", "*mlp.down", rank=2)
