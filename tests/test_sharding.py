"""Eight devices, laid out in any way, train as one does."""
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import NamedSharding, PartitionSpec
from tiny import SPECS

from transformer.data.batches import batches
from transformer.data.examples import examples
from transformer.losses import masked_and_next, next_token, sequence_to_sequence
from transformer.mistakes import Mistake
from transformer.models import gpt2
from transformer.sharding import RULES, mesh_of, shard, shardings, spec, use, ways
from transformer.training.experiment import Experiment
from transformer.training.loop import begin, train
from transformer.training.optimizers import adafactor, adamw
from transformer.training.step import born, state_shardings
from transformer.weights import named

ROWS, LENGTH, STEPS = 32, 8, 10
COMPLAINT = "nvoluntary full rematerialization"  # by XLA's partitioner, on the standard error of the process


def data(name):
    random = np.random.default_rng(0)

    def ids(*shape):
        return random.integers(0, 64, (3 * ROWS, *shape), dtype=np.int32)

    def weights(*shape):
        return (random.random((3 * ROWS, *shape)) < random.random((3 * ROWS, 1))).astype(np.float32)

    present = np.arange(LENGTH) < random.integers(4, LENGTH + 1, (3 * ROWS, 1))
    return examples(**{
        "gpt2": lambda: {"tokens": ids(LENGTH), "targets": ids(LENGTH), "weights": weights(LENGTH)},
        "bert": lambda: {"tokens": ids(LENGTH), "kinds": ids(LENGTH) % 2, "present": present, "masked": ids(3) % 4, "labels": ids(3),
                         "weights": weights(3), "follows": ids() % 2},
        "t5": lambda: {"source": ids(LENGTH), "present": present, "target": ids(6), "labels": ids(6), "weights": weights(6)},
    }[name]())


def experiment(name, **changes):
    loss = {"gpt2": next_token, "bert": masked_and_next, "t5": sequence_to_sequence}[name]
    given = {"model": SPECS[name], "loss": loss, "data": data(name), "held_out": data(name), "rows": ROWS, "steps": STEPS,
             "optimizer": adamw(3e-3), "accumulate": 4, "unroll": False}
    return Experiment(**(given | changes))


def losses_of(experiment, mesh=None):
    return [float(step.metrics["loss"]) for step in train(experiment, mesh=mesh)]


@pytest.fixture(scope="module")
def alone():
    """What one device makes of each experiment, computed once."""
    known = {}
    return lambda name: known.setdefault(name, losses_of(experiment(name))) if name not in known else known[name]


MESHES = ["data=8", "fsdp=8", "data=2,fsdp=2,tensor=2"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "mesh"),
    [pytest.param(name, mesh, marks=() if (name, mesh) == ("gpt2", MESHES[2]) else pytest.mark.slow)
     for name in ("gpt2", "bert", "t5") for mesh in MESHES]
    + [pytest.param("gpt2", mesh, marks=pytest.mark.slow) for mesh in ("sequence=2,data=4", "stage=2,data=4")])
def test_sharded_equals_plain(name, mesh, alone, capfd):
    want = alone(name)
    capfd.readouterr()
    steps = list(train(experiment(name), mesh=mesh_of(mesh)))
    assert COMPLAINT not in capfd.readouterr().err
    np.testing.assert_allclose([step.metrics["loss"] for step in steps], want, atol=1e-5, rtol=0)
    assert len(want) == STEPS and want[-1] < want[0]
    places = named(state_shardings(experiment(name), mesh_of(mesh)))
    for path, array in named(steps[-1].state).items():  # ten steps have moved nothing
        assert array.sharding.is_equivalent_to(places[path], array.ndim), path


def test_the_compilers_complaint_would_be_heard(capfd):
    """Between these two layouts the partitioner knows no way but to copy everything everywhere, and says so."""
    mesh = mesh_of("data=4,fsdp=2")
    before, after = (NamedSharding(mesh, PartitionSpec(*axes)) for axes in (("fsdp", None, "data"), (None, ("data", "fsdp"), None)))
    x = jax.ShapeDtypeStruct((16, 16, 16), jnp.float32)
    jax.jit(lambda x, y: jax.lax.with_sharding_constraint(x + x, after) + y, in_shardings=(before, after)).lower(x, x).compile()
    assert COMPLAINT in capfd.readouterr().err


@pytest.mark.parametrize(("optimizer", "copies"), [(adamw(1e-3), 3), (adafactor(1e-3), 1)], ids=["adamw", "adafactor"])
def test_what_an_optimizer_keeps_lies_where_its_weight_does(optimizer, copies):
    ours = experiment("t5", optimizer=optimizer, average=0.99)
    mesh = mesh_of("data=2,fsdp=2,tensor=2")
    places, shapes = (named(tree) for tree in (state_shardings(ours, mesh), jax.eval_shape(lambda: born(ours, 0))))
    weights = {path: w.shape for path, w in named(ours.model).items()}
    like = [(path, of) for path, x in shapes.items() for of in weights if path.endswith("." + of) and x.shape == weights[of]]
    assert len(like) >= (1 + copies) * len(weights)  # the model, its average, and two moments, if they are whole
    for path, of in like:
        assert places[path] == places["model." + of], path
    shards = {path: place.shard_shape(weights[path]) for path, place in named(shardings(ours.model, mesh)).items()}
    assert shards["decoder.blocks.blocks.mlp.up.kernel"] == (2, 16, 24) and shards["tokens.table"] == (32, 32)


@pytest.mark.slow
def test_a_pmapped_step_gives_the_same_losses(alone):
    """`pmap` is the old way to be parallel over data: the same sums, added up by hand."""
    ours = experiment("gpt2")
    optimizer, begun = ours.optimizer, begin(ours, 0)

    def step(model, state, batch):
        def total(model):
            value, weight, _ = ours.loss(model, batch, None)
            return value, weight

        (value, weight), gradients = jax.value_and_grad(total, has_aux=True)(model)
        value, weight, gradients = jax.lax.psum((value, weight, gradients), "devices")
        updates, state = optimizer.update(jax.tree.map(lambda g: g / weight, gradients), state, model)
        return optax.apply_updates(model, updates), state, value / weight

    stepped = jax.pmap(step, axis_name="devices", in_axes=(None, None, 0), out_axes=(None, None, None))
    model, state, losses = begun.model, begun.optimizer, []
    for step in range(3):
        batch = {key: value.reshape(8, -1, *value.shape[1:]) for key, value in batches(ours.data, ROWS, seed=0)[step].items()}
        model, state, loss = stepped(model, state, batch)
        losses.append(float(loss))
    np.testing.assert_allclose(losses, alone("gpt2")[:3], atol=1e-5)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("data=2,model=4", r"mesh 'data=2,model=4': cannot read 'model=4'; write axis=number once for each of data, expert, fsdp, .*tensor"),
        ("data=2,data=4", "cannot read 'data=4'"),
        ("data", "cannot read 'data'"),
        ("data=", "cannot read 'data='"),
        ("data=two", "cannot read 'data=two'"),
        ("data=0", "cannot read 'data=0'"),
        ("data=-2", "cannot read 'data=-2'"),
        ("data=-10", "cannot read 'data=-10'"),
        ("data=--1", "cannot read 'data=--1'"),
        ("data=²", "cannot read 'data=²'"),
        ("", "cannot read ''"),
        ("data=4", "mesh 'data=4' asks for 4 devices, but there are 8; change a length, or write -1"),
        ("data=4,fsdp=4", "asks for 16 devices, but there are 8"),
        ("data=3,fsdp=-1", "asks for 3 devices, but there are 8"),
        ("data=-1,fsdp=-1", "asks for 1 devices, but there are 8"),
    ])
def test_a_mesh_that_cannot_be_is_refused(text, sentence):
    with pytest.raises(Mistake, match=sentence):
        mesh_of(text)


def test_a_mesh_can_be_told_to_take_the_rest():
    assert dict(mesh_of("data=-1,tensor=2").shape) == {"data": 4, "tensor": 2}
    assert dict(mesh_of("fsdp=1", jax.devices()[:1]).shape) == {"fsdp": 1}


def test_a_mesh_axis_serves_the_first_array_axis_that_asks():
    mesh = mesh_of("data=2,fsdp=2,tensor=2")
    assert spec(("batch", "length", "embed"), mesh) == PartitionSpec(("data", "fsdp"), None, None)
    assert spec(("embed", "heads", "head"), mesh) == PartitionSpec(("fsdp",), ("tensor",), None)
    assert spec(("heads", "mlp", "vocab"), mesh) == PartitionSpec(("tensor",), None, None)
    assert spec(("embed", "embed"), mesh) == PartitionSpec(("fsdp",), None)
    assert spec(("vocab", "width", None), mesh) == PartitionSpec(("tensor",), None, None)
    assert spec(("batch", "embed"), mesh_of("data=8")) == PartitionSpec(("data",), None)
    assert ways("batch", mesh) == 4 and ways("vocab", mesh) == 2 and ways("width", mesh) == 1


def test_rules_can_be_others_for_a_while():
    mesh = mesh_of("data=4,tensor=2")
    with use(mesh, {**RULES, "embed": "tensor"}):
        assert spec(("embed",), mesh) == PartitionSpec(("tensor",))
        x = jax.jit(lambda x: shard(x, "batch", "embed"))(jnp.zeros((8, 8)))
        assert x.sharding.shard_shape(x.shape) == (2, 4)
    assert spec(("embed",), mesh) == PartitionSpec(None)
    x = jnp.zeros((8, 8))
    assert shard(x, "batch", "embed") is x  # no mesh, nothing to do


def test_a_length_that_does_not_divide_names_its_weight():
    size = gpt2.Size(vocab=63, length=16, layers=2, embed=30, heads=3)
    with pytest.raises(Mistake, match=r"tokens.table: axis 'vocab' has length 63, which tensor=2 of the mesh does not divide"):
        shardings(gpt2.GPT2.of(size), mesh_of("data=4,tensor=2"))
    with pytest.raises(Mistake, match=r"blocks.blocks.attention_norm.scale: axis 'embed' has length 30, which fsdp=8"):
        shardings(gpt2.GPT2.of(size), mesh_of("fsdp=8"))


def test_rows_that_cannot_be_dealt_out_are_refused():
    with pytest.raises(Mistake, match="8 rows cannot be dealt to 8 devices in 4 micro-batches; give a multiple of 32"):
        next(train(experiment("gpt2", rows=8), mesh=mesh_of("data=4,fsdp=2")))
