"""What checkpoints of encoders have in common: names of linear maps and norms, labels, recorded calls and heads."""
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from transformer.huggingface.calls import IGNORED, asked, cross_entropy, finished, known, loss_of_classes
from transformer.huggingface.config import Config
from transformer.huggingface.family import Call
from transformer.huggingface.names import Row, vector
from transformer.looking import recording
from transformer.mistakes import Mistake
from transformer.models.bert import Pooled, Pretraining, TextClasses, TokenClasses
from transformer.models.bi_encoder import BiEncoder, unit

Array = jax.Array
Settings = dict[str, Any]
Outputs = Mapping[str, Any]
OURS = "blocks.blocks.{layer}."


# --- names -----------------------------------------------------------------------------------------------------------

def dense(theirs: str, ours: str) -> tuple[Row, ...]:
    """A Linear, with a bias or without."""
    return Row(theirs + ".weight", ours + ".kernel"), Row(theirs + ".bias", ours + ".bias", vector)


def norm(theirs: str, ours: str) -> tuple[Row, ...]:
    return Row(theirs + ".weight", ours + ".scale", vector), Row(theirs + ".bias", ours + ".shift", vector)


def parts(block: str, linears: Mapping[str, str], norms: Mapping[str, str]) -> tuple[Row, ...]:
    """The rows of a block: theirs -> ours of its linear maps, and of its norms."""
    return (*(row for theirs, own in linears.items() for row in dense(block + theirs, OURS + own)),
            *(row for theirs, own in norms.items() for row in norm(block + theirs, OURS + own)))


def labels(config: Config) -> int:
    """How many classes there are."""
    names, count = config.take("id2label", {}), config.take("num_labels", 2)
    return len(names) or count


def labelled(classes: int) -> Settings:
    names = {str(label): f"LABEL_{label}" for label in range(classes)}
    return {"id2label": names, "label2id": {name: int(label) for label, name in names.items()}}


# --- calls -----------------------------------------------------------------------------------------------------------
INPUTS = {"input_ids": "tokens", "attention_mask": "present", "token_type_ids": "kinds", "position_ids": "positions"}


@dataclass(frozen=True)
class Seen:
    """What a head gets: vectors, where they mean something, what losses are of, and the whole call."""

    hidden: Array
    present: Array | None
    wanted: Mapping[str, Array]
    call: Call


def encoder(forward: Callable[[Any, Seen], Outputs], *targets: str) -> Callable[[Any, Call], Outputs]:
    """`forward` and `base` of an encoder of texts, and `custom:embed`: one vector a text. `targets` are the names of
    what losses are of; `forward` makes the outputs beyond the hidden states."""

    def answer(model: Any, call: Call) -> Outputs:
        known(call, "forward", "base", "custom:embed", "custom:score",
              kwargs=("pooling", "normalize") if call.kind == "custom:embed" else ())
        given = asked(call, **INPUTS, **{name: name for name in targets})
        wanted = {name: given.pop(name) for name in targets if name in given}
        tokens = given.pop("tokens")
        hidden, states = _encoded(_part(model), tokens, given)
        if call.kind == "custom:embed":
            return _embedded(model, hidden, given.get("present"), **call.kwargs)
        outputs = {"last_hidden_state": hidden, "hidden_states": states}
        if hasattr(model, "pooler"):
            outputs["pooler_output"] = model.pooler(hidden)
        if call.kind == "base":
            return outputs
        outputs = {**outputs, **forward(model, Seen(hidden, given.get("present"), wanted, call))}
        return _scored(outputs) if call.kind == "custom:score" else outputs

    return answer


def _part(model: Any) -> Any:
    """The encoder itself."""
    inside = getattr(model, "encoder", getattr(model, "bert", model))
    return inside if hasattr(inside, "encode") else model


@jax.jit
def _encoded(model: Any, tokens: Array, context: dict[str, Array]) -> tuple[Array, Array]:
    watched, states = recording(model)
    hidden = watched.encode(tokens, **context)
    (own,) = states.values()
    return hidden, finished(own, hidden)


def _embedded(model: Any, hidden: Array, present: Array | None, pooling: str = "mean",
              normalize: bool = True) -> Outputs:
    if pooling not in ("mean", "cls"):
        raise Mistake(f"texts are pooled by mean or cls, not by {pooling}")
    pooled = BiEncoder(model, (pooling,), unit=False).pooled(hidden, present)
    own = unit(pooled) if normalize else pooled
    return {f"{pooling}_pooled": pooled, "sentence_embedding": own, "similarity": own @ own.T}


def _scored(outputs: Outputs) -> Outputs:
    """A text's fitness, by the first of its logits."""
    if "logits" not in outputs or outputs["logits"].ndim != 2:
        raise Mistake("only a model that classifies texts scores them")
    logits = outputs["logits"][:, 0]
    return {"logits": logits, "prob": jax.nn.sigmoid(logits)}


def nothing(model: Pooled, seen: Seen) -> Outputs:
    return {}


def words(model: Any, seen: Seen) -> Outputs:
    logits = model.words(seen.hidden)
    return {"logits": logits, **({"loss": cross_entropy(logits, seen.wanted["labels"])} if seen.wanted else {})}


def both(model: Pretraining, seen: Seen) -> Outputs:
    masked, follows = model.words(seen.hidden), model.follows(seen.hidden)
    outputs = {"prediction_logits": masked, "seq_relationship_logits": follows}
    if len(seen.wanted) < 2:
        return outputs
    loss = cross_entropy(masked, seen.wanted["labels"]) + cross_entropy(follows, seen.wanted["next_sentence_label"].reshape(-1))
    return {**outputs, "loss": loss}


def classes(model: TextClasses, seen: Seen) -> Outputs:
    logits = model.logits(seen.hidden)
    return {"logits": logits, **loss_of_classes(logits, seen.wanted.get("labels"), seen.call)}


def tags(model: TokenClasses, seen: Seen) -> Outputs:
    logits = model.logits(seen.hidden)
    return {"logits": logits, **({"loss": cross_entropy(logits, seen.wanted["labels"])} if seen.wanted else {})}


def answers(model: TokenClasses, seen: Seen) -> Outputs:
    starts, ends = jnp.moveaxis(model.logits(seen.hidden), -1, 0)
    outputs = {"start_logits": starts, "end_logits": ends}
    if len(seen.wanted) < 2:
        return outputs
    length = starts.shape[1]  # an answer beyond the text is not counted
    places = {name: jnp.where(own.reshape(-1) >= length, IGNORED, jnp.maximum(own.reshape(-1), 0))
              for name, own in seen.wanted.items()}
    loss = cross_entropy(starts, places["start_positions"]) + cross_entropy(ends, places["end_positions"])
    return {**outputs, "loss": loss / 2}
