"""Contrastive search (Su et al. 2022): likely, and unlike what has been said.

Of the k likeliest tokens the one is taken whose (1 - alpha) chance - alpha likeness is highest, where likeness is the largest
cosine between its hidden state and any before it.
"""
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from transformer.decoding.carried import Carried
from transformer.decoding.generated import Generated
from transformer.decoding.sampling import Process, noted
from transformer.decoding.text import Asked, Text
from transformer.decoding.warpers import Number, check
from transformer.layers import static
from transformer.mistakes import Mistake

Array = jax.Array


class Headless:
    """The same model stopped before its logits: every family's `decode` ends in `self.logits`, which here hands on its input."""

    def __init__(self, model: Any) -> None:
        if not hasattr(model, "logits"):
            raise Mistake(f"contrastive search looks at hidden states, but {type(model).__name__} has no `logits(hidden)`")
        self._model = model

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def logits(self, hidden: Array) -> Array:
        return hidden

    def decode(self, tokens: Array, cache: Any, present: Array | None = None) -> tuple[Array, Any]:
        return type(self._model).decode(self, tokens, cache, present)  # type: ignore[arg-type]


@struct.dataclass
class Considered:
    """Rows as they stand: unlike elsewhere the last token has been read, and its logits wait."""

    text: Text
    carried: Carried
    logits: Array  # [b, v]
    states: Array  # [b, l, d]: unit hidden states of all that was read, zero elsewhere
    done: Array
    logprobs: Array


@struct.dataclass
class Contrastive:
    k: int = static(4)
    alpha: Number = 0.6

    def __post_init__(self) -> None:
        check("k", self.k, 1, low_fits=True)
        check("alpha", self.alpha, 0, 1, low_fits=True)
        if isinstance(self.alpha, int):
            object.__setattr__(self, "alpha", float(self.alpha))

    def room(self, most: int) -> int:
        return most

    def begin(self, model: Any, asked: Asked) -> Considered:
        text, there = asked.text(), asked.prompt >= 0
        hidden, carried = Carried.started(model, asked).decode(Headless(model), jnp.maximum(asked.prompt, 0), there)
        states = jnp.pad(_unit(hidden) * there[..., None], ((0, 0), (0, asked.length - there.shape[1]), (0, 0)))
        return Considered(text, carried, model.logits(hidden[:, -1:])[:, 0], states, jnp.zeros(len(there), bool),
                          jnp.zeros(text.tokens.shape))

    def open(self, state: Considered) -> Array:
        return ~state.done.all() & (state.text.new < state.text.most)

    def step(self, model: Any, state: Considered, process: Process) -> Considered:
        rows, text = len(state.done), state.text
        logprobs = jax.nn.log_softmax(process(state.logits, text))
        likely, candidates = jax.lax.top_k(logprobs, self.k)
        hidden, carried = state.carried.repeat(self.k).decode(
            Headless(model), candidates.reshape(-1, 1), jnp.repeat(~state.done, self.k)[:, None])
        units = _unit(hidden).reshape(rows, self.k, -1)
        likeness = jnp.where(_read(state)[:, None], jnp.einsum("bkd,bld->bkl", units, state.states), -1.0).max(-1)
        best = ((1 - self.alpha) * jnp.exp(likely) - self.alpha * likeness).argmax(-1)[:, None]
        at = jnp.arange(rows) * self.k + best[:, 0]
        chosen, unit = jnp.take_along_axis(candidates, best, 1)[:, 0], jnp.take_along_axis(units, best[..., None], 1)
        logprob = jnp.where(state.done, 0.0, jnp.take_along_axis(likely, best, 1)[:, 0])
        chosen = jnp.where(state.done, -1, chosen.astype(jnp.int32))
        return Considered(text.write(chosen), carried.take(at), model.logits(hidden[at])[:, 0],
                          jax.lax.dynamic_update_slice_in_dim(state.states, unit.astype(state.states.dtype), text.end, 1),
                          state.done | text.ending(chosen), noted(state.logprobs, logprob, text.end))

    def result(self, state: Considered, pad: int) -> Generated:
        tokens, logprobs, begin = jax.device_get((state.text.tokens, state.logprobs, state.text.begin))
        return Generated.cut(tokens[:, None], begin, pad, logprobs.sum(-1)[:, None], logprobs[:, None])


def _read(state: Considered) -> Array:
    """What has been read [b, l]: a row that has ended keeps its old states, and looks at them in vain."""
    return state.text.tokens >= 0


def _unit(hidden: Array) -> Array:
    hidden = hidden.astype(jnp.float32)
    return hidden / jnp.maximum(jnp.linalg.norm(hidden, axis=-1, keepdims=True), 1e-12)
