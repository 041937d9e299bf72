"""Whisper's rules for timestamps (Radford et al. 2022): they come in pairs, never go back, and open every text."""
import jax
import jax.numpy as jnp
from flax import struct

from transformer.decoding.text import Text
from transformer.decoding.warpers import Number

Array = jax.Array


@struct.dataclass
class Timestamps:
    """Tokens above `silent` (the token for "no timestamps") are times, in steps of 20 ms; below `end` lies text.

    The first time is at most `latest` steps in.
    """

    silent: Number
    end: Number
    latest: Number = None

    def __call__(self, logits: Array, text: Text) -> Array:
        first, vocab = self.silent + 1, jnp.arange(logits.shape[-1])[None]
        time = vocab >= first
        banned = (vocab == self.silent) | self._out_of_turn(text, time, vocab) | (time & (vocab < self._next(text)[:, None]))
        opening = ~time if self.latest is None else ~time | (vocab > first + self.latest)
        logits = jnp.where(banned | ((text.new == 0) & opening), -jnp.inf, logits)
        # A time is due as soon as all times together are likelier than any one word.
        logs = jax.nn.log_softmax(logits)
        times = jax.nn.logsumexp(jnp.where(time, logs, -jnp.inf), axis=-1, keepdims=True)
        words = jnp.where(time, -jnp.inf, logs).max(-1, keepdims=True)
        return jnp.where((times > words) & ~time, -jnp.inf, logits)

    def _latest(self, text: Text) -> tuple[Array, Array]:
        """Whether the last new token is a time, and the one before it (or there is none)."""
        before, last = (text.last(2) > self.silent).T
        return (text.new >= 1) & last, (text.new < 2) | before

    def _out_of_turn(self, text: Text, time: Array, vocab: Array) -> Array:
        """After a pair of times comes no third; after a single one no word."""
        last, before = self._latest(text)
        return (last & before)[:, None] & time | (last & ~before)[:, None] & (vocab < self.end)

    def _next(self, text: Text) -> Array:
        """Times never go back [b]; only the second of a pair may repeat the first."""
        written = jnp.arange(text.tokens.shape[1])[None] >= text.begin
        said = jnp.where(written & (text.tokens > self.silent), jnp.arange(text.tokens.shape[1])[None], -1).max(-1)
        time = jnp.take_along_axis(text.tokens, jnp.maximum(said, 0)[:, None], -1)[:, 0]
        last, before = self._latest(text)
        return jnp.where(said < 0, 0, jnp.where(last & ~before, time, time + 1))
