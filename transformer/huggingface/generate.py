"""transformers' `generate`, in their words: generation_config.json and arguments in, and what they give out.

    generated(model, settings, [[5, 3, 8]])["sequences"]
"""
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from transformer.decoding import processors as rules
from transformer.decoding.beams import Beams
from transformer.decoding.engine import advance, begin, question, searching
from transformer.decoding.sampling import Greedy, fed
from transformer.huggingface.config import NAMES, Config

# What changes nothing in a search that does not sample, or says how to start it, which the caller has done.
NEUTRAL = (
    *NAMES, "temperature", "top_k", "top_p", "top_h", "min_p", "typical_p", "epsilon_cutoff", "eta_cutoff",
    "decoder_start_token_id", "_from_model_config", "cache_implementation", "max_time", "task", "language",
    "is_multilingual", "lang_to_id", "task_to_id", "alignment_heads", "no_timestamps_token_id", "return_timestamps",
    "max_initial_timestamp_index", "prev_sot_token_id", "assistant_*", "num_assistant_*", "low_memory",
    "disable_compile",
)
EARLY = {False: "likely", True: "full", "never": "never"}


def generated(model: Any, settings: Mapping[str, Any], prompt: Any, present: Any = None, memory: Any = None,
              seen: Any = None, source: Any = None) -> dict[str, np.ndarray]:
    """`settings` are generation_config.json's and the call's arguments together; memory is what a source was encoded to.

    sequences with the prompt in front, lengths up to the first end; of beams their scores and which beam each token was
    added to, of the greedy the logits of each step, raw and processed.
    """
    prompt = np.asarray(prompt)
    rows, width = prompt.shape
    asked = Config(settings, "generation_config.json")
    asked.expect(do_sample=False)
    ends = np.atleast_1d(asked.take("eos_token_id", []))
    pad = asked.take("pad_token_id", int(ends[0]) if len(ends) else 0)
    longest = asked.take("max_length", 20)
    most = asked.take("max_new_tokens", None) or longest - width
    search = Beams(asked.take("num_beams", 1), asked.take("num_return_sequences", 1), asked.take("length_penalty", 1.0),
                   EARLY[asked.take("early_stopping", False)], asked.take("num_beam_groups", 1), asked.take("diversity_penalty", 0.0))
    strategy = Greedy() if search.beams == 1 else search
    processors = rules_of(asked, ends.tolist(), width, source)
    asked.settle(neutral=NEUTRAL)
    found, steps = _searched(model, strategy, tuple(processors), prompt, present, most, ends, pad, memory, seen)
    new = found.tokens.reshape(rows * found.tokens.shape[1], -1)
    outputs = {"sequences": np.concatenate([np.repeat(prompt, len(new) // rows, 0), new], 1),
               "lengths": width + found.lengths.reshape(-1)}
    if isinstance(strategy, Greedy):
        return outputs | steps
    return outputs | {"sequences_scores": found.scores.reshape(-1), "beam_indices": found.origins.reshape(len(new), -1)}


def rules_of(asked: Config, ends: list[int], width: int, source: Any) -> list[Any]:
    """The processors that the settings ask for, in the order in which transformers applies them, after a prompt so wide."""
    found: list[Any] = []

    def rule(name: str, build: Any, off: Any = None) -> None:
        value = asked.take(name, None)
        if value is not None and value != off:
            found.append(build(value))

    rule("sequence_bias", lambda pairs: rules.SequenceBias.of(pairs))
    if source is not None:
        rule("encoder_repetition_penalty", lambda penalty: rules.SourcePenalty(penalty, source), 1.0)
    rule("repetition_penalty", rules.RepetitionPenalty, 1.0)
    rule("no_repeat_ngram_size", rules.NoRepeat, 0)
    if source is not None:
        rule("encoder_no_repeat_ngram_size", lambda size: rules.NoRepeat(size, source), 0)
    rule("bad_words_ids", lambda words: rules.bad_words(words, ends))
    rule("min_length", lambda length: rules.MinNew(length - width), 0)
    rule("min_new_tokens", rules.MinNew, 0)
    forced = asked.take("forced_bos_token_id", None) is not None and width == 1
    if forced:
        rule("forced_bos_token_id", lambda token: rules.Force(token, 0))
    rule("forced_eos_token_id", lambda tokens: rules.Force(tokens, -1))
    rule("remove_invalid_values", lambda _: rules.Finite(), False)
    rule("exponential_decay_length_penalty", lambda pair: rules.DecayLength(*pair))
    rule("suppress_tokens", rules.Suppress)
    rule("begin_suppress_tokens", lambda tokens: rules.Suppress(tokens, int(forced)))
    rule("renormalize_logits", lambda _: rules.Normalise(), False)
    return found


def _searched(model: Any, strategy: Any, processors: tuple[Any, ...], prompt: Any, present: Any, most: int, ends: Any,
              pad: int, memory: Any, seen: Any) -> tuple[Any, dict[str, np.ndarray]]:
    """The search; if it is greedy step by step, to see the logits of each."""
    search = searching(strategy)
    asked = question(model, search, prompt, present, most, ends, None, memory, seen)
    state = begin(model, search, asked)
    if isinstance(strategy, Beams):
        return search.result(advance(model, search, processors, state, most), pad), {}
    steps = []
    while bool(search.open(state)):
        steps.append(_logits(model, processors, state))
        state = advance(model, search, processors, state, 1)
    raw, processed = (np.stack(arrays, 1) for arrays in zip(*steps, strict=True))
    return search.result(state, pad), {"step_logits": raw, "step_scores": processed}


@jax.jit
def _logits(model: Any, processors: tuple[Any, ...], state: Any) -> tuple[jax.Array, jax.Array]:
    logits, _ = fed(model, state.text, state.carried, ~state.done)
    return logits, rules.processed(processors, logits, state.text)
