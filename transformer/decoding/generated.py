"""What came out, on the host."""
import dataclasses
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True)
class Generated:
    """For each row `count` texts, best first: new tokens [rows, count, t], the end included and `pad` after it."""

    tokens: np.ndarray
    lengths: np.ndarray  # [rows, count]
    scores: np.ndarray  # [rows, count]: log-probabilities summed, in a beam search divided by length ** penalty
    logprobs: np.ndarray | None = None  # [rows, count, t]
    origins: np.ndarray | None = None  # [rows, count, t]: of a beam search, the beam each token was added to; -1 after the end

    @classmethod
    def cut(cls, tokens: Any, begin: int, pad: int, scores: Any, logprobs: Any = None, origins: Any = None) -> "Generated":
        """From rows as they stand on the device [rows, count, l], -1 where nothing was written, prompts still in front."""
        new = np.asarray(tokens)[..., int(begin):]
        lengths = (new >= 0).sum(-1)
        longest = int(lengths.max())
        new, *rest = (None if x is None else np.asarray(x)[..., -new.shape[-1]:][..., :longest] for x in (new, logprobs, origins))
        return cls(np.where(new < 0, pad, new), lengths, np.asarray(scores), *rest)

    def texts(self) -> list[list[list[int]]]:
        """The tokens of each row's texts, without padding."""
        return [[row[:length].tolist() for row, length in zip(rows, lengths, strict=True)]
                for rows, lengths in zip(self.tokens, self.lengths, strict=True)]
