"""Speech of ten sounds: a throat that hums or whistles through formants, in two languages with number words and names.

Every speaker has a pitch, a length of throat and a pace of its own, and there is noise around.
"""
import dataclasses
from collections.abc import Sequence

import numpy as np

from transformer.data.sound import RATE
from transformer.data.speech import Spoken

FORMANTS = {"i": (280, 2300), "y": (290, 1750), "u": (300, 750), "e": (430, 2050), "ö": (440, 1450), "o": (450, 850),
            "ä": (630, 1800), "õ": (620, 1300), "å": (640, 950), "a": (850, 1350)}  # Hertz
THIRD, BREADTHS = 2700, (60, 90, 140)  # the third formant, and how broad each is
SOUNDS = tuple(FORMANTS)
# The same ten sounds are spelled in other letters in the other language.
SPELLED = {"north": dict(zip(SOUNDS, SOUNDS, strict=True)), "south": dict(zip(SOUNDS, "wjvbdgkhlm", strict=True))}
NUMBERS = {"north": ("ai", "eo", "uy", "öa", "åi", "iäu", "õe", "yoa", "äå", "uõö"),
           "south": ("oi", "ae", "yu", "äö", "ieå", "uo", "aõ", "eyi", "öu", "åä")}
ENGLISH = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


@dataclasses.dataclass(frozen=True)
class Voices:
    """Between what speakers differ: Hertz, times the usual throat, seconds of a sound, decibels of it above the noise."""

    pitches: tuple[tuple[float, float], ...] = ((90, 220),)
    throats: tuple[float, float] = (0.93, 1.07)
    paces: tuple[tuple[float, float], ...] = ((0.09, 0.15),)
    noises: tuple[float, float] = (20, 40)


KNOWN = Voices()
STRANGE = Voices(pitches=((75, 88), (225, 250)), paces=((0.075, 0.085), (0.155, 0.17)), noises=(12, 18))


def utterances(count: int, seed: int, voices: Voices = KNOWN) -> list[Spoken]:
    """So many, in both languages: to be written down as they are spelled, or, if all words are numbers, in English."""
    random = np.random.default_rng(seed)
    return [_utterance(random, voices) for _ in range(count)]


def _utterance(random: np.random.Generator, voices: Voices) -> Spoken:
    language, task = str(random.choice(list(NUMBERS))), str(random.choice(["transcribe", "translate"]))
    said, written = [], []
    for _ in range(random.integers(1, 4)):
        number = int(random.integers(10))
        sounds = NUMBERS[language][number]
        if task == "transcribe" and random.random() < 0.5:  # a name
            sounds = "".join(random.choice(SOUNDS, random.integers(2, 4)))
        said.append(sounds)
        written.append(ENGLISH[number] if task == "translate" else "".join(SPELLED[language][sound] for sound in sounds))
    return Spoken(voiced(said, random, voices), " ".join(written), language, task)


def voiced(words: Sequence[str], random: np.random.Generator, voices: Voices = KNOWN) -> np.ndarray:
    """The sound of words, by a speaker drawn from these voices."""
    pitch, pace = (random.uniform(*ranges[random.integers(len(ranges))]) for ranges in (voices.pitches, voices.paces))
    throat = random.uniform(*voices.throats)
    lengths = [[int(pace * random.uniform(0.9, 1.1) * RATE) for _ in word] for word in words]
    pauses = [int(random.uniform(0.06, 0.1) * RATE) for _ in words]
    wave = np.zeros(sum(map(sum, lengths)) + sum(pauses) + RATE // 10)
    at = int(random.uniform(0.02, 0.1) * RATE)
    for word, sizes, pause in zip(words, lengths, pauses, strict=True):
        for sound, size in zip(word, sizes, strict=True):
            hummed = _hummed(pitch * (1 - 0.1 * at / len(wave)), size, random) * np.hanning(size) ** 0.25
            rung = np.fft.irfft(np.fft.rfft(hummed, 4096) * _throat(sound, throat), 4096)[:len(wave) - at]
            wave[at:at + len(rung)] += rung
            at += size
        at += pause
    wave *= random.uniform(0.3, 0.9) / np.abs(wave).max()
    noise = np.sqrt((wave**2).mean()) * 10 ** (-random.uniform(*voices.noises) / 20)
    return (wave + noise * random.normal(size=len(wave))).astype(np.float32)


def _hummed(pitch: float, samples: int, random: np.random.Generator) -> np.ndarray:
    """A puff of air in every period, which is never quite the same."""
    periods = RATE / pitch * random.normal(1, 0.01, int(samples / RATE * pitch) + 2)
    puffs = np.cumsum(periods).astype(int)
    wave = np.zeros(samples)
    wave[puffs[puffs < samples]] = 1.0
    return wave


def _throat(sound: str, length: float) -> np.ndarray:
    """How much of each frequency a throat lets through."""
    frequencies = np.fft.rfftfreq(4096, 1 / RATE)
    through = 1 + frequencies / 1000  # a mouth sends out what is high more easily
    for formant, breadth in zip((*FORMANTS[sound], THIRD), BREADTHS, strict=True):
        own = formant * length
        through = through * own**2 / (own**2 - frequencies**2 + 1j * frequencies * breadth)
    return through
