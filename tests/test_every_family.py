"""What holds of every family that decodes: caches lose nothing, neighbours and padding change nothing."""
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as draws
from tiny import sharp
from uncached import Uncached

from transformer.decoding import Beams, Contrastive, Greedy, Lookup, Sample, Speculative, generate, ready
from transformer.models import bart, gpt, gpt2, imagegpt, llama, llama_kin, marian, music, rnn, t5, whisper
from transformer.recurrent import GRU, LSTM

SIZE = gpt2.Size(vocab=64, length=128, layers=2, embed=32, heads=4)
GROUPED = llama.Size(vocab=64, layers=2, embed=32, heads=4, groups=2, mlp=48)
EXPERTS = llama_kin.ExpertSize(vocab=64, layers=2, embed=32, heads=4, groups=2, mlp=48, experts=4)
RELATIVE = t5.Size(vocab=64, layers=2, embed=32, heads=4, head=6, mlp=48, buckets=8, reach=12)
SPECS: dict[str, Any] = {
    "gpt2": gpt2.GPT2.of(SIZE),
    "gpt": gpt.gpt(SIZE),
    "imagegpt": imagegpt.imagegpt(imagegpt.Size(vocab=65, length=128, layers=2, embed=32, heads=4)),
    "llama": llama.Llama.of(GROUPED),
    "mistral": llama_kin.mistral(GROUPED, reach=5),
    "qwen2": llama_kin.qwen2(GROUPED),
    "qwen3": llama_kin.qwen3(GROUPED),
    "gemma": llama_kin.gemma(GROUPED, tied=False),
    "gemma2": llama_kin.gemma2(GROUPED, tied=False, asked=8, reach=5),
    "mixtral": llama_kin.mixtral(EXPERTS),
    "music": music.MusicTransformer.of(music.Size(vocab=64, length=128, layers=2, embed=32, heads=4, mlp=48)),
    "t5": t5.T5.of(RELATIVE),
    "t5 1.1": t5.T5.of(RELATIVE, gated=True),
    "bart": bart.Bart.of(bart.Size(vocab=64, length=128, layers=2, embed=32, heads=4, mlp=48)),
    "marian": marian.marian(marian.Size(vocab=64, layers=2, embed=32, heads=4, mlp=48)),
    "whisper": whisper.Whisper.of(whisper.Size(vocab=64, mels=6, frames=8, length=128, layers=2, embed=32, heads=4, mlp=48)),
}
SPECS |= {name: rnn.RNN.of(rnn.Size(vocab=64, embed=16, state=12, align=8), writer, cell)
          for name, writer, cell in (("lstm", rnn.Plain, LSTM), ("bahdanau", rnn.Bahdanau, GRU), ("luong", rnn.Luong, LSTM))}
SOURCE, SEEN = np.arange(24).reshape(3, 8) % 23 + 5, np.arange(8)[None] < np.asarray([[8], [5], [2]])
SOUND = np.random.default_rng(0).normal(size=(3, 16, 6)).astype(np.float32)
few = settings(max_examples=4, deadline=None, derandomize=True)


def slow(*values: Any) -> Any:
    return pytest.param(*values, marks=pytest.mark.slow)


def some(*quick: str) -> list[Any]:
    return [name if name in quick else slow(name) for name in SPECS]


@cache
def model_of(name: str) -> Any:
    return ready(sharp(SPECS[name]))


def source_of(name: str) -> tuple[Any, ...]:
    """What the model hears or reads, and which of it is there; nothing for a decoder alone."""
    return {"whisper": (SOUND, None)}.get(name, (SOURCE, SEEN)) if hasattr(SPECS[name], "encode") else ()


@jax.jit
def step_by_step(model: Any, tokens: Any, present: Any, source: Any) -> tuple[Any, Any]:
    """Logits with a cache, of five tokens, three, and then one after the other; and without a cache."""
    def read(cache: Any, given: tuple[Any, Any]) -> tuple[Any, Any]:
        logits, cache = model.decode(given[0], cache, given[1])
        return cache, logits

    def all_of(cache: Any) -> Any:
        cache, first = read(cache, (tokens[:, :5], present[:, :5]))
        cache, second = read(cache, (tokens[:, 5:8], present[:, 5:8]))
        _, others = jax.lax.scan(read, cache, (tokens[:, 8:].T[..., None], present[:, 8:].T[..., None]))
        return jnp.concatenate([first, second, others[:, :, 0].swapaxes(0, 1)], 1)

    memory = (model.encode(source[0], present=source[1]), 16, source[1]) if source else (3, 16)
    bare = Uncached(model)
    return all_of(model.start(*memory)), bare.decode(tokens, bare.start(*(source[:1] or (3,)), 16, *source[1:]), present)[0]


@pytest.mark.slow
@pytest.mark.parametrize("name", some("gpt2", "gemma2", "bart"))
@few
@given(seed=draws.integers(0, 99), there=draws.lists(draws.booleans(), min_size=39, max_size=39))
def test_a_cache_says_at_every_step_what_reading_all_of_it_says(name, seed, there):
    """With holes of padding anywhere in any row."""
    tokens, present = np.random.default_rng(seed).integers(0, 64, (3, 13)), np.asarray(there).reshape(3, 13)
    got, want = step_by_step(model_of(name), tokens, present, source_of(name))
    np.testing.assert_allclose(np.asarray(got)[present], np.asarray(want)[present], atol=1e-5 * abs(np.asarray(want)).max())


STRATEGIES: dict[str, Any] = {"greedy": Greedy(), "sample": Sample(0.9, top_p=0.95), "beams": Beams(3, 2), "contrastive": Contrastive(3),
                              "speculation": Speculative(Lookup(1), Sample(0.9), ahead=2)}
ALL = ["gpt2", "gemma2", "t5"]  # a plain cache, rings beside plain ones, a source
PAIRS = [(name, strategy) for number, name in enumerate(SPECS) for place, strategy in enumerate(STRATEGIES)
         if name in ALL or number % len(STRATEGIES) == place]


def said(name: str, strategy: Any, rows: Any, present: Any = None) -> np.ndarray:
    model, source = model_of(name), source_of(name)
    memory, seen = jax.tree.map(lambda x: x[: len(rows)], (encoded(model, *source), source[1])) if source else (None, None)
    return generate(model, rows, present, most=7, strategy=strategy, key=jax.random.key(3), memory=memory, seen=seen).tokens


@jax.jit
def encoded(model: Any, source: Any, seen: Any) -> Any:
    return model.encode(source, present=seen)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "strategy"), PAIRS)
def test_neither_neighbours_nor_padding_change_a_text_and_the_seed_repeats_it(name, strategy):
    search = STRATEGIES[strategy]
    rows = [[5, 3, 8, 1, 9, 12, 40, 33], [7, 2], [4, 6, 11, 30]]
    first = said(name, search, rows)
    np.testing.assert_array_equal(first, said(name, search, rows))
    others = said(name, search, [[1], rows[1], [2] * 9])
    np.testing.assert_array_equal(first[1], others[1])
    there = np.arange(9)[None] < np.asarray([[8], [2], [4]])
    right = np.asarray([row + [63] * (9 - len(row)) for row in rows])
    left = np.asarray([[62] * (9 - len(row)) + row for row in rows])
    np.testing.assert_array_equal(first, said(name, search, right, there))
    np.testing.assert_array_equal(first, said(name, search, left, there[:, ::-1]))
    np.testing.assert_array_equal(first[0], said(name, search, rows[:1])[0])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["bahdanau", slow("lstm"), slow("mistral")])
@pytest.mark.parametrize("strategy", [slow("greedy"), "beams", slow("contrastive"), "speculation"])
def test_a_search_finds_the_same_without_a_cache(name, strategy):
    """A recurrent state is repeated, gathered and kept still where a row has padding, just as keys and values are; where it
    cannot forget what was guessed in vain, what stood is read again."""
    model, source, prompts = model_of(name), source_of(name), [[3, 7, 20, 5], [9, 8], [4]]
    search = Speculative(Lookup(1)) if strategy == "speculation" else STRATEGIES[strategy]
    given = ({"memory": encoded(model, *source), "seen": SEEN}, {"memory": SOURCE, "seen": SEEN}) if source else ({}, {})
    cached, uncached = (generate(model, prompts, most=6, strategy=search, key=jax.random.key(1), **sourced)
                   for model, sourced in zip((model, Uncached(model)), given, strict=True))
    np.testing.assert_array_equal(cached.tokens, uncached.tokens)
    np.testing.assert_allclose(cached.scores, uncached.scores, atol=1e-4)
