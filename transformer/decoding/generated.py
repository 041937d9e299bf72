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
        tokens, begin = np.asarray(tokens), int(begin)
        lengths = (tokens[..., begin:] >= 0).sum(-1)

        def new(x: Any) -> np.ndarray:
            return np.asarray(x)[..., begin:begin + int(lengths.max())]

        return cls(np.where(new(tokens) < 0, pad, new(tokens)), lengths, np.asarray(scores),
                   None if logprobs is None else new(logprobs), None if origins is None else new(origins))

    def texts(self) -> list[list[list[int]]]:
        """The tokens of each row's texts, without padding."""
        return [[row[:length].tolist() for row, length in zip(rows, lengths, strict=True)]
                for rows, lengths in zip(self.tokens, self.lengths, strict=True)]
