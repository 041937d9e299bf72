"""Frames told one after the other: from the past alone, with a cache or without, and held against linear maps."""
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import sharp

from transformer.data.linear import autoregression
from transformer.data.made.tunes import BEATS, FRAMES, PITCHES, plucked, tunes
from transformer.losses import next_frame
from transformer.models.spectrogram import Size, Spectrogram, continued

MODEL = sharp(Spectrogram.of(Size(5, layers=2, embed=12, heads=2, groups=2, mlp=16)))
SOUND = np.random.default_rng(0).normal(size=(2, 9, 5)).astype(np.float32)


def test_the_future_has_a_gradient_of_exactly_zero():
    slopes = np.abs(jax.jacrev(jax.jit(lambda frames: MODEL(frames)[0]))(jnp.asarray(SOUND[:1]))).sum((1, 2, 4))
    assert (np.triu(slopes, 1) == 0).all() and slopes[8].min() > 0


@pytest.mark.parametrize("pieces", [(9,), (1,) * 9, (4, 1, 3, 1)])
def test_decoding_in_pieces_equals_the_whole(pieces):
    decode = jax.jit(lambda model, frames, memory: model.decode(frames, memory))
    memory, found, at = MODEL.start(2, 9), [], 0
    for steps in pieces:
        said, memory = decode(MODEL, SOUND[:, at:at + steps], memory)
        found.append(said)
        at += steps
    np.testing.assert_allclose(np.concatenate(found, 1), MODEL(SOUND), atol=1e-4)


def test_going_on_hears_what_was_told_as_if_it_had_been_so():
    # Kept small, so that what grows from frame to frame does not hide what differs.
    model = MODEL.replace(said=jax.tree.map(lambda w: 0.1 * w, MODEL.said))
    said, whole = jax.jit(lambda model, frames: model(frames)), jnp.pad(jnp.asarray(SOUND), ((0, 0), (0, 4), (0, 0)))
    for at in range(9, 13):
        whole = whole.at[:, at].set(said(model, whole)[:, at - 1])
    np.testing.assert_allclose(continued(model, jnp.asarray(SOUND), 4), whole[:, 9:], atol=1e-4)


def test_the_loss_is_the_squared_error_of_the_next_frame():
    weights = np.ones((2, 8), np.float32)
    weights[1, 3:] = 0
    total, weight, metrics = next_frame(MODEL, {"frames": jnp.asarray(SOUND), "weights": jnp.asarray(weights)})
    error = np.square(MODEL(SOUND[:, :-1]) - SOUND[:, 1:]).mean(-1)
    assert weight == 11 and float(total) == pytest.approx(float((error * weights).sum()), rel=1e-5) and metrics["error"][0] == total


def test_a_linear_map_tells_what_is_linear():
    random = np.random.default_rng(1)
    waves = np.sin(0.7 * np.arange(12)[None, :, None] + random.uniform(0, 7, (200, 1, 3)))  # each is 2 cos(.7) times the last less the one before
    one, two = (autoregression(waves[:150], waves[150:], order) for order in (1, 2))
    assert one > 0.2 > 0.04 > two  # two frames tell the next exactly, but for that after the first


def test_a_plucked_string_has_its_pitch_and_dies_away():
    wave = plucked(PITCHES[5], 4000)
    assert wave[0] == wave[-1] == 0 and np.abs(wave).max() <= 1
    assert np.abs(np.fft.rfft(wave)).argmax() * 2 == pytest.approx(PITCHES[5], abs=2)
    assert np.abs(wave[:1000]).max() > 2 * np.abs(wave[3000:]).max()


def test_tunes_keep_their_beat():
    waves = tunes(6, 120, seed=0)
    assert waves.shape == (6, 119 * FRAMES.hop) and len({wave.tobytes() for wave in waves}) == 6
    for wave in waves:
        loud = np.log(np.exp(FRAMES.of(wave)).sum(-1))
        rises = np.flatnonzero(np.diff(loud) > 0.5)
        apart = np.diff(rises[np.diff(rises, prepend=-9) > 4])
        assert min(np.abs(apart / beat - np.round(apart / beat)).max() * beat for beat in BEATS) <= 2
