"""Music as events: standard MIDI files in and out, and the vocabulary of the Music Transformer (Huang et al. 2019).

    notes = read("fugue.mid")
    events = encode(notes)                 # 0..387: note on, note off, time shift, velocity
    write("again.mid", decode(events))

Times come in hundredths of a second and velocities in 32 levels; on that grid, `decode(encode(notes))` is `notes`.
"""
import dataclasses
import struct
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from transformer.data import files
from transformer.mistakes import Mistake

PITCHES, SHIFTS, LEVELS = 128, 100, 32
ON, OFF, SHIFT, VELOCITY = 0, PITCHES, 2 * PITCHES, 2 * PITCHES + SHIFTS
EVENTS = VELOCITY + LEVELS
STEP = 0.01  # seconds
TICKS = 480  # of a quarter note, in the files written here
TEMPO = 500_000  # microseconds a quarter note, unless a file says otherwise


@dataclasses.dataclass(frozen=True, order=True)
class Note:
    """From `start` to `end`, in seconds; pitch 60 is the middle C, velocity 1 to 127 how hard the key was struck."""

    start: float
    end: float
    pitch: int
    velocity: int = 64


def encode(notes: Iterable[Note]) -> np.ndarray:
    """The events of a piece: each says what happens now, and time shifts say how much later the next happens."""
    changes = []
    for note in sorted(notes):
        begin, end = _steps(note.start), max(_steps(note.end), _steps(note.start) + 1)
        changes += [(begin, 1, note.pitch, note.velocity * LEVELS // PITCHES), (end, 0, note.pitch, 0)]
    events, now, level = [], 0, -1
    for at, struck, pitch, velocity in sorted(changes):
        while at > now:
            events.append(SHIFT + min(at - now, SHIFTS) - 1)
            now += min(at - now, SHIFTS)
        if struck and velocity != level:
            events.append(VELOCITY + velocity)
            level = velocity
        events.append((ON if struck else OFF) + pitch)
    return np.asarray(events, np.int32)


def decode(events: Iterable[int]) -> list[Note]:
    """The notes of a piece. What was never struck cannot end, what is struck again ends first, and what sounds at the end ends there."""
    now, velocity = 0, 64
    sounding: dict[int, tuple[int, int]] = {}
    notes = []

    def end(pitch: int) -> None:
        start, struck = sounding.pop(pitch)
        if now > start:
            notes.append(Note(start * STEP, now * STEP, pitch, struck))

    for event in events:
        if event >= VELOCITY:
            velocity = min((int(event) - VELOCITY) * PITCHES // LEVELS + 2, 127)
        elif event >= SHIFT:
            now += int(event) - SHIFT + 1
        else:
            pitch = int(event) % PITCHES
            if pitch in sounding:
                end(pitch)
            if event < OFF:
                sounding[pitch] = (now, velocity)
    for pitch in list(sounding):
        end(pitch)
    return sorted(notes)


def transposed(events: np.ndarray, semitones: int) -> np.ndarray:
    """The same music higher or lower; what would leave the keyboard stays at its end."""
    pitch, struck = events % PITCHES, events < SHIFT
    return np.where(struck, events - pitch + np.clip(pitch + semitones, 0, PITCHES - 1), events).astype(np.int32)


def write(path: str | Path, notes: Iterable[Note], program: int = 0) -> None:
    """A standard MIDI file of one track, for any player; `program` is the instrument, 0 the grand piano."""
    seconds = TEMPO / 1e6 / TICKS
    changes = []
    for note in notes:
        changes += [(round(note.start / seconds), 1, note.pitch, note.velocity), (round(note.end / seconds), 0, note.pitch, 0)]
    body = b"\x00\xff\x51\x03" + TEMPO.to_bytes(3, "big") + bytes([0, 0xC0, program])
    now = 0
    for at, struck, pitch, velocity in sorted(changes):
        body += _variable(at - now) + bytes([0x90 if struck else 0x80, pitch, velocity])
        now = at
    body += b"\x00\xff\x2f\x00"
    header = b"MThd" + struct.pack(">IHHH", 6, 0, 1, TICKS)
    Path(path).write_bytes(header + b"MTrk" + struct.pack(">I", len(body)) + body)


def folder(path: str | Path, skip: bool = False) -> list[list[Note]]:
    """The pieces of all MIDI files below a folder; one that cannot be read stops everything, unless it may be skipped."""
    return files.each(path, (".mid", ".midi"), read, skip)[1]


def read(path: str | Path) -> list[Note]:
    """The notes of a standard MIDI file, all tracks together, drums left out."""
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise Mistake(f"cannot read {path}: {error.strerror}") from None
    chunks = list(_chunks(path, data))
    if not chunks or chunks[0][0] != b"MThd" or len(chunks[0][2]) < 6:
        raise Mistake(f"{path} is no MIDI file: it should begin with the chunk MThd, but begins with {data[:4]!r}")
    _, _, division = struct.unpack(">HHH", chunks[0][2][:6])
    if division & 0x8000:
        raise Mistake(f"{path} counts time in frames of film; only ticks of a quarter note are read")
    messages = [message for name, at, body in chunks[1:] if name == b"MTrk" for message in _track(path, at, body)]
    messages.sort(key=lambda message: message[0])
    return _notes(messages, division or TICKS)


Message = tuple[int, int, int, int]  # tick, status, first and second byte (of a tempo: 0x51 and microseconds)


def _notes(messages: Sequence[Message], division: int) -> list[Note]:
    seconds, tick, tempo = 0.0, 0, TEMPO
    sounding: dict[tuple[int, int], tuple[float, int]] = {}
    notes = []
    for at, status, first, second in messages:
        seconds += (at - tick) * tempo / 1e6 / division
        tick = at
        if status == 0xFF:
            tempo = second
            continue
        kind, channel = status & 0xF0, status & 0x0F
        if channel == 9 or kind not in (0x80, 0x90):
            continue
        key = (channel, first)
        if key in sounding:
            start, velocity = sounding.pop(key)
            if seconds > start:
                notes.append(Note(start, seconds, first, velocity))
        if kind == 0x90 and second:
            sounding[key] = (seconds, second)
    notes += [Note(start, seconds, pitch, velocity) for (_, pitch), (start, velocity) in sounding.items() if seconds > start]
    return sorted(notes)


def _chunks(path: Path, data: bytes) -> Iterable[tuple[bytes, int, bytes]]:
    """Name, place and body of each."""
    at = 0
    while at < len(data):
        if len(data) < at + 8:
            raise Mistake(f"{path}, byte {at}: a chunk's name and length take 8 bytes, but the file ends after {len(data) - at}")
        name, (length,) = data[at:at + 4], struct.unpack(">I", data[at + 4:at + 8])
        if len(data) < at + 8 + length:
            raise Mistake(f"{path}, byte {at}: the chunk {name!r} says that it has {length} bytes, "
                          f"but the file ends after {len(data) - at - 8}")
        yield name, at + 8, data[at + 8:at + 8 + length]
        at += 8 + length


def _track(path: Path, begin: int, body: bytes) -> Iterable[Message]:
    """The messages that matter: notes, and changes of tempo."""
    at = tick = status = 0

    def broken(what: str) -> Mistake:
        return Mistake(f"{path}, byte {begin + at}: {what}")

    def number() -> int:
        nonlocal at
        value = 0
        for _ in range(4):
            if at >= len(body):
                raise broken("the track ends within a number")
            value, at = value << 7 | body[at] & 0x7F, at + 1
            if not body[at - 1] & 0x80:
                return value
        raise broken("a number goes on for more than four bytes")

    while at < len(body):
        tick += number()
        if at >= len(body):
            raise broken("the track ends where a message should be")
        if body[at] & 0x80:
            status, at = body[at], at + 1
        elif not status:
            raise broken(f"a message should begin with a status byte, not {body[at]}")
        if status in (0xFF, 0xF0, 0xF7):
            kind = body[at] if status == 0xFF and at < len(body) else -1
            at += status == 0xFF
            length = number()
            content = body[at:at + length]
            if len(content) < length:
                raise broken(f"a message of {length} bytes goes beyond the track's end")
            at += length
            if kind == 0x51 and length == 3:
                yield tick, 0xFF, 0x51, int.from_bytes(content, "big")
            if kind == 0x2F:
                return
            status = 0
            continue
        size = 1 if status & 0xF0 in (0xC0, 0xD0) else 2
        if at + size > len(body) or any(byte & 0x80 for byte in body[at:at + size]):
            raise broken(f"the message {status:#x} wants {size} data bytes")
        yield tick, status, body[at], body[at + 1] if size == 2 else 0
        at += size


def _steps(seconds: float) -> int:
    return round(seconds / STEP)


def _variable(number: int) -> bytes:
    """Seven bits a byte, the highest bit set in all but the last."""
    digits = [number & 0x7F]
    while number := number >> 7:
        digits.append(number & 0x7F | 0x80)
    return bytes(reversed(digits))
