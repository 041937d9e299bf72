"""What is kept of the past is enough: stepping with a cache says what reading everything at once says, windows included."""
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import SPECS, sharp

from transformer.caches import Cache, Slots
from transformer.decoding import Beams, Draft, Greedy, Lookup, Speculative, generate, ready
from transformer.mistakes import Mistake
from transformer.models.llama import Size
from transformer.models.llama_kin import gemma2, mistral
from transformer.stack import BlockCache

SIZE, REACH = Size(vocab=64, layers=2, embed=32, heads=4, groups=2, mlp=48), 8
WINDOWED = {"every layer": sharp(mistral(SIZE, REACH)), "every other layer": sharp(gemma2(SIZE, tied=False, asked=8, reach=REACH))}
EACH = pytest.mark.parametrize("name", WINDOWED)


def chunks() -> list[np.ndarray]:
    """Who is there [3, t] in each of a few reads, one longer than the window: row 1 is padded on the left, row 2 anywhere."""
    draw, lengths = np.random.default_rng(0), [11, 1, 1, 1, 3, 1, 11, 1, 3, 1, 1, 1, 1, 1, 1, 1, 1]
    there = [np.ones((3, length), bool) for length in lengths]
    there[0][1, :5] = False
    for chunk in there[:-8]:
        chunk[2] = draw.random(chunk.shape[1]) < 0.7
    return there


@EACH
@pytest.mark.parametrize("prepared", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_a_ring_says_at_every_step_what_the_whole_past_says(name, prepared):
    """Also after it has turned several times, and whatever padding lies between the tokens of a row."""
    model, there = ready(WINDOWED[name]) if prepared else WINDOWED[name], chunks()
    tokens = np.random.default_rng(1).integers(0, 64, (3, sum(chunk.shape[1] for chunk in there)))
    rows = [row[kept] for row, kept in zip(tokens, np.concatenate(there, 1), strict=True)]
    whole = np.asarray(jax.jit(lambda model: model(np.stack([np.pad(row, (0, 50 - len(row))) for row in rows])))(model))
    step, cache, at, read = jax.jit(type(model).decode), model.start(3, 64), 0, np.zeros(3, int)
    for chunk in there:
        logits, cache = step(model, tokens[:, at : at + chunk.shape[1]], cache, chunk)
        for row in range(3):
            want = whole[row, read[row] : read[row] + chunk[row].sum()]
            np.testing.assert_allclose(np.asarray(logits)[row, chunk[row]], want, atol=1e-5 * abs(whole).max())
        at, read = at + chunk.shape[1], read + chunk.sum(1)
    assert min(read) > 3 * REACH


@pytest.mark.parametrize(("make", "slots"), [(mistral, [64, 64, 64, 64]), (gemma2, [64, 1024, 64, 1024])])
def test_a_window_of_64_keeps_64_and_grouped_heads_keep_their_groups(make, slots):
    model = ready_promise(make(Size(vocab=64, layers=4, embed=32, heads=4, groups=2, mlp=48), reach=64))
    cache = jax.eval_shape(lambda: model.start(3, 1024))
    owns = [block.own for block in jax.tree.leaves(cache.blocks, is_leaf=lambda part: isinstance(part, BlockCache))]
    kept = sum(leaf.size * leaf.dtype.itemsize for own in owns for leaf in (own.keys, own.values))
    assert kept == sum(slots) * 2 * 3 * 2 * 8 * 4  # keys and values, rows, groups, head, bytes


def ready_promise(spec: Any) -> Any:
    """A model of zeros, its layers side by side."""
    return ready(jax.tree.map(lambda w: jnp.zeros(w.shape, w.dtype), spec))


PROMPTS = [[3, 7, 20, 5, 9, 1, 2, 30, 31, 32, 33, 34], [9, 8, 1], [4]]


@EACH
@pytest.mark.slow
@pytest.mark.parametrize("strategy", [Greedy(), Beams(3, 2)], ids=["greedy", "beams"])
def test_rows_turn_by_themselves(name, strategy):
    """Neighbours and padding change nothing, with beams that are gathered; and the window does count."""
    model = ready(WINDOWED[name])
    together = generate(model, PROMPTS, most=2 * REACH, strategy=strategy)
    for row, prompt in enumerate(PROMPTS):
        alone = generate(model, [prompt], most=2 * REACH, strategy=strategy)
        assert alone.texts()[0] == together.texts()[row]
    wide = model.replace(windows=(None,) * len(model.windows))
    assert generate(wide, PROMPTS, most=2 * REACH, strategy=strategy).texts() != together.texts()


@EACH
@pytest.mark.slow
@pytest.mark.parametrize("guesser", ["lookup", "draft"])
def test_what_was_guessed_in_vain_is_taken_back_out_of_a_ring(name, guesser):
    model = ready(WINDOWED[name])
    draft = Lookup(1) if guesser == "lookup" else Draft(sharp(mistral(SIZE, 5), seed=2))
    plain, quick = (generate(model, PROMPTS, most=3 * REACH, strategy=strategy)
                    for strategy in (Greedy(), Speculative(draft, ahead=3)))
    np.testing.assert_array_equal(plain.tokens, quick.tokens)


def test_more_guesses_than_a_window_holds_are_refused():
    with pytest.raises(Mistake, match="sees only 8 tokens cannot take back 9"):
        generate(ready(WINDOWED["every layer"]), [[1, 2]], most=40, strategy=Speculative(Lookup(1), ahead=8))


def test_a_cache_that_would_overflow_is_refused():
    model = sharp(SPECS["gpt2"])
    with pytest.raises(Mistake, match="4 slots, of which 0 are in use, and 5 tokens"):
        jax.eval_shape(lambda: model.decode(jnp.zeros((1, 5), jnp.int32), model.start(1, 4)))
    _, slots = Slots.empty(1, 4).take(jnp.zeros((1, 3), jnp.int32))
    with pytest.raises(Mistake, match="of which 3 are in use, and 2 tokens"):
        slots.take(jnp.zeros((1, 2), jnp.int32))


@pytest.mark.parametrize(("batch", "groups"), [(1, 3), (2, 1), (1, 1), (2, 3)])
def test_a_cache_fills_from_the_front(batch, groups):
    one, two = (np.random.default_rng(length).normal(size=(batch, length, groups, 4)).astype(np.float32) for length in (1, 3))
    cache, keys, values = jax.jit(lambda: Cache.empty(batch, 6, groups, 4).append(one, -one)[0].append(two, -two))()
    np.testing.assert_array_equal(keys, np.concatenate([one, two, np.zeros((batch, 2, groups, 4))], 1))
    np.testing.assert_array_equal(values, -np.asarray(keys))
    np.testing.assert_array_equal(cache.keys.swapaxes(1, 2), keys)
    assert int(cache.filled) == 4
