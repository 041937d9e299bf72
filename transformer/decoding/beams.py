"""Beam search: the likeliest whole texts rather than the likeliest next tokens.

The rules are those of transformers 5: of each row's candidates the best max(2, 1 + ends) x beams are looked at; those that
end compete with the finished ones if they are among the best `beams`, the best others run on. Beams may be split into
groups, each kept from saying what earlier groups just said (Vijayakumar et al. 2018).
"""
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from transformer.decoding.carried import Carried
from transformer.decoding.generated import Generated
from transformer.decoding.sampling import Process, fed
from transformer.decoding.text import Asked, Text
from transformer.decoding.warpers import Number, check
from transformer.layers import static
from transformer.mistakes import Mistake

Array = jax.Array
NEVER = -1e9  # added to the score of what must not win


@struct.dataclass
class Hypotheses:
    """Texts and their scores [rows, n], and for each token the beam it was added to [rows, n, l]."""

    tokens: Array
    origins: Array
    scores: Array

    def take(self, best: Array) -> "Hypotheses":
        return Hypotheses(*(jnp.take_along_axis(x, best.reshape(best.shape + (1,) * (x.ndim - 2)), 1)
                            for x in (self.tokens, self.origins, self.scores)))

    def scored(self, scores: Array) -> "Hypotheses":
        return replace(self, scores=scores)

    def extended(self, parents: Array, tokens: Array, scores: Array, at: Array) -> "Hypotheses":
        """One token more for these parents [rows, m]."""
        chosen = self.take(parents)

        def put(x: Array, new: Array) -> Array:
            return jax.lax.dynamic_update_slice_in_dim(x, new[..., None].astype(x.dtype), at, 2)

        return Hypotheses(put(chosen.tokens, tokens), put(chosen.origins, parents), scores)


@struct.dataclass
class Group:
    """One search: what runs on, what has ended and is among the best, and whether it can still get better."""

    running: Hypotheses
    finished: Hypotheses
    ended: Array  # [rows, beams]: whether that place among the finished is taken
    hopeful: Array  # [rows]
    stuck: Array  # []: no running beam can go on


@struct.dataclass
class Searched:
    text: Text
    carried: Carried
    groups: Group  # each leaf [groups, rows, ...]


@struct.dataclass
class Beams:
    """`early` ends a row's search: "full" as soon as `beams` texts have ended, "likely" when at today's length no running
    one would do better, "never" when none can at any length (True, False and "never" of transformers)."""

    beams: int = static(4)
    count: int = static(1)
    length_penalty: Number = 1.0
    early: str = static("likely")
    groups: int = static(1)
    diversity: Number = 0.0

    def __post_init__(self) -> None:
        check("the number of beams", self.beams, 1, low_fits=True)
        check("the number of groups", self.groups, 1, low_fits=True)
        check("the count", self.count, 1, self.beams, low_fits=True)
        if self.beams % self.groups:
            raise Mistake(f"{self.beams} beams cannot be split into {self.groups} groups: take a multiple")
        if self.early not in ("full", "likely", "never"):
            raise Mistake(f"`early` is {self.early!r}; it must be 'full', 'likely' or 'never'")
        for name in ("length_penalty", "diversity"):
            if isinstance(getattr(self, name), int):
                object.__setattr__(self, name, float(getattr(self, name)))

    def room(self, most: int) -> int:
        return most

    def begin(self, model: Any, asked: Asked) -> Searched:
        text = asked.text(self.beams)
        shape = (self.groups, len(asked.prompt), self.beams // self.groups)
        tokens = self._grouped(text.tokens)
        # At first all beams are alike: only the first of each group counts.
        running = Hypotheses(tokens, jnp.full_like(tokens, -1), jnp.zeros(shape).at[:, :, 1:].set(NEVER))
        group = Group(running, running.scored(jnp.full(shape, NEVER)), jnp.zeros(shape, bool),
                      jnp.ones(shape[:2], bool), jnp.zeros(self.groups, bool))
        return Searched(text, Carried.prefilled(model, asked).repeat(self.beams), group)

    def open(self, state: Searched) -> Array:
        full = state.groups.ended.all((1, 2)) & (self.early == "full")
        return (state.groups.hopeful.any(1) & ~full & ~state.groups.stuck).any()

    def step(self, model: Any, state: Searched, process: Process) -> Searched:
        text = state.text
        logits, carried = fed(model, text, state.carried, jnp.ones(len(text.tokens), bool))
        logprobs = self._grouped(process(jax.nn.log_softmax(logits), text))

        def search(said: Array, own: tuple[Group, Array]) -> tuple[Array, Group]:
            group, logprobs = own
            group = self._advanced(group, logprobs - self.diversity * said[:, None], text)
            chosen = jax.lax.dynamic_index_in_dim(group.running.tokens, text.end, 2, keepdims=False)
            return said + jax.nn.one_hot(chosen, said.shape[-1]).sum(1), group

        _, groups = jax.lax.scan(search, jnp.zeros((logprobs.shape[1], logprobs.shape[-1])), (state.groups, logprobs))
        parents = jax.lax.dynamic_index_in_dim(groups.running.origins, text.end, 3, keepdims=False)
        text = replace(text, tokens=self._flat(groups.running.tokens), end=text.end + 1)
        return Searched(text, carried.take(self._flat(self._numbered(parents))), groups)

    def result(self, state: Searched, pad: int) -> Generated:
        finished, begin = jax.device_get((state.groups.finished, state.text.begin))
        origins = np.where(finished.origins < 0, -1, self._numbered(finished.origins))
        tokens, origins, scores = (np.moveaxis(np.asarray(x), 0, 1).reshape(x.shape[1], self.beams, *x.shape[3:])
                                   for x in (finished.tokens, origins, finished.scores))
        best = np.argsort(-scores, axis=1, kind="stable")[:, : self.count]
        tokens, origins = (np.take_along_axis(x, best[..., None], 1) for x in (tokens, origins))
        return Generated.cut(tokens, begin, pad, np.take_along_axis(scores, best, 1), origins=origins)

    def _advanced(self, group: Group, logprobs: Array, text: Text) -> Group:
        """One search one token further, given log-probabilities [rows, beams, v]."""
        rows, beams, vocab = logprobs.shape
        looked_at = min(max(2, 1 + len(text.ends)) * beams, beams * vocab)
        totals = (logprobs + group.running.scores[..., None]).reshape(rows, -1)
        scores, at = jax.lax.top_k(totals, looked_at)
        candidates = group.running.extended(at // vocab, at % vocab, scores, text.end)
        ends = text.ending(at % vocab) | (text.new + 1 >= text.most)
        running = _best(candidates.scored(scores + ends * NEVER), beams)[0]
        finished, ended = self._settled(group, candidates, ends & (jnp.arange(looked_at) < beams)[None], text)
        hopeful = group.hopeful & self._hopeful(running, finished, ended, text)
        return Group(running, finished, ended, hopeful, ends.all())

    def _settled(self, group: Group, candidates: Hypotheses, just_ended: Array, text: Text) -> tuple[Hypotheses, Array]:
        """The best of what has ended before and now, and which places hold something."""
        full = group.ended.all(1) & (self.early == "full")
        closed = (full | ~group.hopeful)[:, None]
        scores = candidates.scores / self._length(text.new + 1) + closed * NEVER + ~just_ended * NEVER
        both = jax.tree.map(lambda a, b: jnp.concatenate([a, b], 1), group.finished, candidates.scored(scores))
        finished, best = _best(both, group.ended.shape[1])
        return finished, jnp.take_along_axis(jnp.concatenate([group.ended, just_ended], 1), best, 1)

    def _hopeful(self, running: Hypotheses, finished: Hypotheses, ended: Array, text: Text) -> Array:
        """Whether the best running text would beat the worst finished one [rows]."""
        length = text.new + 1
        if self.early == "never":
            length = jnp.where(self.length_penalty > 0, text.most, length)
        worst = jnp.where(ended, finished.scores.min(1, keepdims=True), NEVER)
        return (running.scores[:, :1] / self._length(length) > worst).any(1)

    def _length(self, length: Array) -> Array:
        return jnp.power(length.astype(jnp.float32), self.length_penalty)

    def _grouped(self, x: Array) -> Array:
        """[rows x beams, ...] as [groups, rows, beams of a group, ...]: every row's groups lie side by side."""
        return jnp.moveaxis(x.reshape(-1, self.groups, self.beams // self.groups, *x.shape[1:]), 1, 0)

    def _flat(self, x: Array) -> Array:
        return jnp.moveaxis(x, 0, 1).reshape(-1, *x.shape[3:])

    def _numbered(self, parents: Any) -> Any:
        """From a beam's number in its group to its number in the batch."""
        group, row = np.arange(self.groups), np.arange(parents.shape[1])
        first = row[None] * self.beams + group[:, None] * (self.beams // self.groups)
        return parents + first.reshape(first.shape + (1,) * (parents.ndim - 2))


def _best(hypotheses: Hypotheses, count: int) -> tuple[Hypotheses, Array]:
    scores, best = jax.lax.top_k(hypotheses.scores, count)
    return hypotheses.take(best).scored(scores), best
