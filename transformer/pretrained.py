"""To go on from weights that were trained before, instead of being born: of a run, or of a directory as save_pretrained writes it.

    spec, tokenizer = pretrained("runs/bert")                      the latest of that name, or runs/bert/TIME
    spec, tokenizer = pretrained("bert-base-uncased")              any model
    spec, tokenizer = pretrained("gpt2", GPT2, Llama)              of these families
    spec, tokenizer = pretrained_encoder("bert-base-uncased")      without whatever head it has, to be given another
"""
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp

from transformer.data.tokenizers import Tokenizer
from transformer.huggingface.loading import described, load
from transformer.mistakes import Mistake
from transformer.models.bert import Bert
from transformer.models.modernbert import ModernBert
from transformer.models.roberta import Roberta
from transformer.training.trained import is_run, trained
from transformer.weights import holding

ENCODERS = (Bert, Roberta, ModernBert)


class Pretrained(NamedTuple):
    spec: Any  # promises that hold their weights
    tokenizer: Tokenizer


def pretrained(directory: str | Path, *families: type) -> Pretrained:
    """A model and its tokenizer, of one of these families if any are given."""
    directory = Path(directory).expanduser()
    if not directory.is_dir():
        raise Mistake(f"there is no directory {directory}; give a run, as runs/NAME, or a directory with config.json, "
                      f"model.safetensors and tokenizer.json")
    if is_run(directory):
        stage, model = trained(directory)
        spec, tokenizer = stage.model, stage.tokenizer
        _expect(directory, spec, families)
        missing = "its experiment names no tokenizer; add tokenizer=... to it"
    else:
        spec, _, _ = described(directory)
        _expect(directory, spec, families)
        model, tokenizer, *_ = load(directory, dtype=jnp.float32)
        missing = "it has no tokenizer.json; put it there"
    if tokenizer is None:
        raise Mistake(f"the model in {directory} reads no text: {missing}")
    return Pretrained(holding(spec, model), tokenizer)


def pretrained_encoder(directory: str | Path) -> Pretrained:
    """The encoder of texts in a checkpoint of BERT's kin, whatever head it has."""
    spec, tokenizer = pretrained(directory)
    encoder = encoder_in(spec)
    if encoder is None:
        raise Mistake(f"{directory} holds a {_name(spec)}, where an encoder of texts was expected ({_or(ENCODERS)}); "
                      f"give a checkpoint of that kind")
    return Pretrained(encoder, tokenizer)


def encoder_in(model: Any) -> Any:
    """The encoder in a model of BERT's kin, or None."""
    if isinstance(model, ENCODERS):
        return model
    inside = getattr(model, "encoder", getattr(model, "bert", None))
    return None if inside is None else encoder_in(inside)


def _expect(directory: Path, spec: Any, families: tuple[type, ...]) -> None:
    if families and not isinstance(spec, families):
        raise Mistake(f"{directory} holds a {_name(spec)}, where a {_or(families)} was expected; give a checkpoint of that kind")


def _name(spec: Any) -> str:
    return type(spec).__name__


def _or(kinds: tuple[type, ...]) -> str:
    return " or ".join(kind.__name__ for kind in kinds)
