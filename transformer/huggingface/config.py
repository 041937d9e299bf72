"""config.json, asked setting by setting: what nobody asked for and may matter is an error, never ignored."""
from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatch
from typing import Any

import jax

from transformer.layers import gelu, gelu_tanh, quick_gelu
from transformer.mistakes import Mistake

REQUIRED: Any = object()

# Names and bookkeeping, on which nothing depends, not even how to generate.
NAMES = (
    "architectures", "model_type", "transformers_version", "_name_or_path", "name_or_path", "_commit_hash",
    "auto_map", "dtype", "torch_dtype", "return_dict", "return_dict_in_generate", "output_*", "use_cache",
    "use_return_dict", "is_encoder_decoder", "*_token_id", "*_token_ids",
)
# What no forward pass depends on: those, training, and generation, which generation_config.json settles.
NEUTRAL = (
    *NAMES, "id2label", "label2id", "num_labels", "problem_type", "task_specific_params", "finetuning_task", "initializer_*",
    "init_*", "*dropout*", "*_pdrop", "*layerdrop*", "gradient_checkpointing", "chunk_size_feed_forward", "tokenizer_class",
    "attn_implementation", "_attn_implementation*", "pretraining_tp", "tie_encoder_decoder", "torchscript", "max_length",
    "min_length", "max_new_tokens", "do_sample", "num_beams", "num_beam_groups", "num_return_sequences", "early_stopping",
    "length_penalty", "repetition_penalty", "*no_repeat_ngram_size", "diversity_penalty", "temperature", "top_k",
    "top_p", "typical_p", "bad_words_ids", "suppress_tokens", "begin_suppress_tokens",
    "exponential_decay_length_penalty", "remove_invalid_values", "prefix", "pruned_heads", "summary_*", "router_*",
    "n_ctx", "gpt*_version", "n_special", "predict_*",
)

ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "gelu": gelu, "gelu_python": gelu, "gelu_pytorch_tanh": gelu_tanh, "gelu_new": gelu_tanh, "gelu_fast": gelu_tanh,
    "relu": jax.nn.relu, "silu": jax.nn.silu, "swish": jax.nn.silu, "quick_gelu": quick_gelu, "tanh": jax.numpy.tanh,
}


class Config:
    """The settings of one model (or of one side of it), and which of them have been asked for."""

    def __init__(self, values: Mapping[str, Any], where: str = "config.json") -> None:
        self.values = dict(values)
        self.where = where
        self._asked: set[str] = set()

    def __contains__(self, name: str) -> bool:
        return self.values.get(name) is not None

    def take(self, name: str, default: Any = REQUIRED) -> Any:
        """A setting; null counts as not there."""
        self._asked.add(name)
        value = self.values.get(name)
        if value is None and default is REQUIRED:
            raise Mistake(f"{self.where} has no {name}, without which the model cannot be built; add it")
        return default if value is None else value

    def given(self, name: str, default: Any) -> Any:
        """A setting whose null means something else than its absence."""
        self._asked.add(name)
        return self.values.get(name, default)

    def expect(self, **settings: Any) -> None:
        """Settings that have one value here: another one is refused."""
        for name, only in settings.items():
            value = self.take(name, only)
            if value != only:
                raise Mistake(f"{self.where}: {name} is {value!r}, and only {only!r} is supported")

    def activation(self, name: str, default: Any = REQUIRED, known: Mapping[str, Any] = ACTIVATIONS) -> Any:
        value = self.take(name, default)
        if value not in known:
            raise Mistake(f"{self.where}: {name} is {value!r}, which is not supported; "
                          f"there are {', '.join(sorted(known))}")
        return known[value]

    def part(self, name: str) -> "Config":
        """The settings of one side, as CLIP's text_config."""
        return Config(self.take(name, {}), f"{self.where}, {name}")

    def settle(self, *others: str, neutral: Iterable[str] = NEUTRAL) -> None:
        """Refuses what was never asked for, unless it is off, neutral, or among `others`, which change nothing here."""
        kind = self.values.get("model_type")
        for name, value in self.values.items():
            known = name in self._asked or any(fnmatch(name, pattern) for pattern in (*neutral, *others))
            if not known and value not in (None, False, 0, "", [], {}):
                raise Mistake(f"{self.where}: the setting {name} = {value!r} is not supported{f' for {kind}' if kind else ''}; "
                              f"remove it if the model does not depend on it")


def activation_name(activation: Any, favourite: str = "", known: Mapping[str, Any] = ACTIVATIONS) -> str:
    """What their config calls an activation of ours: the favourite of its names, or the first."""
    names = [name for name, function in known.items() if function is activation]
    if not names:
        raise Mistake(f"Hugging Face has no name for the activation {activation!r}; there are {', '.join(known)}")
    return favourite if favourite in names else names[0]
