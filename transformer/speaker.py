"""Who is spoken to: a model with its tokenizer and its manners, from a Hugging Face directory or from a run of ours."""
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from transformer.compiled import encoded
from transformer.data.tokenizers import Tokenizer
from transformer.decoding import ready
from transformer.huggingface.loading import load
from transformer.mistakes import Mistake
from transformer.training.trained import is_run, trained

TILE = 16  # sources come in lengths of whole tiles, so that few programs encode them all
# What an old config.json says about generation, as newer ones do in generation_config.json.
OLDER = (
    "do_sample", "temperature", "top_k", "top_p", "typical_p", "num_beams", "num_beam_groups", "diversity_penalty", "length_penalty",
    "early_stopping", "repetition_penalty", "no_repeat_ngram_size", "encoder_no_repeat_ngram_size", "bad_words_ids", "min_length",
    "max_length", "forced_bos_token_id", "forced_eos_token_id", "suppress_tokens", "begin_suppress_tokens")
IDS = ("bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id")


@dataclasses.dataclass(frozen=True)
class Speaker:
    name: str
    model: Any
    tokenizer: Tokenizer | None
    settings: Mapping[str, Any]  # in generation_config.json's words
    closing: tuple[int, ...] = ()  # what follows a source, where the tokenizer has no template that says so

    @property
    def answers(self) -> bool:
        """Whether a prompt is a source to answer (an encoder-decoder's), rather than a text to go on with."""
        return hasattr(self.model, "encode")

    @property
    def ends(self) -> list[int]:
        ends = self.settings.get("eos_token_id")  # one, several or none; 0 is a token like any other
        return [] if ends is None else np.atleast_1d(ends).astype(int).tolist()

    @property
    def pad(self) -> int:
        return self.settings.get("pad_token_id") or 0

    def read(self, text: str) -> list[int]:
        """The tokens of a prompt."""
        if self.tokenizer is None:
            raise Mistake(f"{self.name} has no tokenizer.json to read a text with: give --tokens 1,2,3 instead")
        tokens = self.tokenizer.framed(text).tolist()
        if self.closing and tokens and tuple(tokens[-len(self.closing):]) != self.closing:
            tokens += self.closing
        start = self.settings.get("bos_token_id")
        if not tokens and (start is None or self.answers):
            raise Mistake(f"the prompt is empty, and {self.name} has no token that texts start with: give it something to go on")
        return tokens or [int(start)]  # pyright: ignore[reportArgumentType]

    def said(self, tokens: Sequence[int], after: Sequence[int] = ()) -> str:
        """The text of tokens that follow others; without a tokenizer, their numbers."""
        if self.tokenizer is None:
            return " ".join(map(str, tokens))
        before = [] if self.answers else list(after)
        return self.tokenizer.decode([*before, *tokens])[len(self.tokenizer.decode(before)):]

    def shown(self, token: int) -> str:
        return f"·{token}" if self.tokenizer is None else self.tokenizer.shown(token)

    def room(self, prompt: Sequence[int]) -> int | None:
        """How many tokens may follow, as far as the model has positions; None for any number."""
        longest = getattr(self.model, "longest", None)
        if longest is None:
            return None
        own = 1 if self.answers else len(prompt)
        if own >= longest:
            raise Mistake(f"the prompt has {own} tokens, and the model no more than {longest} positions for it and what follows: shorten it")
        return longest - own

    def asked(self, prompts: Sequence[Sequence[int]]) -> tuple[dict[str, Any], np.ndarray | None]:
        """What `generate` is told: the prompts, or for an encoder-decoder the start, and what it has read of which sources."""
        if not self.answers:
            return {"prompt": prompts}, None
        if any(not len(row) or min(row) < 0 for row in prompts):
            raise Mistake("a source must have at least one token, and none below 0")
        encoder = getattr(self.model, "encoder", None)  # recurrent cells have none, and read any length
        sources = padded(prompts, getattr(encoder, "longest", None))
        vocab = len(self.model.tokens.table)
        if sources.max() >= vocab:
            raise Mistake(f"token {sources.max()} is outside the vocabulary of {vocab}: was the prompt made by another tokenizer?")
        start = self.settings.get("decoder_start_token_id", self.settings.get("bos_token_id"))
        if start is None:
            raise Mistake(f"{self.name} does not say with which token its texts start: "
                          f"put decoder_start_token_id into its generation_config.json")
        present = sources >= 0
        memory = encoded(self.model, np.maximum(sources, 0), present=present)
        return {"prompt": [[start]] * len(prompts), "memory": memory, "seen": jnp.asarray(present)}, sources


def opened(path: str) -> Speaker:
    """A model to speak with, whoever made it."""
    directory = Path(path)
    if not directory.is_dir():
        raise Mistake(f"there is no directory {path}; give one with a config.json, or a run such as runs/gpt2")
    if (directory / "config.json").is_file():
        return _speaking(_pretrained(directory))
    if is_run(directory):
        return _speaking(_ours(directory))
    raise Mistake(f"{path} holds neither a model (config.json) nor a run (knobs.json); give a directory of one of them")


def padded(rows: Sequence[Sequence[int]], limit: int | None = None) -> np.ndarray:
    """Sources side by side, -1 behind the shorter ones, in whole tiles where the model has room for them."""
    longest = max(map(len, rows))
    if limit is not None and longest > limit:
        raise Mistake(f"the prompt has {longest} tokens, but the model reads no more than {limit}: shorten it")
    width = min(-(-longest // TILE) * TILE, limit or 1 << 31)
    return np.stack([np.pad(np.asarray(row, np.int32), (0, width - len(row)), constant_values=-1) for row in rows])


def _pretrained(directory: Path) -> Speaker:
    loaded = load(directory)
    older = OLDER if not loaded.generation else ()
    known = {name: loaded.config[name] for name in (*IDS, *older) if loaded.config.get(name) is not None}
    return Speaker(str(directory), loaded.model, loaded.tokenizer, {**known, **loaded.generation})


def _ours(folder: Path) -> Speaker:
    """A run's texts end, and its decoder's texts begin, where its tokenizer says so."""
    experiment, model = trained(folder)
    tokenizer = experiment.tokenizer
    ids = {} if tokenizer is None else {"eos_token_id": tokenizer.end, "pad_token_id": tokenizer.pad}
    if tokenizer is None or not hasattr(model, "encode"):
        return Speaker(str(folder), model, tokenizer, ids)
    return Speaker(str(folder), model, tokenizer, {**ids, "decoder_start_token_id": tokenizer.start}, (tokenizer.end,))


def _speaking(speaker: Speaker) -> Speaker:
    """Refuses a model that does not say one token after the other: an encoder, or one that says vectors or pictures."""
    if not (hasattr(speaker.model, "start") and hasattr(speaker.model, "tokens")):
        raise Mistake(f"{speaker.name} is a {type(speaker.model).__name__}, which says no tokens: "
                      f"give a decoder or an encoder-decoder that does")
    return dataclasses.replace(speaker, model=ready(speaker.model))
