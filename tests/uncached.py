"""Any model, decoded the slow way: what it carries is the text so far, and at every step all of it is read again."""
from typing import Any

import jax.numpy as jnp
from flax import struct


@struct.dataclass
class Read:
    text: Any  # [b, l]
    count: Any  # how many tokens of it each row has read [b, 1]
    source: Any = None
    seen: Any = None


@struct.dataclass
class Uncached:
    """`start` takes the source itself where the model has an encoder."""

    model: Any

    @property
    def vocab(self) -> int | None:
        return getattr(self.model, "vocab", None)

    def start(self, source: Any, length: int, seen: Any = None) -> Read:
        source, rows = (None, source) if isinstance(source, int) else (source, len(source))
        return Read(jnp.zeros((rows, length), jnp.int32), jnp.zeros((rows, 1), jnp.int32), source, seen)

    def decode(self, tokens: Any, cache: Read, present: Any = None) -> tuple[Any, Read]:
        present = jnp.ones(tokens.shape, bool) if present is None else present
        at = cache.count + jnp.cumsum(present, -1) - 1
        rows, length = jnp.arange(len(tokens))[:, None], cache.text.shape[1]
        text = cache.text.at[rows, jnp.where(present, at, length)].set(tokens, mode="drop")
        source = () if cache.source is None else (cache.source,)
        hidden = self.model.hidden(*source, text, **({"present": cache.seen} if source else {}))
        read = Read(text, cache.count + present.sum(-1, keepdims=True), cache.source, cache.seen)
        return self.logits(jnp.take_along_axis(hidden, jnp.maximum(at, 0)[..., None], 1)), read

    def logits(self, hidden: Any) -> Any:
        return self.model.logits(hidden)
