"""A language model that is three tables: as small as one can be, and with a state of its own, like a recurrent one's."""
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct


@struct.dataclass
class State:
    last: Any  # the token read last, -1 before the first
    count: Any  # how many were read


@struct.dataclass
class Tables:
    """The logits after token t at position n, which followed token s: now[t] + where[n] + before[s]."""

    now: Any
    where: Any
    before: Any

    @classmethod
    def random(cls, vocab: int, seed: int = 0, scale: float = 1.5) -> "Tables":
        draw = np.random.default_rng(seed)
        return cls(*(jnp.asarray(scale * draw.normal(size=(rows, vocab)), jnp.float32) for rows in (vocab, 40, vocab)))

    def start(self, batch: int, length: int) -> State:
        return State(jnp.full(batch, -1), jnp.zeros(batch, jnp.int32))

    def decode(self, tokens: Any, cache: State, present: Any = None) -> tuple[Any, State]:
        present = jnp.ones(tokens.shape, bool) if present is None else present

        def read(state: State, given: Any) -> tuple[State, Any]:
            token, there = given
            logits = self.logits_of(token, jnp.where(state.last < 0, token, state.last), state.count)
            return State(jnp.where(there, token, state.last), state.count + there), logits

        cache, logits = jax.lax.scan(read, cache, (tokens.T, present.T))
        return logits.swapaxes(0, 1), cache

    def logits_of(self, token: Any, before: Any, position: Any) -> Any:
        return self.now[token] + self.where[jnp.minimum(position, len(self.where) - 1)] + self.before[before]
