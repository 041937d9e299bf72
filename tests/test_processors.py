"""What may be said next: against the processors of transformers, and where padding and rows come in."""
import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from transformer.decoding import processors as rules
from transformer.decoding import warpers
from transformer.decoding.sampling import Sample
from transformer.decoding.text import Text
from transformer.decoding.timestamps import Timestamps
from transformer.huggingface.config import Config
from transformer.huggingface.generate import rules_of
from transformer.mistakes import Mistake

REFERENCE = Path(__file__).parent / "reference"
RECORDED = json.loads((REFERENCE / "decoding.json").read_text(encoding="utf-8"))
with np.load(REFERENCE / "decoding.npz") as file:
    ARRAYS = dict(file)
SOURCE = ARRAYS["processors.encoder_input_ids"]

WARPERS = {
    "temperature": lambda k: warpers.Temperature(k["temperature"]),
    "top_k": lambda k: warpers.TopK(k["top_k"], k.get("min_tokens_to_keep", 1)),
    "top_p": lambda k: warpers.TopP(k["top_p"], k.get("min_tokens_to_keep", 1)),
    "min_p": lambda k: warpers.MinP(k["min_p"], k.get("min_tokens_to_keep", 1)),
    "typical_p": lambda k: warpers.Typical(k["mass"], k.get("min_tokens_to_keep", 1)),
    "epsilon_cutoff": lambda k: warpers.Epsilon(k["epsilon"]),
    "eta_cutoff": lambda k: warpers.Eta(k["epsilon"]),
    "top_h": lambda k: warpers.TopH(k["top_h"]),
}
RULES = {
    "repetition_penalty": lambda k: rules.RepetitionPenalty(k["penalty"], k.get("prompt_ignore_length", 0)),
    "no_repeat_ngram": lambda k: rules.NoRepeat(k["ngram_size"]),
    "min_length": lambda k: rules.MinLength(k["min_length"]),
    "min_new_tokens": lambda k: rules.MinNew(k["min_new_tokens"]),
    "bad_words": lambda k: rules.bad_words(k["bad_words_ids"], [k["eos_token_id"]]),
    "suppress_tokens": lambda k: rules.Suppress(k["suppress_tokens"]),
    "begin_suppress": lambda k: rules.Suppress(k["begin_suppress_tokens"], 0),
    "forced_bos": lambda k: rules.Force(k["bos_token_id"], 0),
    "forced_eos": lambda k: rules.Force(k["eos_token_id"], -1),
    "exp_decay_length": lambda k: rules.DecayLength(*k["exponential_decay_length_penalty"]),
    "log_normalize": lambda k: rules.Normalise(),
    "remove_invalid": lambda k: rules.Finite(),
    "sequence_bias": lambda k: rules.SequenceBias.of(k["sequence_bias"]),
    "encoder_repetition_penalty": lambda k: rules.SourcePenalty(k["penalty"], SOURCE),
    "encoder_no_repeat_ngram": lambda k: rules.NoRepeat(k["encoder_ngram_size"], SOURCE),
}


def stands(tokens: Any, begin: int | None = None, most: int = 100, ends: Any = 2) -> Text:
    """These tokens, the first `begin` of them the prompt, and room for five more."""
    text = Text.of(np.asarray(tokens), np.asarray(tokens).shape[1] + 5, most, np.atleast_1d(ends))
    return text if begin is None else text.replace(begin=jnp.asarray(begin))


def recorded_rules(case: dict[str, Any]) -> list[Any]:
    k = case["kwargs"]
    if not case["key"].startswith("combo"):
        name = max((n for n in WARPERS | RULES if case["key"].split(".")[1].startswith(n)), key=len)
        return [(WARPERS | RULES)[name](k)]
    chosen = [make(k | {"penalty": k.get(name), "ngram_size": k.get("no_repeat_ngram_size")}) for name, make in RULES.items()
              if name in k or name == "no_repeat_ngram" and "no_repeat_ngram_size" in k]
    names = {"temperature": "temperature", "top_k": "top_k", "top_p": "top_p", "min_p": "min_p", "typical_p": "typical"}
    drawn = Sample(**{ours: k[theirs] for theirs, ours in names.items() if k.get(theirs)})
    return chosen + [drawn.warped] * k["do_sample"] + [rules.Normalise()] * k.get("renormalize_logits", False)


def recorded_text(case: dict[str, Any]) -> Text:
    k, tokens = case["kwargs"], ARRAYS["processors.input_ids"]
    tokens = tokens[:3] if case["input_ids"] == "scores_ties" else tokens[:, :1] if ":1" in case["input_ids"] else tokens
    begin = 9 if case["key"].startswith("combo") else k.get("prompt_length_to_skip", k.get("begin_index", k.get("input_ids_seq_length")))
    if "max_length" in k:
        return stands(tokens, 0, k["max_length"])
    return stands(tokens, begin, ends=k.get("eos_token_id", 2))


def same(got: Any, want: np.ndarray) -> None:
    np.testing.assert_array_equal(np.isneginf(got), np.isneginf(want))
    np.testing.assert_allclose(np.where(np.isneginf(got), 0, got), np.where(np.isneginf(want), 0, want), rtol=1e-6, atol=1e-6)


@pytest.fixture(scope="module")
def outputs() -> dict[str, Any]:
    """Of all recorded processors, in one program."""

    @jax.jit
    def run(scores: Any, ties: Any) -> dict[str, Any]:
        def one(case: dict[str, Any]) -> Any:
            return rules.processed(recorded_rules(case), ties if case["input_ids"] == "scores_ties" else scores, recorded_text(case))

        return {case["key"]: one(case) for case in RECORDED["processors"]}

    return run(ARRAYS["processors.scores"], ARRAYS["processors.scores_ties"])


@pytest.mark.parametrize("case", RECORDED["processors"], ids=lambda case: case["key"])
def test_a_processor_does_what_theirs_does(case, outputs):
    same(outputs[case["key"]], ARRAYS[f"processors.{case['key']}.out"])


def test_whispers_timestamps():
    known = RECORDED["whisper_timestamps"]
    timestamps = Timestamps(known["no_timestamps_token_id"], known["eos_token_id"], known["max_initial_timestamp_index"])
    run = jax.jit(lambda scores, text: timestamps(scores, text))
    for key in known["keys"]:
        scores, tokens, want = (ARRAYS[f"whisper_timestamps.{key}.{name}"] for name in ("scores", "input_ids", "out"))
        same(run(scores, stands(np.pad(tokens, ((0, 0), (8 - tokens.shape[1], 0)), constant_values=-1),
                                known["begin_index"] + 8 - tokens.shape[1])), want)


PLAIN = jnp.asarray(np.random.default_rng(0).normal(size=(2, 8)), jnp.float32)


@pytest.mark.parametrize("rule", [rules.RepetitionPenalty(1.5), rules.RepetitionPenalty(1.5, 2), rules.NoRepeat(1), rules.NoRepeat(2),
                                  rules.NoRepeat(3), rules.MinLength(5), rules.bad_words([[5], [3, 4], [4, 3, 6]])], ids=repr)
def test_padding_does_not_count(rule):
    """Left of a row's tokens there may be anything: here nothing, and there three places of nothing."""
    tokens = np.asarray([[3, 4, 3, 3, 4], [4, 5, 4, 3, 4]])
    padded = np.pad(tokens, ((0, 0), (3, 0)), constant_values=-1)
    changed, other = jax.jit(lambda: (rule(PLAIN, stands(tokens)), rule(PLAIN, stands(padded))))()
    np.testing.assert_array_equal(changed, other)
    assert (changed != PLAIN).any() == (rule != rules.MinLength(5))


def test_a_constraint_allows_a_set_in_each_row():
    for parity in (0, 1):
        allowed = np.arange(8)[None] % 2 == np.asarray([[parity], [1 - parity]])
        same(rules.Among(allowed)(PLAIN, stands([[1], [1]])), np.where(allowed, PLAIN, -np.inf))


def test_a_constraint_that_leaves_nothing_possible_rules_alone():
    got = rules.Among(np.arange(8)[None] == 6)(PLAIN.at[0, 6].set(-jnp.inf), stands([[1], [1]]))
    same(got, np.where(np.arange(8)[None] == 6, np.asarray([[0.0], [PLAIN[1, 6]]]), -np.inf))


@pytest.mark.parametrize("settings", [{"bad_words_ids": [[2]]}, {"bad_words_ids": []}, {"sequence_bias": []}], ids=repr)
def test_where_nothing_is_forbidden_nothing_changes(settings):
    asked = Config(settings, "generation_config.json")
    same(rules.processed(rules_of(asked, [2], 0, None), PLAIN, stands([[1], [1]])), PLAIN)
    asked.settle(neutral=())


def test_beams_of_a_row_share_its_source():
    source = np.asarray([[5, 6], [7, 0]])
    got = rules.NoRepeat(1, source)(jnp.zeros((4, 8)), stands(np.ones((4, 2))))
    assert [np.flatnonzero(np.isneginf(row)).tolist() for row in np.asarray(got)] == [[5, 6], [5, 6], [0, 7], [0, 7]]


@pytest.mark.parametrize("make", [
    lambda: Sample(top_p=0), lambda: Sample(top_p=1.5), lambda: Sample(temperature=0), lambda: Sample(top_k=0), lambda: Sample(min_p=-0.1),
    lambda: Sample(typical=0.0), lambda: Sample(count=0), lambda: rules.RepetitionPenalty(0.0), lambda: rules.NoRepeat(0)])
def test_a_number_outside_its_limits_is_refused_at_once(make):
    with pytest.raises(Mistake, match="it must be"):
        make()
