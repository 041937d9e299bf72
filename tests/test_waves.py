"""Sound files of every format are read as the same wave, at any rate; what is no sound is told in a sentence."""
import struct

import numpy as np
import pytest

from transformer.data.waves import folder, heard, read, resampled, write
from transformer.mistakes import Mistake

WAVE = np.round(np.sin(np.arange(40) * 0.7)[:, None] * np.array([0.5, -0.25]) * 128) / 128  # what 8 bits can say


def riff(*chunks, form=b"WAVE"):
    """A file of named chunks, each at an even place."""
    body = b"".join(name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2) for name, data in chunks)
    return b"RIFF" + struct.pack("<I", len(body) + 4) + form + body


def header(kind, bits, channels=2, rate=16_000):
    return struct.pack("<HHIIHH", kind, channels, rate, rate * channels * bits // 8, channels * bits // 8, bits)


def encoded(wave, kind, bits):
    flat = wave.reshape(-1)
    if kind == 3:
        return flat.astype(f"<f{bits // 8}").tobytes()
    if bits == 8:
        return (flat * 128 + 128).astype(np.uint8).tobytes()
    whole = np.round(flat * 2.0 ** (bits - 1)).astype("<i8")
    return b"".join(int(number).to_bytes(bits // 8, "little", signed=True) for number in whole)


def written(path, wave=WAVE, kind=1, bits=16, rate=16_000, before=()):
    path.write_bytes(riff(*before, (b"fmt ", header(kind, bits, wave.shape[1], rate)), (b"data", encoded(wave, kind, bits))))
    return path


@pytest.mark.parametrize("kind, bits", [(1, 8), (1, 16), (1, 24), (1, 32), (3, 32), (3, 64)])
def test_every_format_is_the_same_wave(tmp_path, kind, bits):
    wave, rate = read(written(tmp_path / "a.wav", kind=kind, bits=bits, before=[(b"LIST", b"odd")]))
    assert rate == 16_000
    np.testing.assert_array_equal(wave, WAVE)
    np.testing.assert_allclose(heard(tmp_path / "a.wav"), WAVE.mean(1), atol=1e-7)


def test_a_header_may_be_extensible_and_a_length_unknown(tmp_path):
    extended = header(0xFFFE, 16) + struct.pack("<HHIH", 22, 16, 3, 1) + bytes(14)
    data = encoded(WAVE, 1, 16)
    file = riff((b"fmt ", extended), (b"data", data)).replace(b"data" + struct.pack("<I", len(data)), b"data" + b"\xff" * 4)
    (tmp_path / "a.wav").write_bytes(file)
    np.testing.assert_array_equal(read(tmp_path / "a.wav")[0], WAVE)


SOUND = encoded(WAVE, 1, 16)
WRONG = {
    "is no WAV file but empty": b"", "is no WAV file; convert it": b"ID3\x03 this is an mp3, is it not?",
    "cut off before its sound": riff((b"fmt ", header(1, 16))), "only 150 are there": riff((b"fmt ", header(1, 16)), (b"data", SOUND))[:-10],
    "2 channels at 0 samples": riff((b"fmt ", header(1, 16, rate=0)), (b"data", SOUND)),
    "0 channels at 16000": riff((b"fmt ", header(1, 16, channels=0)), (b"data", SOUND)),
    "holds no sound": riff((b"fmt ", header(1, 16)), (b"data", b"")), "kind 85 with 16 bits": riff((b"fmt ", header(85, 16)), (b"data", SOUND)),
    "no finite numbers": riff((b"fmt ", header(3, 32, 1)), (b"data", encoded(np.full((4, 1), np.nan), 3, 32)))}


@pytest.mark.parametrize("part", WRONG)
def test_what_is_no_sound_is_told_in_a_sentence(tmp_path, part):
    (tmp_path / "a.wav").write_bytes(WRONG[part])
    with pytest.raises(Mistake, match=part):
        read(tmp_path / "a.wav")
    with pytest.raises(Mistake, match="there is no file"):
        read(tmp_path / "b.wav")


@pytest.mark.parametrize("rate", [8_000, 11_025, 22_050, 44_100, 48_000, 15_999, 16_000])
def test_a_sine_stays_the_sine_it_is(rate):
    """Away from the ends, where silence begins, its error is far below what 16 bits can say."""
    def sine(rate, hertz=440.0):
        return np.sin(2 * np.pi * hertz * np.arange(rate // 4) / rate + 0.3)

    new = resampled(sine(rate), rate)
    assert new.dtype == np.float32 and abs(len(new) - 4000) <= 2
    np.testing.assert_allclose(new[200:-200], sine(16_000)[: len(new)][200:-200], atol=1e-5)


def test_what_the_lower_rate_cannot_carry_is_left_out():
    too_high = np.sin(2 * np.pi * 9_500 * np.arange(48_000) / 48_000)
    assert np.abs(resampled(too_high, 48_000)[200:-200]).max() < 1e-3
    steady = resampled(np.ones(44_100), 44_100)
    np.testing.assert_allclose(steady[200:-200], 1, atol=1e-6)


def test_every_new_sample_is_the_sum_that_it_should_be():
    """Each by itself, by the formula, in float64."""
    wave, rate, to = np.random.default_rng(0).normal(size=300), 22_050, 16_000
    band = 0.95 * to / rate
    reach = int(np.ceil(32 / band))
    new = []
    for n in range(-(-300 * to // rate)):
        away = np.arange(300) - n * rate / to
        # The filter reaches as far as its centre, the sample before, does.
        near = np.abs(np.arange(300) - n * rate // to) <= reach
        full = np.arange(-reach, reach + 1) - (n * rate / to - n * rate // to)
        weigh = lambda d: band * np.sinc(band * d) * np.i0(12 * np.sqrt(np.maximum(0, 1 - (d / (reach + 1)) ** 2))) / np.i0(12)
        new.append((weigh(away)[near] @ wave[near]) / weigh(full).sum())
    np.testing.assert_allclose(resampled(wave, rate, to), new, atol=1e-6)


def test_what_is_written_is_what_others_read(tmp_path):
    import wave

    sound = np.asarray([0.0, 0.5, -0.25, 1.0, -3.0])
    write(tmp_path / "a.wav", sound, 8000)
    with wave.open(str(tmp_path / "a.wav")) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate(), file.getnframes()) == (1, 2, 8000, 5)
    again, rate = read(tmp_path / "a.wav")
    assert rate == 8000
    np.testing.assert_allclose(again[:, 0], np.clip(sound, -1, 1), atol=1e-4)


def test_a_folder_is_read_whole_or_without_what_is_broken(tmp_path, capsys):
    (tmp_path / "in").mkdir()
    written(tmp_path / "in" / "a.wav", kind=1, bits=24)
    written(tmp_path / "b.WAV", rate=8_000)
    assert [path.name for path in folder(tmp_path)[0]] == ["b.WAV", "a.wav"] and capsys.readouterr().err == ""
    for number, data in enumerate((b"", written(tmp_path / "d.wav").read_bytes()[:-10])):
        (tmp_path / f"c{number}.wav").write_bytes(data)
    with pytest.raises(Mistake, match="c0.wav is no WAV file but empty"):
        folder(tmp_path)
    paths, found = folder(tmp_path, 8_000, skip=True)
    assert [path.name for path in paths] == ["b.WAV", "d.wav", "a.wav"] and [len(one) for one in found] == [40, 20, 20]
    said = capsys.readouterr().err.splitlines()
    assert "c1.wav was cut off: of 160 bytes of sound only 150 are there" in said[1] and said[2].startswith("2 of 5 files in")
    with pytest.raises(Mistake, match="holds no file that ends in .wav"):
        folder(tmp_path / "nothing")
