"""Sound of any length, window by window (Radford et al. 2022, section 4.5).

A window is written down as surely as it can be: first greedily, then, while the text repeats itself or is unlikely, drawn
at rising temperatures. The next window begins where the last finished sentence of this one ended.
"""
import dataclasses
import zlib
from collections.abc import Callable, Iterator, Sequence

import numpy as np

TEMPERATURES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
REPEATS, UNLIKELY, SILENCE = 2.4, -1.0, 0.6  # compression above, log-probability below, chance of silence above
WARM = 0.5  # what was drawn at a higher temperature is no good to go on from
STEP, FRAMES = 0.02, 2  # seconds that a time token counts, and frames of the spectrogram in them


@dataclasses.dataclass(frozen=True)
class Heard:
    """What was written for a window."""

    tokens: list[int]  # without the end
    text: str
    logprob: float  # of each token on average, the end included
    silence: float  # the chance that nobody speaks
    temperature: float = 0.0

    @property
    def compression(self) -> float:
        """How many times shorter the text gets when it is compressed: what repeats itself, a lot."""
        data = self.text.encode()
        return len(data) / len(zlib.compress(data))

    @property
    def silent(self) -> bool:
        """Nobody speaks, and what was written all the same is not likely."""
        return self.silence > SILENCE and self.logprob <= UNLIKELY

    @property
    def doubtful(self) -> bool:
        quiet = self.silence > SILENCE and self.logprob < UNLIKELY
        return not quiet and (self.compression > REPEATS or self.logprob < UNLIKELY)


@dataclasses.dataclass(frozen=True)
class Segment:
    """What was said from one time to another, in seconds."""

    start: float
    end: float
    tokens: list[int]
    heard: Heard


Written = Callable[[float], Heard]  # at a temperature
Hear = Callable[[int, Sequence[int]], Written]  # of the window that begins at a frame, after a text


def surely(written: Written, temperatures: Sequence[float] = TEMPERATURES) -> Heard:
    """The first that is not doubtful, or else the last."""
    heard = written(temperatures[0])
    for temperature in temperatures[1:]:
        if not heard.doubtful:
            break
        heard = written(temperature)
    return heard


def listen(hear: Hear, frames: int, window: int, first: int, temperatures: Sequence[float] = TEMPERATURES,
           remembers: bool = True) -> Iterator[Segment]:
    """The segments of so many frames. Tokens from `first` on are times; with `remembers`, each window knows what was said."""
    at, said = 0, list[int]()
    while at < frames:
        length = min(window, frames - at)
        heard = surely(hear(at, said), temperatures)
        if heard.silent:
            at += length
            continue
        found, done = parts(heard.tokens, first, length)
        begin = at / FRAMES * STEP
        segments = [Segment(begin + start * STEP, begin + end * STEP, tokens, heard) for start, end, tokens in found
                    if start != end and any(token < first for token in tokens)]
        yield from segments
        said = [*said, *(token for one in segments for token in one.tokens)] if remembers and heard.temperature <= WARM else []
        at += done


def parts(tokens: Sequence[int], first: int, length: int) -> tuple[list[tuple[float, float, list[int]]], int]:
    """The parts of a window of so many frames, each from one time step to another, and how many frames are done with.

    Two times in a row end one part and begin the next. What follows the last of them was cut off by the window's end, and
    is heard again; but where a single time ends the text, nothing follows it.
    """
    times = np.asarray(tokens, int) >= first
    closed = times[-2:].tolist() == [False, True]
    cuts = (np.flatnonzero(times[:-1] & times[1:]) + 1).tolist()
    if not cuts:
        last = max((token - first for token in tokens if token >= first), default=0)
        return [(0.0, last or length / FRAMES, list(tokens))], length
    if closed:
        cuts.append(len(tokens))
    pieces = [list(tokens[begin:end]) for begin, end in zip([0, *cuts], cuts, strict=False)]
    found = [(float(piece[0] - first), float(piece[-1] - first), piece) for piece in pieces]
    # A text whose last time is zero would be heard again for ever.
    return found, length if closed else (tokens[cuts[-1] - 1] - first) * FRAMES or length
