"""Number words as espeak-ng speaks them, if it is installed: five languages, many voices, some of them kept for the test."""
import functools
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from transformer.data import waves
from transformer.data.sound import RATE
from transformer.data.speech import Spoken
from transformer.mistakes import Mistake

NUMBERS = {
    "en": "zero one two three four five six seven eight nine",
    "de": "null eins zwei drei vier fünf sechs sieben acht neun",
    "es": "cero uno dos tres cuatro cinco seis siete ocho nueve",
    "fr": "zéro un deux trois quatre cinq six sept huit neuf",
    "it": "zero uno due tre quattro cinque sei sette otto nove",
}
HEARD, NEVER_HEARD = ("m1", "m2", "m3", "m4", "f1", "f2", "f3"), ("m5", "m7", "f4")  # voices
LONGEST = 1.9  # seconds of an utterance


def utterances(count: int, seed: int, voices: Sequence[str] = HEARD) -> list[Spoken]:
    """One number or more, as their language writes them or in English."""
    if shutil.which("espeak-ng") is None:
        raise Mistake("espeak-ng is not installed: install it, as in apt-get install espeak-ng, or leave --voice out")
    random = np.random.default_rng(seed)
    return [_utterance(random, voices) for _ in range(count)]


def _utterance(random: np.random.Generator, voices: Sequence[str]) -> Spoken:
    language, voice, task = (str(random.choice(some)) for some in (list(NUMBERS), voices, ["transcribe", "translate"]))
    take = int(random.integers(2))
    written = NUMBERS["en" if task == "translate" else language].split()
    waves_of, texts = [np.zeros(int(random.uniform(0.02, 0.1) * RATE))], list[str]()
    for number in random.integers(10, size=random.integers(1, 4)):
        word = spoken(language, voice, take)[number]
        if sum(map(len, waves_of)) + len(word) > LONGEST * RATE:
            break
        waves_of += [word, np.zeros(int(random.uniform(0.03, 0.1) * RATE))]
        texts.append(written[number])
    wave = np.concatenate(waves_of) * random.uniform(0.3, 1.0)
    noise = np.sqrt((wave**2).mean()) * 10 ** (-random.uniform(25, 45) / 20)
    return Spoken((wave + noise * random.normal(size=len(wave))).astype(np.float32), " ".join(texts), language, task)


@functools.cache
def spoken(language: str, voice: str, take: int) -> list[np.ndarray]:
    """The ten numbers by one voice; every take has a pace and a pitch of its own."""
    random = np.random.default_rng([*f"{language}{voice}{take}".encode()])
    pace, pitch = str(random.integers(140, 200)), str(random.integers(30, 70))
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / "word.wav"
        found = []
        for word in NUMBERS[language].split():
            told = ["espeak-ng", "-v", f"{language}+{voice}", "-s", pace, "-p", pitch, "-w", str(file), word]
            subprocess.run(told, check=True, capture_output=True)
            found.append(_trimmed(*waves.read(file)))
    return found


def _trimmed(wave: np.ndarray, rate: int) -> np.ndarray:
    """Without the silence around it, at our rate: as both ends are silent, by a Fourier transform of all of it."""
    wave = wave.mean(1)
    there = np.flatnonzero(np.abs(wave) > 0.01 * np.abs(wave).max())
    wave = wave[there[0]:there[-1] + 1]
    samples = round(len(wave) * RATE / rate)
    return np.fft.irfft(np.fft.rfft(wave)[:samples // 2 + 1], samples) * samples / len(wave)
