"""What is saved is whole, is what was there when it was saved, and comes back on any mesh; what is damaged is passed over."""
import dataclasses
import os
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, SingleDeviceSharding
from jax.sharding import PartitionSpec as P
from launch import steps_of
from little import experiment

from transformer.mistakes import Mistake
from transformer.sharding import mesh_of
from transformer.training.checkpoints import Checkpoints
from transformer.training.loop import begin, promised, train
from transformer.training.run import run
from transformer.weights import named


def state(step):
    """Something to save: whole numbers and floats, little and much, nested."""
    kernel = np.random.default_rng(step).normal(size=(300, 400)).astype(np.float32)
    return {"step": jnp.int32(step), "model": {"kernel": jnp.asarray(kernel), "bias": jnp.arange(8.0) + step}}


def like(tree):
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding), tree)


def equal(one, other):
    return all(jax.tree.leaves(jax.tree.map(lambda a, b: np.array_equal(a, b) and a.dtype == b.dtype, one, other)))


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Three checkpoints, the newest of step 3."""
    folder = tmp_path_factory.mktemp("saved") / "checkpoints"
    with Checkpoints(folder, keep=3) as checkpoints:
        for step in (1, 2, 3):
            checkpoints.save(step, state(step), loss=1.0)
    return folder


@pytest.fixture
def copied(saved, tmp_path):
    return shutil.copytree(saved, tmp_path / "checkpoints")


# What is kept


def test_the_best_and_the_last_are_kept(tmp_path):
    losses = {1: 3.0, 2: 1.0, 3: 2.0, 4: 2.5, 5: 2.2}
    with Checkpoints(tmp_path, keep=2) as checkpoints:
        for step, loss in losses.items():
            checkpoints.save(step, state(step), loss)
        checkpoints.wait()
        assert checkpoints.steps() == [2, 4, 5] and checkpoints.best() == 2
    with Checkpoints(tmp_path, keep=2) as checkpoints:  # as another process sees it
        assert checkpoints.steps() == [2, 4, 5] and checkpoints.best() == 2
        assert equal(checkpoints.restore(like(state(0))), state(5))
        assert equal(checkpoints.restore(like(state(0)), step=2), state(2))
        checkpoints.save(6, state(6))  # unmeasured, as after a signal
        checkpoints.save(6, state(7))  # and only once
        checkpoints.wait()
        assert checkpoints.steps() == [2, 5, 6] and checkpoints.best() == 2
        assert equal(checkpoints.restore(like(state(0))), state(6))


def test_a_checkpoint_is_not_changed_by_the_steps_after_it(tmp_path):
    grow = jax.jit(lambda tree: jax.tree.map(lambda x: x * 1.5 + 1, tree), donate_argnums=0)
    tree = {str(n): jnp.full((512, 512), n, jnp.float32) for n in range(8)}
    with Checkpoints(tmp_path, keep=3) as checkpoints:
        expected = {}
        for step in (1, 2, 3):
            expected[step] = {name: np.array(x) for name, x in tree.items()}
            shapes = like(tree)
            checkpoints.save(step, tree)
            for _ in range(20):
                tree = grow(tree)
        checkpoints.wait()
        for step, then in expected.items():
            assert equal(checkpoints.restore(shapes, step), then)


@pytest.mark.slow
def test_a_checkpoint_of_a_run_is_the_state_at_its_step(tmp_path):
    plain = experiment(steps=6)
    then = {}
    with Checkpoints(tmp_path, keep=9) as checkpoints:
        for step in train(plain):
            then[step.number] = jax.tree.map(np.array, step.state)
            checkpoints.save(step.number, step.state)
        checkpoints.wait()
        for number in (1, 3, 6):
            assert equal(checkpoints.restore(promised(plain), number), then[number])


# Damage

# Orbax leaves reads under way when one of them fails; what they still have to say ends in nobody's hands.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


def halve(path):
    os.truncate(path, path.stat().st_size // 2)


def empty(path):
    os.truncate(path, 0)


def remove(path):
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def hollow(path):
    shutil.rmtree(path)
    path.mkdir()


def scribble(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 3 :] = bytes(byte ^ 0xFF for byte in content[len(content) // 3 :])
    path.write_bytes(content)


DAMAGES = [(".", hollow), ("state", remove), ("state", hollow), ("state/d", remove), ("state/_METADATA", remove),
           ("state/_METADATA", halve), ("state/_METADATA", empty), ("state/_METADATA", scribble), ("state/manifest.ocdbt", remove),
           ("state/manifest.ocdbt", halve), ("state/manifest.ocdbt", empty), ("state/manifest.ocdbt", scribble),
           ("state/d/*", remove), ("state/d/*", halve), ("state/d/*", empty), ("state/d/*", scribble),
           ("state/ocdbt.process_0/d/*", remove), ("state/ocdbt.process_0/d/*", halve), ("state/ocdbt.process_0/d/*", empty),
           ("state/ocdbt.process_0/d/*", scribble)]


@pytest.mark.parametrize("place, hurt", DAMAGES)
def test_a_damaged_checkpoint_is_told_and_the_one_before_taken(copied, capsys, place, hurt):
    hit = list((copied / "3").glob(place)) if place != "." else [copied / "3"]
    assert hit
    for path in hit:
        hurt(path)
    with Checkpoints(copied, keep=3) as checkpoints:
        assert equal(checkpoints.restore(like(state(0))), state(2))
        (line,) = capsys.readouterr().out.splitlines()
        assert line.startswith(f"checkpoint 3 in {copied} is damaged (") and line.endswith("trying the one before it")
        assert (copied.parent / "damaged-3").is_dir()
        # The step is taken again, and must be saved again.
        checkpoints.save(3, state(30), loss=1.0)
        checkpoints.wait()
    with Checkpoints(copied, keep=3) as checkpoints:
        assert checkpoints.steps() == [1, 2, 3] and equal(checkpoints.restore(like(state(0))), state(30))


@pytest.mark.parametrize("place, hurt", [
    ("_CHECKPOINT_METADATA", remove), ("_CHECKPOINT_METADATA", empty), ("_CHECKPOINT_METADATA", scribble), ("metrics", remove),
    ("metrics/metrics", remove), ("metrics/metrics", empty), ("metrics/metrics", halve), ("metrics/metrics", scribble),
    ("state/_sharding", remove), ("commit_success.txt", remove)])
def test_what_only_accompanies_the_state_may_be_damaged(copied, place, hurt):
    hurt(copied / "3" / place)
    with Checkpoints(copied, keep=3) as checkpoints:
        assert equal(checkpoints.restore(like(state(0))), state(3))
        checkpoints.save(4, state(4), loss=0.5)
        checkpoints.wait()
        assert checkpoints.best() == 4


def test_what_a_kill_left_half_written_is_no_checkpoint(copied):
    (copied / "3").rename(copied / "3.orbax-checkpoint-tmp")
    with Checkpoints(copied, keep=3) as checkpoints:
        assert checkpoints.steps() == [1, 2] and equal(checkpoints.restore(like(state(0))), state(2))


def test_with_all_damaged_there_is_a_sentence(copied, capsys):
    for step in (1, 2, 3):
        hollow(copied / str(step))
    with Checkpoints(copied) as checkpoints, pytest.raises(Mistake) as mistake:
        checkpoints.restore(like(state(0)))
    assert str(mistake.value) == (f"no checkpoint in {copied} can be restored (3 tried); "
                                  "start the run again without --resume")
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_another_model_is_not_taken_for_damage(copied, capsys):
    other = state(0)
    other["model"] = {"kernel": jnp.zeros((300, 48)), "scale": jnp.zeros(8)}
    with Checkpoints(copied) as checkpoints, pytest.raises(Mistake) as mistake:
        checkpoints.restore(like(other))
    said = str(mistake.value)
    assert "model.kernel has shape (300, 400) there and (300, 48) here" in said
    assert "model.bias is only there" in said and "model.scale is only here" in said
    assert (copied / "3").exists() and "damaged" not in capsys.readouterr().out


@pytest.mark.slow
def test_a_run_goes_on_from_the_checkpoint_before_a_damaged_one(tmp_path):
    plain = run(experiment, {}, runs=tmp_path / "plain")
    hurt = run(experiment, {}, runs=tmp_path / "hurt")
    for path in (hurt.folder / "checkpoints" / "20" / "state" / "d").iterdir():
        halve(path)
    resumed = run(experiment, {}, runs=tmp_path / "hurt", resume=True)
    assert resumed.values == plain.values and steps_of(resumed.folder) == steps_of(plain.folder)


# Any mesh


MESHES = ["data=2,fsdp=2,tensor=2", "fsdp=8"]


@pytest.mark.parametrize("layout", [P("data", "tensor"), P(("data", "fsdp")), P(None, "tensor")])
def test_arrays_come_back_on_any_mesh(tmp_path, layout):
    places = NamedSharding(mesh_of(MESHES[0]), layout), SingleDeviceSharding(jax.devices()[3])
    kernel = np.arange(1600.0, dtype=np.float32).reshape(40, 40)
    with Checkpoints(tmp_path, keep=9) as checkpoints:
        for step, place in enumerate(places):
            checkpoints.save(step, {"kernel": jax.device_put(kernel, place)})
        checkpoints.wait()
        for step, place in enumerate(reversed(places)):
            back = checkpoints.restore({"kernel": jax.ShapeDtypeStruct((40, 40), jnp.float32, sharding=place)}, step)["kernel"]
            assert back.sharding == place and np.array_equal(back, kernel)


@pytest.mark.slow
@pytest.mark.parametrize("mesh", MESHES)
def test_a_state_comes_back_on_any_mesh(tmp_path, mesh):
    plain = dataclasses.replace(experiment(rows=16), average=None)
    here, there = begin(plain, 0), begin(plain, 0, mesh_of(mesh))
    for name, (one, other) in {"there": (here, mesh_of(mesh)), "here": (there, None)}.items():
        with Checkpoints(tmp_path / name) as checkpoints:
            checkpoints.save(1, one)
            checkpoints.wait()
            back = checkpoints.restore(promised(plain, other))
        assert equal(back, one)
        expected = here if other is None else there
        assert all(x.sharding == y.sharding for x, y in zip(jax.tree.leaves(back), jax.tree.leaves(expected), strict=True))
    assert any(len({str(shard.index) for shard in x.addressable_shards}) > 1 for x in named(there.model).values())


@pytest.mark.slow
@pytest.mark.parametrize("first, then", [(None, MESHES[0]), (MESHES[0], None)])
def test_a_run_goes_on_on_another_mesh(tmp_path, first, then):
    plain = run(experiment, {"steps": 16}, runs=tmp_path / "plain")
    run(experiment, {"steps": 8}, runs=tmp_path, mesh=first)
    moved = run(experiment, {"steps": 16}, runs=tmp_path, mesh=then, resume=True)
    expected, found = steps_of(plain.folder), steps_of(moved.folder)
    assert [step for step, _ in found] == list(range(1, 17))
    np.testing.assert_allclose([loss for _, loss in found], [loss for _, loss in expected], rtol=0, atol=1e-5)
    assert moved.values["nats"] == pytest.approx(plain.values["nats"], abs=1e-5)
