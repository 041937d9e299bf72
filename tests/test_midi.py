"""Notes become events and files, and come back as they were."""
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from transformer.data import midi
from transformer.data.midi import Note, decode, encode, read, write
from transformer.mistakes import Mistake


@some.composite
def melodies(draw):
    """Notes on the grid; no pitch sounds twice at once."""
    notes = []
    for pitch in draw(some.lists(some.integers(0, 127), max_size=4, unique=True)):
        now = 0
        for _ in range(draw(some.integers(1, 4))):
            now += draw(some.integers(0, 300))
            end = now + draw(some.integers(1, 250))
            notes.append(Note(now * midi.STEP, end * midi.STEP, pitch, draw(some.integers(0, 31)) * 4 + 2))
            now = end
    return sorted(notes)


@settings(max_examples=60, deadline=None)
@given(melodies())
def test_on_its_grid_a_piece_comes_back(notes):
    assert decode(encode(notes)) == notes


def test_events_are_those_of_the_paper():
    assert midi.EVENTS == 388
    chord = [Note(0.0, 0.5, 60, 66), Note(0.0, 0.5, 64, 66), Note(1.5, 2.0, 67, 66)]
    assert encode(chord).tolist() == [356 + 16, 60, 64, 256 + 49, 128 + 60, 128 + 64, 256 + 99, 67, 256 + 49, 128 + 67]


def test_what_was_never_struck_cannot_end_and_what_sounds_ends_with_the_piece():
    assert decode([128 + 60, 60, 256 + 9]) == [Note(0.0, 0.1, 60, 64)]
    assert decode([60, 256 + 9, 60, 256 + 9]) == [Note(0.0, 0.1, 60, 64), Note(0.1, 0.2, 60, 64)]


def test_a_file_is_written_and_read(tmp_path):
    notes = [Note(0.0, 0.5, 60, 70), Note(0.25, 2.0, 72, 127), Note(3.0, 3.01, 0, 1)]
    write(tmp_path / "a.mid", notes)
    again = read(tmp_path / "a.mid")
    assert [(n.pitch, n.velocity) for n in again] == [(60, 70), (72, 127), (0, 1)]
    np.testing.assert_allclose([(n.start, n.end) for n in again], [(n.start, n.end) for n in notes], atol=0.0006)
    data = (tmp_path / "a.mid").read_bytes()
    assert data[:14] == b"MThd\x00\x00\x00\x06\x00\x00\x00\x01\x01\xe0" and data.endswith(b"\xff\x2f\x00")


def file_of(*tracks, division=96, form=1):
    header = b"MThd" + struct.pack(">IHHH", 6, form, len(tracks), division)
    return header + b"".join(b"MTrk" + struct.pack(">I", len(track)) + track for track in tracks)


def test_tempo_running_status_drums_and_other_messages(tmp_path):
    tempo = b"\x00\xff\x51\x03\x07\xa1\x20" + b"\x60\xff\x51\x03\x0f\x42\x40" + b"\x00\xff\x2f\x00"  # 0.5 s, then 1 s a quarter
    notes = (b"\x00\xc0\x05" + b"\x00\x90\x3c\x40" + b"\x60\x3c\x00" + b"\x00\x3e\x40" + b"\x60\x80\x3e\x00"  # velocity 0 ends a note
             + b"\x00\xf0\x02\x01\xf7" + b"\x00\x99\x23\x40" + b"\x10\x89\x23\x00" + b"\x00\xff\x2f\x00")
    (tmp_path / "b.mid").write_bytes(file_of(tempo, notes) + b"XXXX\x00\x00\x00\x01!")  # chunks of other kinds are left out
    assert read(tmp_path / "b.mid") == [Note(0.0, 0.5, 60, 64), Note(0.5, 1.5, 62, 64)]


@pytest.mark.parametrize(("data", "sentence"), [
    (b"RIFF....", "is no MIDI file|the chunk b'RIFF' says"),
    (b"", "is no MIDI file"),
    (file_of(b"\x00\xff\x2f\x00")[:-2], "byte 14: the chunk b'MTrk' says that it has 4 bytes, but the file ends after 2"),
    (file_of(b"\x00\xff\x2f\x00") + b"MT", "byte 26: a chunk's name and length take 8 bytes, but the file ends after 2"),
    (file_of(b"\x00\x90\x3c"), "byte 24: the message 0x90 wants 2 data bytes"),
    (file_of(b"\x00\x3c\x40"), "byte 23: a message should begin with a status byte, not 60"),
    (file_of(b"\x80\x80\x80\x80\x80"), "a number goes on for more than four bytes"),
    (file_of(b"\x00\xff\x51\x09\x01"), "a message of 9 bytes goes beyond the track's end"),
    (file_of(b"\x00\xff\x2f\x00", division=0xE728), "counts time in frames of film"),
])
def test_a_broken_file_is_refused_by_place(tmp_path, data, sentence):
    (tmp_path / "c.mid").write_bytes(data)
    with pytest.raises(Mistake, match=sentence):
        read(tmp_path / "c.mid")
    with pytest.raises(Mistake, match="cannot read"):
        read(tmp_path / "none.mid")


def test_a_folder_is_read_whole_or_without_what_is_broken(tmp_path, capsys):
    write(tmp_path / "a.mid", [Note(0.0, 0.5, 60, 66)])
    (tmp_path / "b.midi").write_bytes(file_of(b"\x00\x90\x3c"))
    with pytest.raises(Mistake, match="b.midi, byte 24: the message 0x90 wants 2 data bytes"):
        midi.folder(tmp_path)
    assert len(midi.folder(tmp_path, skip=True)) == 1
    assert capsys.readouterr().err.splitlines()[-1].startswith("1 of 2 files in")
