"""Beam search: the recorded searches of transformers, groups, and what stays where it is."""
import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as draws
from tables import Tables
from tiny import SPECS, sharp

from transformer.decoding import Beams, Greedy, generate
from transformer.decoding import processors as rules
from transformer.decoding.carried import Carried, ready
from transformer.decoding.text import Asked
from transformer.mistakes import Mistake

REFERENCE = Path(__file__).parent / "reference"
CASES = json.loads((REFERENCE / "decoding.json").read_text(encoding="utf-8"))["toy_generate"]["cases"]
with np.load(REFERENCE / "decoding.npz") as file:
    ARRAYS = dict(file)
QUICK = [42, 45, 58, 67, 68, 72, 76, 107]  # of the second and third toy, which share programs: searches of every kind


def recorded_rules(k: dict[str, Any]) -> list[Any]:
    made = {
        "repetition_penalty": rules.RepetitionPenalty, "no_repeat_ngram_size": rules.NoRepeat,
        "bad_words_ids": lambda words: rules.bad_words(words, [2]), "min_new_tokens": rules.MinNew,
        "forced_eos_token_id": lambda token: rules.Force(token, -1), "suppress_tokens": rules.Suppress,
        "begin_suppress_tokens": lambda tokens: rules.Suppress(tokens, 0), "renormalize_logits": lambda _: rules.Normalise()}
    return [make(k[name]) for name, make in made.items() if name in k]


def recorded_strategy(k: dict[str, Any]) -> Any:
    early = {False: "likely", True: "full", "never": "never"}[k.get("early_stopping", False)]
    return Beams(k["num_beams"], k["num_return_sequences"], k.get("length_penalty", 1.0), early) if "num_beams" in k else Greedy()


@pytest.mark.parametrize("number", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in range(len(CASES))])
def test_a_search_finds_what_theirs_finds(number):
    case, k = CASES[number], CASES[number]["kwargs"]
    model = Tables(*(jnp.asarray(ARRAYS[f"toy_lm.{table}{case['toy']}"]) for table in "ABC"))
    prompt = ARRAYS[f"toy_lm.prompts{case['toy']}"]
    ends = k.get("eos_token_id", 2)
    got = generate(model, prompt, most=k.get("max_new_tokens") or k["max_length"] - prompt.shape[1], strategy=recorded_strategy(k),
                   processors=recorded_rules(k), ends=() if ends is None else ends)
    want = [row[prompt.shape[1]:length] for row, length in zip(case["sequences"], case["lengths"], strict=True)]
    assert [text for texts in got.texts() for text in texts] == want
    if "num_beams" in k:
        np.testing.assert_allclose(got.scores.reshape(-1), case["sequences_scores"], atol=1e-5)
        np.testing.assert_array_equal(got.origins.reshape(len(want), -1), case["beam_indices"])


MODEL = Tables.random(12, seed=3)
PROMPTS = [[1, 4, 6], [9], [3, 3]]


@pytest.mark.slow
@settings(max_examples=8, deadline=None, derandomize=True)
@given(prompts=draws.lists(draws.lists(draws.integers(0, 11), min_size=1, max_size=8), min_size=3, max_size=3))
def test_one_beam_is_greedy(prompts):
    one, greedy = (generate(MODEL, prompts, most=8, strategy=strategy, ends=2) for strategy in (Beams(1), Greedy()))
    assert one.texts() == greedy.texts()
    np.testing.assert_allclose(one.scores * one.lengths, greedy.scores, rtol=1e-5)


@pytest.mark.slow
def test_groups_that_do_not_mind_each_other_are_searches_of_their_own():
    both = generate(MODEL, PROMPTS, most=6, strategy=Beams(6, 6, groups=3), ends=2)
    alone = generate(MODEL, PROMPTS, most=6, strategy=Beams(2, 2), ends=2)
    np.testing.assert_allclose(both.scores, np.repeat(alone.scores, 3, axis=1), rtol=1e-6)
    for row, texts in enumerate(alone.texts()):
        assert sorted(both.texts()[row]) == sorted(texts * 3)


def test_groups_that_mind_say_other_things_from_the_start():
    diverse = generate(MODEL, PROMPTS, most=6, strategy=Beams(3, 3, groups=3, diversity=50.0), ends=2)
    mild = generate(MODEL, PROMPTS, most=6, strategy=Beams(3, 3, groups=3, diversity=0.0), ends=2)
    for row in range(3):
        assert len(set(diverse.tokens[row, :, 0].tolist())) == 3
        assert len(set(mild.tokens[row, :, 0].tolist())) == 1


def test_a_group_loses_for_each_beam_that_just_said_the_same():
    """Three groups of one beam, by hand: each takes its likeliest token, less 0.7 for each earlier group that took it now."""
    got = generate(MODEL, [[1, 4]], most=5, strategy=Beams(3, 3, groups=3, diversity=0.7))
    texts, scores = [[1, 4] for _ in range(3)], np.zeros(3)
    for _ in range(5):
        said = np.zeros(12)
        for group, text in enumerate(texts):
            worth = np.asarray(jax.nn.log_softmax(MODEL.logits_of(text[-1], text[-2], len(text) - 1))) - 0.7 * said
            text.append(int(worth.argmax()))
            scores[group] += worth.max()
            said[text[-1]] += 1
    best = np.argsort(-scores)
    assert got.texts()[0] == [texts[group][2:] for group in best]
    np.testing.assert_allclose(got.scores[0], scores[best] / 5, rtol=1e-5)


@pytest.fixture(scope="module")
def t5() -> Any:
    model = ready(sharp(SPECS["t5"]))
    source, seen = np.arange(24).reshape(3, 8) % 23 + 5, np.arange(8)[None] < np.asarray([[8], [5], [2]])
    return model, jax.jit(lambda model: model.encode(source, present=seen))(model), seen


def test_what_belongs_to_the_source_is_neither_repeated_nor_gathered(t5):
    model, memory, seen = t5
    carried = Carried.prefilled(model, Asked(np.zeros((3, 1), np.int32), 4, (), jax.random.key(0), memory, seen, 8)).repeat(4)
    for block in carried.cache.blocks:
        assert block.own.keys.shape[0] == 12
        assert all(kept.shape[0] == 3 for kept in block.source)
    moved = carried.take(jnp.arange(12)[::-1])
    np.testing.assert_array_equal(moved.cache.blocks[0].source[0], carried.cache.blocks[0].source[0])


def test_beams_that_share_a_source_say_what_each_row_says_alone(t5):
    model, memory, seen = t5
    kinds = {"most": 6, "strategy": Beams(4, 2), "ends": 1}
    together = generate(model, [[0]] * 3, memory=memory, seen=seen, **kinds)
    padded = generate(model, [[0]] * 3, memory=memory[np.asarray([2, 2, 2])], seen=seen[np.asarray([2, 2, 2])], **kinds)
    np.testing.assert_array_equal(together.tokens[2], padded.tokens[0])
    np.testing.assert_allclose(together.scores[2], padded.scores[0], rtol=1e-5)
    assert not np.array_equal(together.tokens[0], together.tokens[1])


def test_a_model_whose_beams_cannot_share_a_source_gets_one_for_each():
    class Stubborn(Tables):
        def start(self, memory, length, present=None):
            return super().start(len(memory), length), memory

        def decode(self, tokens, cache, present=None):
            logits, state = super().decode(tokens, cache[0], present)
            return logits + cache[1][:, None], (state, cache[1])

    model = Stubborn(MODEL.now, MODEL.where, MODEL.before)
    memory = jnp.asarray(np.random.default_rng(0).normal(size=(2, 12)), jnp.float32)
    jax.tree_util.register_pytree_node(Stubborn, lambda m: ((m.now, m.where, m.before), None), lambda _, tables: Stubborn(*tables))
    both = generate(model, [[1, 2], [1, 2]], most=4, strategy=Beams(3), memory=memory)
    swapped = generate(model, [[1, 2], [1, 2]], most=4, strategy=Beams(3), memory=memory[::-1])
    np.testing.assert_array_equal(both.tokens, swapped.tokens[::-1])


@pytest.mark.parametrize("make", [lambda: Beams(0), lambda: Beams(2, count=3), lambda: Beams(3, groups=2), lambda: Beams(early="soon")])
def test_a_search_that_cannot_be_is_refused(make):
    with pytest.raises(Mistake):
        make()
