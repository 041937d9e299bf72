"""python -m transformer transcribe DIR SOUND.wav      what was said: a Whisper writes it down

  --language en          what is spoken; found out from the first window if not said
  --task translate       into English; transcribe unless said
  --timestamps           a line for each segment, with its times
  --json                 all there is to know, as one JSON object
  --remember false       each window for itself: slips cannot spread, and spelling may change
  --seed 0               of what is drawn where the likeliest text is doubtful
"""
import dataclasses
import json
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from transformer import knobs, speaker
from transformer.compiled import encoded
from transformer.data.sound import HOP, RATE, log_mel
from transformer.data.tokenizers import Tokenizer
from transformer.data.waves import heard
from transformer.decoding import Greedy, Sample, generate, left_padded
from transformer.decoding.listening import FRAMES, Heard, Segment, Written, listen
from transformer.decoding.processors import Suppress
from transformer.decoding.timestamps import Timestamps
from transformer.mistakes import Mistake
from transformer.models.whisper import Whisper

LATEST = 50  # the first time is at most one second in
TASKS = ("transcribe", "translate")
MULTILINGUAL = 51865  # tokens, at least, in the vocabulary of a Whisper that was taught languages


@dataclasses.dataclass(frozen=True)
class Signs:
    """The tokens by which Whisper is told what to do, and tells what it hears."""

    start: int
    end: int
    first: int  # the time 0.00; the token before it is "no timestamps"
    previous: int | None  # what was said before follows it
    silence: int | None
    languages: Mapping[str, int]
    tasks: Mapping[str, int]

    @classmethod
    def of(cls, tokenizer: Tokenizer, settings: Mapping[str, Any], multilingual: bool, name: str) -> "Signs":
        """As the tokenizer calls them, or else as generation_config.json numbers them.

        Every tokenizer has the tokens of languages and tasks, but an English-only Whisper never saw them.
        """
        def sign(word: str, setting: str) -> int | None:
            found = tokenizer.core.token_to_id(f"<|{word}|>")
            return settings.get(setting) if found is None else found

        start, end, none = (sign("startoftranscript", "decoder_start_token_id"), sign("endoftext", "eos_token_id"),
                            sign("notimestamps", "no_timestamps_token_id"))
        if start is None or end is None or none is None:
            raise Mistake(f"the tokenizer of {name} has no <|startoftranscript|>, <|endoftext|> and <|notimestamps|>, "
                          f"by which a Whisper is told what to do; give the tokenizer.json that belongs to it")
        silence = next((id for word in ("nospeech", "nocaptions") if (id := sign(word, "")) is not None), None)
        tasks = {task: id for task in TASKS if multilingual and (id := sign(task, "")) is not None}
        languages = _languages(tokenizer, settings, start, tasks) if multilingual else {}
        return cls(start, end, none + 1, sign("startofprev", "prev_sot_token_id"), silence, languages, tasks)

    def told(self, language: str | None, task: str) -> list[int]:
        """What the decoder is told before it writes; an English-only Whisper needs no more than the start."""
        if language is None:
            return [self.start]
        return [self.start, self.languages[language], *([self.tasks[task]] if task in self.tasks else [])]


def _languages(tokenizer: Tokenizer, settings: Mapping[str, Any], start: int, tasks: Mapping[str, int]) -> dict[str, int]:
    """They lie between the start and the tasks."""
    if settings.get("lang_to_id"):
        return {word.strip("<|>"): id for word, id in settings["lang_to_id"].items()}
    names = {id: tokenizer.core.id_to_token(id) or "" for id in range(start + 1, min(tasks.values(), default=start))}
    return {word.strip("<|>"): id for id, word in names.items()}


@dataclasses.dataclass(frozen=True)
class Ear:
    """A Whisper that hears one sound."""

    model: Whisper
    tokenizer: Tokenizer
    signs: Signs
    sound: np.ndarray  # [frames, mels], and behind them a window of silence
    rules: tuple[Any, ...]
    key: jax.Array

    @property
    def window(self) -> int:
        return FRAMES * len(self.model.encoder.positions.table)

    @property
    def frames(self) -> int:
        return len(self.sound) - self.window

    def memory(self, at: int) -> jax.Array:
        """What is heard of the window that begins at a frame; beyond the sound there is silence."""
        frames = self.sound[at:min(at + self.window, self.frames)]
        return encoded(self.model, np.pad(frames, ((0, self.window - len(frames)), (0, 0)))[None])

    def language(self) -> str | None:
        """The likeliest of those it knows, by the first window."""
        if not self.signs.languages:
            return None
        chances = self._next(self.memory(0), [self.signs.start])
        return max(self.signs.languages, key=lambda name: chances[self.signs.languages[name]])

    def hear(self, told: Sequence[int], at: int, said: Sequence[int]) -> Written:
        """Listens to a window once, to write it down at as many temperatures as it takes."""
        memory, length = self.memory(at), len(self.model.positions.table)
        before = [] if self.signs.previous is None or not said else [self.signs.previous, *said[-(length // 2 - 1):]]
        prompt = [*before, *told]
        key = jax.random.fold_in(self.key, at)
        silence = 0.0 if self.signs.silence is None else float(self._next(memory, [*before, self.signs.start])[self.signs.silence])

        def written(temperature: float) -> Heard:
            found = generate(self.model, [prompt], most=min(length // 2, length - len(prompt)), memory=memory, ends=self.signs.end,
                             strategy=Sample(temperature) if temperature > 0 else Greedy(), processors=self.rules, key=key)
            ((tokens,),) = found.texts()
            logprob = float(found.scores[0, 0]) / (len(tokens) + (tokens[-1:] != [self.signs.end]))
            tokens = [token for token in tokens if token != self.signs.end]
            return Heard(tokens, self.text(tokens), logprob, silence, temperature)

        return written

    def text(self, tokens: Sequence[int]) -> str:
        return self.tokenizer.decode([token for token in tokens if token < self.signs.first]).strip()

    def _next(self, memory: jax.Array, tokens: list[int]) -> np.ndarray:
        return np.asarray(_chances(self.model, memory, left_padded([tokens])))[0]


def main(name: str, words: Sequence[str]) -> int:
    if {"--help", "-h"} & {name, *words}:
        print(__doc__)
        return 0
    if not words or words[0].startswith("-"):
        raise Mistake(f"transcribe wants a sound file after the directory, as in python -m transformer transcribe {name} speech.wav")
    (given,) = knobs.parse(words[1:], transcribed)
    return transcribed(name, words[0], **given)


def transcribed(name: str, file: str, *, language: str | None = None, task: str = "transcribe", timestamps: bool = False,
                json_: bool = False, remember: bool = True, seed: int = 0) -> int:
    """Prints what was said, as it is understood."""
    if task not in TASKS:
        raise Mistake(f"no task {task!r}; there are {' and '.join(TASKS)}")
    ear = _ear(name, heard(file), seed)
    languages = ear.signs.languages
    if language is not None and language not in languages:
        raise Mistake(f"{name} knows no language {language!r}; " + (f"there are {', '.join(sorted(languages))}" if languages
                      else "it knows English only: leave --language out"))
    if task == "translate" and task not in ear.signs.tasks:
        raise Mistake(f"{name} cannot translate: leave --task out")
    language = language or ear.language()
    told, segments = ear.signs.told(language, task), []
    for segment in listen(partial(ear.hear, told), ear.frames, ear.window, ear.signs.first, remembers=remember):
        segments.append(segment)
        if not json_:
            times = f"[{clock(segment.start)} --> {clock(segment.end)}] " if timestamps else ""
            print(times + ear.text(segment.tokens), flush=True)
    if json_:
        print(_json(ear, language, segments))
    return 0


def clock(seconds: float) -> str:
    """Minutes, seconds and milliseconds; hours where there are any."""
    minutes, milli = divmod(round(1000 * seconds), 60_000)
    hours, minutes = divmod(minutes, 60)
    return (f"{hours:02d}:" if hours else "") + f"{minutes:02d}:{milli // 1000:02d}.{milli % 1000:03d}"


def _ear(name: str, wave: np.ndarray, seed: int) -> Ear:
    own = speaker.opened(name)
    if not isinstance(own.model, Whisper):
        raise Mistake(f"{name} is a {type(own.model).__name__}, which hears nothing: transcribe wants a Whisper")
    if own.tokenizer is None:
        raise Mistake(f"{name} has no tokenizer.json, without which nothing can be written down; put it beside the weights")
    model = own.model
    signs = Signs.of(own.tokenizer, own.settings, own.settings.get("is_multilingual", len(model.tokens.table) >= MULTILINGUAL), name)
    window = FRAMES * len(model.encoder.positions.table)
    # The loudest moment of the whole sound says what is silence, and beyond its end all is silent.
    frames = -(-len(wave) // HOP)
    seconds = -(-(frames + window) * HOP // RATE)
    sound = log_mel([wave], seconds, model.encoder.first.kernel.shape[1])[0][0][: frames + window]
    suppressed = sorted({*range(signs.end + 1, signs.first), *(own.settings.get("suppress_tokens") or ())})
    latest = own.settings.get("max_initial_timestamp_index", LATEST)
    at_first = own.settings.get("begin_suppress_tokens") or [signs.end]
    rules = (Suppress(np.asarray(at_first), 0), Suppress(np.asarray(suppressed)), Timestamps(signs.first - 1, signs.end, latest))
    return Ear(model, own.tokenizer, signs, sound, rules, jax.random.key(seed))


def _json(ear: Ear, language: str | None, segments: Sequence[Segment]) -> str:
    told = [{"start": round(one.start, 2), "end": round(one.end, 2), "text": ear.text(one.tokens), "tokens": one.tokens,
             "temperature": one.heard.temperature, "avg_logprob": one.heard.logprob,
             "compression_ratio": one.heard.compression, "no_speech_prob": one.heard.silence} for one in segments]
    return json.dumps({"text": " ".join(one["text"] for one in told), "language": language, "segments": told}, ensure_ascii=False)


@jax.jit
def _chances(model: Any, memory: jax.Array, rows: Any) -> jax.Array:
    """Of the next token, after rows with -1 in front."""
    cache = model.start(memory, rows.shape[1])
    return jax.nn.softmax(model.decode(jnp.maximum(rows, 0), cache, rows >= 0)[0][:, -1])
