"""The three classes that a decoder of theirs comes in: predicting tokens, bare, and classifying texts."""
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from transformer.huggingface import calls
from transformer.huggingface.config import Config
from transformer.huggingface.encoders import labelled, labels
from transformer.huggingface.family import Family
from transformer.huggingface.names import Row, prefixed
from transformer.layers import Linear
from transformer.models.bert import Classes
from transformer.models.last_token import LastToken
from transformer.weights import normal

Settings = dict[str, Any]
HEAD = "lm_head.weight"


def decoders(kind: str, name: str, ours: type, read: Callable[[Config], Any], write: Callable[[Any], Settings],
             rows: tuple[Row, ...], prefix: str, copies: Mapping[str, str], ignored: tuple[str, ...],
             predicting: str = "ForCausalLM") -> tuple[Family, ...]:
    """`rows` are those of the class that predicts, which alone has a head of its own, or tied to the table."""
    inside = tuple(row for row in rows if row.theirs != HEAD)
    bare = tuple(replace(row, theirs=row.theirs.removeprefix(prefix)) for row in inside)
    scored = (*prefixed(inside, "", "decoder."), Row("score.weight", "head.kernel"))

    def read_bare(config: Config) -> Any:
        return replace(read(config), head=None)

    def read_classes(config: Config) -> LastToken:
        decoder = read_bare(config)
        head = Linear.of(Classes.on(decoder, labels(config)), "embed -> classes", initialiser=normal(0.02))
        return LastToken(decoder, head, config.take("pad_token_id", None))

    def write_bare(model: Any) -> Settings:
        return {name: value for name, value in write(model).items() if name != "tie_word_embeddings"}

    def write_classes(model: LastToken) -> Settings:
        return {**write_bare(model.decoder), **labelled(model.head.kernel.shape[-1]), "pad_token_id": model.pad}

    def family(ending: str, model: type, read: Callable[[Config], Any], write: Callable[[Any], Settings],
               rows: tuple[Row, ...], call: Any) -> Family:
        return Family(kind, (name + ending,), (model,), read, write, rows, call, prefix, ignored=(*ignored, HEAD))

    return (
        Family(kind, (name + predicting,), (ours,), read, write, rows, calls.decoder, prefix, copies, ignored),
        family("Model", ours, read_bare, write_bare, bare, calls.bare_decoder),
        family("ForSequenceClassification", LastToken, read_classes, write_classes, scored, calls.last_token),
    )
