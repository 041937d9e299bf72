import dataclasses
import importlib.util
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import struct
from tiny import SPECS

from transformer.layers import Linear
from transformer.models import gpt2
from transformer.weights import (
    Weight,
    abstract,
    cast_floats,
    constant,
    count,
    describe,
    edit,
    initialise,
    named,
    normal,
    stacked,
    table,
    weight,
)

REFERENCE = Path(__file__).parent / "reference"


@dataclasses.dataclass(frozen=True)
class Size:
    embed: int = 24
    heads: int = 3
    head: int = 5
    vocab: int = 40


@struct.dataclass
class Pair:
    more: Linear | None
    one: Linear
    two: Linear


@pytest.mark.parametrize(
    ("axes", "shape", "names", "fan_in"),
    [
        ("embed -> heads head", (24, 3, 5), ("embed", "heads", "head"), 24),
        ("heads head -> embed", (3, 5, 24), ("heads", "head", "embed"), 15),
        ("embed -> 2", (24, 2), ("embed", None), 24),
        ("7 embed -> vocab", (7, 24, 40), (None, "embed", "vocab"), 168),
    ],
)
def test_one_string_gives_shape_axes_and_fan_in(axes, shape, names, fan_in):
    w = weight(Size(), axes)
    assert isinstance(w, Weight)
    assert (w.shape, w.axes, w.fan_in) == (shape, names, fan_in)


def test_the_width_of_a_table_is_split_by_no_rule():
    assert table(Size(), "vocab embed").axes == ("vocab", "width")
    assert constant(Size(), "heads head", 1.0).axes == ("heads", "head")


def test_an_axis_that_the_size_lacks_is_named():
    with pytest.raises(AttributeError, match="mlp"):
        weight(Size(), "embed -> mlp")


def test_adding_a_weight_changes_no_other():
    one, two, more = (Linear.of(Size(), axes, bias=True) for axes in ("embed -> vocab", "embed -> vocab", "vocab -> embed"))
    before, after = (named(jax.jit(lambda key, spec=spec: initialise(spec, key))(jax.random.key(3)))
                     for spec in (Pair(None, one, two), Pair(more, one, two)))
    assert after.keys() - before.keys() == {"more.kernel", "more.bias"}
    for name, value in before.items():
        np.testing.assert_array_equal(value, after[name])
    assert not np.allclose(before["one.kernel"], before["two.kernel"])


def test_each_layer_of_a_stack_is_born_differently_and_at_its_own_scale():
    size = Size(embed=64, vocab=96)
    born = jax.jit(lambda key: initialise(stacked(
        Pair(None, Linear.of(size, "embed -> vocab"), Linear.of(size, "embed -> vocab", initialiser=normal(0.02))), 3), key))(
            jax.random.key(0))
    for kernel, deviation in ((born.one.kernel, 64**-0.5), (born.two.kernel, 0.02)):
        assert kernel.shape == (3, 64, 96)
        np.testing.assert_allclose(np.std(kernel, axis=(1, 2)), deviation, rtol=0.03)
        assert abs(np.corrcoef(kernel.reshape(3, -1)) - np.eye(3)).max() < 0.05
    assert float(abs(born.one.kernel).max()) <= 2 / 0.87962566 / 8 + 1e-6  # truncated at two deviations


def test_a_spec_knows_its_shapes_types_and_sum():
    spec = SPECS["t5 1.1"]
    assert {name: (x.shape, x.dtype) for name, x in named(abstract(spec)).items()} == {
        name: (w.shape, jnp.float32) for name, w in named(spec).items()}
    assert count(spec) == sum(row[3] for row in describe(spec)) == sum(int(np.prod(w.shape)) for w in jax.tree.leaves(spec))


def test_the_parameters_of_gpt2_and_gpt3_are_as_many_as_published():
    assert count(gpt2.GPT2.of(gpt2.Size())) == 124_439_808
    assert count(gpt2.GPT2.of(gpt2.Size(length=2048, layers=96, embed=12_288, heads=96))) == 174_604_259_328


def test_no_weight_has_changed_its_name_shape_or_axes():
    """Checkpoints, rules and name tables hang on these; if a change is meant, run tests/reference/make.py."""
    spec = importlib.util.spec_from_file_location("make", REFERENCE / "make.py")
    make = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make)
    assert make.parameters() == (REFERENCE / "parameters.txt").read_text(encoding="utf-8")


def test_surgery_changes_every_part_of_a_kind_and_nothing_else():
    pair = Pair(None, Linear.of(Size(), "embed -> vocab"), Linear.of(Size(), "heads head -> embed"))
    edited = edit({"a": pair, "b": constant(Size(), "embed", 1.0)}, Linear, lambda linear: linear.replace(inputs=9))
    assert edited["a"].one.inputs == edited["a"].two.inputs == 9 and pair.one.inputs == 1
    assert named(edited) == named({"a": pair, "b": edited["b"]})


def test_only_floats_are_cast():
    cast = cast_floats({"x": jnp.ones(2), "n": jnp.ones(2, jnp.int32), "b": jnp.ones(2, bool)}, jnp.bfloat16)
    assert [str(cast[name].dtype) for name in "xnb"] == ["bfloat16", "int32", "bool"]
    keyed = cast_floats({"key": jax.random.key(0)}, jnp.bfloat16)
    assert keyed["key"].dtype == jax.random.key(0).dtype
