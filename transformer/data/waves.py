"""Sound files: a WAV of any common format and rate in, one channel at the rate that a model hears out.

    wave = heard("speech.wav")        float32 between -1 and 1, at 16 kHz
    write("again.wav", wave)
    paths, waves = folder("speech")   all below a folder
"""
import math
import struct
from pathlib import Path

import numpy as np

from transformer.data import files
from transformer.data.sound import RATE
from transformer.data.spectra import Frames
from transformer.mistakes import Mistake

PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE  # how a WAV calls whole numbers, floats, and "see further on"
UNKNOWN = 0xFFFFFFFF  # the length that a program writes which cannot go back to correct it
ZEROS, BETA, EDGE = 32, 12.0, 0.95  # of the filter: zero crossings on each side, Kaiser's β, the share of the band that is kept


def heard(path: str | Path, rate: int = RATE) -> np.ndarray:
    """The mean of all channels, at this rate."""
    wave, own = read(path)
    return resampled(wave.mean(1), own, rate)


def read(path: str | Path) -> tuple[np.ndarray, int]:
    """The samples [n, channels] and their rate: whole numbers of 8, 16, 24 or 32 bits, floats of 32 or 64."""
    path = Path(path)
    if not path.is_file():
        raise Mistake(f"there is no file {path}; give the path of a WAV file")
    data = path.read_bytes()
    if len(data) < 12 or data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise Mistake(f"{path} is no WAV file{' but empty' if not data else ''}; convert it, as in ffmpeg -i {path} sound.wav")
    chunks = _chunks(data, path)
    if len(chunks.get(b"fmt ", b"")) < 16 or b"data" not in chunks:
        raise Mistake(f"{path} was cut off before its sound begins; copy or convert it again")
    kind, channels, rate, _, _, bits = struct.unpack("<HHIIHH", chunks[b"fmt "][:16])
    if kind == EXTENSIBLE and len(chunks[b"fmt "]) >= 26:
        kind = struct.unpack("<H", chunks[b"fmt "][24:26])[0]
    if not rate or not channels:
        raise Mistake(f"{path} says that it has {channels} channels at {rate} samples a second; both must be at least 1")
    wave = _samples(chunks[b"data"], kind, bits, path)
    if len(wave) < channels:
        raise Mistake(f"{path} holds no sound: its data is {len(chunks[b'data'])} bytes long")
    if not np.isfinite(wave).all():
        raise Mistake(f"{path} has samples that are no finite numbers; convert it again")
    return wave[: len(wave) // channels * channels].reshape(-1, channels), rate


def write(path: str | Path, wave: np.ndarray, rate: int = RATE) -> None:
    """One channel of samples between -1 and 1, in whole numbers of 16 bits; what is louder is cut."""
    data = np.round(np.clip(wave, -1, 1) * (2**15 - 1)).astype("<i2").tobytes()
    form = struct.pack("<HHIIHH", PCM, 1, rate, 2 * rate, 2, 16)
    chunks = b"".join(name + struct.pack("<I", len(body)) + body for name, body in ((b"fmt ", form), (b"data", data)))
    Path(path).write_bytes(b"RIFF" + struct.pack("<I", len(chunks) + 4) + b"WAVE" + chunks)


def folder(path: str | Path, rate: int = RATE, skip: bool = False) -> tuple[list[Path], list[np.ndarray]]:
    """The waves of all WAV files below a folder; one that cannot be read stops everything, unless it may be skipped."""
    return files.each(path, (".wav",), lambda file: heard(file, rate), skip)


Described = tuple[np.ndarray, np.ndarray]  # pieces [n, length, mels], and the number of what describes each [n, 1]


def described(path: str | Path, frames: Frames, length: int, skip: bool = False) -> tuple[Described, Described, list[str]]:
    """Pieces of recordings to learn from, others held out, and what describes them: the names of their folders.

    Of each description whole recordings are held out, or the end of its only one.
    """
    found: dict[str, list[np.ndarray]] = {}
    for file, wave in zip(*folder(path, frames.rate, skip), strict=True):
        seen = frames.of(wave) if len(wave) > frames.window else np.zeros((0, frames.mels), np.float32)
        pieces = seen[:len(seen) // length * length].reshape(-1, length, frames.mels)
        own = found.setdefault(file.parent.name, [])
        if len(pieces):
            own.append(pieces)
    names = sorted(found)
    for name in names:
        if (count := sum(map(len, found[name]))) < 2:
            raise Mistake(f"the recordings in {path} should make two pieces of {length * frames.hop / frames.rate:.1f} seconds of every "
                          f"description, but those described as {name} make {count}: give longer ones, or more")
    sides = zip(*(files.apart(found[name]) for name in names), strict=True)
    learned, held = ((np.concatenate(side), np.repeat(np.arange(len(names)), [len(some) for some in side])[:, None]) for side in sides)
    return learned, held, names


def resampled(wave: np.ndarray, rate: int, to: int = RATE) -> np.ndarray:
    """The same wave [n] at another rate: each new sample is a windowed sinc's weighing of the old ones around it.

    The new samples fall on few places between the old ones, one filter each (its phases); what the lower of the two
    rates cannot carry is left out.
    """
    if rate == to:
        return wave.astype(np.float32)
    up, down = to // math.gcd(rate, to), rate // math.gcd(rate, to)
    band = EDGE * min(1.0, up / down)
    reach = math.ceil(ZEROS / band)
    count = -(-len(wave) * up // down)
    padded = np.pad(wave.astype(np.float64), (reach, reach + down + 1))
    around = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1)
    new = np.zeros(count)
    for phase in range(min(up, count)):
        at = phase * down
        own = around[at // up:: down][: len(new[phase::up])]
        new[phase::up] = own @ _filter(at % up / up, band, reach)
    return new.astype(np.float32)


def _filter(offset: float, band: float, reach: int) -> np.ndarray:
    """Weights of the samples -reach ... reach around a place so far behind one of them."""
    distance = np.arange(-reach, reach + 1) - offset
    window = np.i0(BETA * np.sqrt(np.maximum(0, 1 - (distance / (reach + 1)) ** 2))) / np.i0(BETA)
    weights = band * np.sinc(band * distance) * window
    return weights / weights.sum()


def _chunks(data: bytes, path: Path) -> dict[bytes, bytes]:
    """The parts of a RIFF file by name; one that is shorter than it says was cut off."""
    chunks: dict[bytes, bytes] = {}
    at = 12
    while at + 8 <= len(data):
        name, length = data[at:at + 4], struct.unpack("<I", data[at + 4:at + 8])[0]
        chunk = data[at + 8:at + 8 + length]
        if len(chunk) < length and name == b"data" and length != UNKNOWN:
            raise Mistake(f"{path} was cut off: of {length} bytes of sound only {len(chunk)} are there; copy it again")
        chunks.setdefault(name, chunk)
        at += 8 + length + length % 2  # chunks begin at even places
    return chunks


def _samples(data: bytes, kind: int, bits: int, path: Path) -> np.ndarray:
    """Samples of all channels in turn, between -1 and 1."""
    data = data[: len(data) // max(bits // 8, 1) * max(bits // 8, 1)]
    if kind == FLOAT and bits in (32, 64):
        return np.frombuffer(data, f"<f{bits // 8}").astype(np.float64)
    if kind == PCM and bits == 8:
        return (np.frombuffer(data, np.uint8) - 128.0) / 128
    if kind == PCM and bits == 24:
        bytes_of = np.frombuffer(data, np.uint8).reshape(-1, 3)
        return np.pad(bytes_of, ((0, 0), (1, 0))).reshape(-1).view("<i4") / 2.0**31
    if kind == PCM and bits in (16, 32):
        return np.frombuffer(data, f"<i{bits // 8}") / 2.0 ** (bits - 1)
    raise Mistake(f"{path} holds samples of the kind {kind} with {bits} bits; there are whole numbers of 8, 16, 24 and 32 bits "
                  f"and floats of 32 and 64: convert it, as in ffmpeg -i {path} -c:a pcm_s16le sound.wav")
