"""How the recorded calls of a reference are asked of our models: a function for each shape, outputs by their names."""
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from transformer.huggingface.family import Call
from transformer.huggingface.generate import generated
from transformer.looking import recording
from transformer.mistakes import Mistake
from transformer.models.last_token import LastToken

Array = jax.Array
IGNORED = -100  # the label of a position that no loss counts


TEXT = {"input_ids": "tokens", "attention_mask": "present", "position_ids": "positions", "labels": "labels"}


def decoder(model: Any, call: Call) -> Mapping[str, Any]:
    """`forward`, `base` and `generate` of a causal language model."""
    if call.kind == "generate":
        given = asked(call, input_ids="tokens", attention_mask="present")
        return generated(model, settings(call), given["tokens"], given.get("present"))
    given = asked(call, **TEXT)
    labels = given.pop("labels", None)
    outputs = _states(model, call, given)
    if call.kind == "base":
        return outputs
    if labels is not None and call.config.get("output_router_logits"):
        raise Mistake("with output_router_logits the loss is also of how evenly experts are chosen, which is not computed "
                      "here; set it to false in config.json")
    logits = _logits(model, outputs["last_hidden_state"])
    loss = {} if labels is None else {"loss": cross_entropy(logits[:, :-1], labels[:, 1:])}
    return {**outputs, "logits": logits, **loss}


def bare_decoder(model: Any, call: Call) -> Mapping[str, Any]:
    """The same without a head."""
    return _states(model, call, asked(call, **TEXT))


def last_token(model: LastToken, call: Call) -> Mapping[str, Any]:
    """A decoder that classifies texts."""
    given = asked(call, **TEXT)
    labels = given.pop("labels", None)
    outputs = _states(model.decoder, call, given)
    if call.kind == "base":
        return outputs
    logits = model.logits(outputs["last_hidden_state"], given["tokens"])
    return {**outputs, "logits": logits, **loss_of_classes(logits, labels, call)}


def loss_of_classes(logits: Array, wanted: Array | None, call: Call) -> dict[str, Array]:
    """By the kind of problem, or where it isn't said by the kind of labels; without labels there is none."""
    if wanted is None:
        return {}
    whole = jnp.issubdtype(wanted.dtype, jnp.integer)
    problem = call.config.get("problem_type") or (
        "regression" if logits.shape[-1] == 1 else
        "single_label_classification" if whole else "multi_label_classification")
    if problem == "single_label_classification":
        return {"loss": cross_entropy(logits, wanted.reshape(-1))}
    if problem == "regression":
        return {"loss": jnp.square(logits - wanted.reshape(logits.shape)).mean()}
    if problem == "multi_label_classification":
        return {"loss": (jax.nn.softplus(logits) - logits * wanted).mean()}
    raise Mistake(f"the problem_type {problem!r} is not known")


def _states(model: Any, call: Call, given: Mapping[str, Array]) -> dict[str, Array]:
    known(call, "forward", "base")
    hidden, states = _decoded(model, given["tokens"], {name: own for name, own in given.items() if name != "tokens"})
    return {"last_hidden_state": hidden, "hidden_states": states}


def asked(call: Call, **names: str) -> dict[str, Array]:
    """The inputs of a call by our names; one that is not listed is refused, and a mask is made boolean."""
    unknown = call.inputs.keys() - names.keys()
    if unknown:
        raise Mistake(f"no use is known for the inputs {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    return {names[name]: jnp.asarray(value).astype(bool) if name.endswith("mask") else jnp.asarray(value)
            for name, value in call.inputs.items()}


def settings(call: Call) -> dict[str, Any]:
    """What generation goes by: generation_config.json, and above it the call's own arguments."""
    return {**call.generation, **call.kwargs}


def known(call: Call, *kinds: str, kwargs: tuple[str, ...] = ()) -> None:
    """Refuses a call of another kind, or with arguments that nothing is made of."""
    if call.kind not in kinds:
        raise Mistake(f"calls of the kind {call.kind!r} are not known for {call.config.get('model_type')}; "
                      f"there are {', '.join(kinds)}")
    unknown = sorted(call.kwargs.keys() - set(kwargs))
    if unknown:
        raise Mistake(f"no use is known for {', '.join(unknown)} in a {call.kind} call")


@jax.jit
def cross_entropy(logits: Array, labels: Array) -> Array:
    """The mean over what is not ignored."""
    counted = labels != IGNORED
    own = jnp.take_along_axis(jax.nn.log_softmax(logits), jnp.where(counted, labels, 0)[..., None], -1)[..., 0]
    return -jnp.where(counted, own, 0.0).sum() / counted.sum()


def finished(states: Array, last: Array) -> Array:
    """Hidden states as they record them: what enters the blocks, what leaves each, and last the normalised state."""
    return jnp.concatenate([states[:-1], last[None]])


@jax.jit
def _decoded(model: Any, tokens: Array, context: dict[str, Array]) -> tuple[Array, Array]:
    watched, states = recording(model)
    hidden = watched.hidden(tokens, **context)
    (own,) = states.values()
    return hidden, finished(own, hidden)


@jax.jit
def _logits(model: Any, hidden: Array) -> Array:
    return model.logits(hidden)
