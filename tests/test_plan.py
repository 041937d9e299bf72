import dataclasses
import subprocess
import sys
import time
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from transformer import costs
from transformer.__main__ import main
from transformer.costs import DEVICES
from transformer.describe import lines
from transformer.hlo import Program
from transformer.knobs import knobs_of
from transformer.mistakes import Mistake
from transformer.plan import chosen, padded, plan, speed
from transformer.presets import PRESETS, gpt, known
from transformer.sharding import mesh_of
from transformer.training.loop import promised
from transformer.training.run import guarded
from transformer.training.step import step_of
from transformer.weights import count

PUBLISHED = {
    "gpt2": 124_439_808, "gpt2-medium": 354_823_168, "gpt2-large": 774_030_080, "gpt2-xl": 1_557_611_200,
    "gpt3-175b": 174_604_259_328, "bert-base": 110_106_428, "bert-large": 336_226_108,
    "t5-small": 60_506_624, "t5-base": 222_903_552, "t5-large": 737_668_096, "t5-3b": 2_851_598_336, "t5-11b": 11_307_321_344,
    "t5-v1.1-small": 76_961_152, "t5-v1.1-base": 247_577_856, "t5-v1.1-large": 783_150_080, "t5-v1.1-xl": 2_849_757_184,
    "t5-v1.1-xxl": 11_135_332_352, "palm-8b": 8_632_012_800, "palm-62b": 62_495_662_080,
    "palm-540b": 540_356_474_880, "llama-7b": 6_738_415_616, "llama-13b": 13_015_864_320, "llama-30b": 32_528_943_616,
    "llama-65b": 65_285_660_672, "llama2-70b": 68_976_648_192, "vit-b16": 86_567_656,
    "vit-l16": 304_326_632, "whisper-tiny": 37_760_640, "whisper-large-v2": 1_543_304_960, "whisper-large-v3": 1_543_490_560,
    "imagegpt-large": 1_362_914_304, "dalle": 12_293_824_256}

# Eight layers: what is done per layer outweighs what is done once.
small = partial(gpt, layers=8, embed=64, heads=4, length=32, vocab=128, rows=16)


@pytest.fixture(autouse=True)
def started():
    """A command that asks for fewer fake devices must not leave the other tests with so few."""
    assert len(jax.devices()) == 8


def test_presets_count_what_was_published():
    assert {name: count(build().model) for name, build in PRESETS.items()} == PUBLISHED


def test_a_file_without_an_experiment_says_so(tmp_path):
    (tmp_path / "mine.py").write_text("layers = 3")
    with pytest.raises(Mistake, match="mine.py has no function experiment"):
        known(str(tmp_path / "mine.py"))


def test_a_table_has_every_weight_and_their_total():
    table = list(lines(PRESETS["gpt3-175b"]().model))
    assert table[0].split() == ["weight", "shape", "axes", "count"]
    up = next(line for line in table if line.startswith("blocks.blocks.mlp.up.kernel"))
    assert up.split() == ["blocks.blocks.mlp.up.kernel", "96×12288×49152", "layers", "embed", "mlp", f"{96 * 12288 * 49152:,}"]
    assert table[-1].split() == ["total", "174,604,259,328"]
    assert len({len(line) for line in table}) == 1


def test_a_loop_counts_as_often_as_it_runs_in_whatever_way_groups_are_written():
    program = Program('''HloModule step, num_partitions=8

%add (a: f32[], b: f32[]) -> f32[] {
  %a = f32[] parameter(0)
  %b = f32[] parameter(1)
  ROOT %sum = f32[] add(%a, %b)
}

%slices (p: f32[], q: bf16[8,4], i: s32[]) -> bf16[8,2] {
  %p = f32[] parameter(0)
  %q = bf16[8,4]{1,0} parameter(1)
  %i = s32[] parameter(2)
  %once = f32[99]{0} dynamic-update-slice(%p, %p, %i)
  ROOT %slice = bf16[8,2]{1,0} dynamic-slice(%q, %p, %i), dynamic_slice_sizes={8,2}
}

%inner (x: (s32[], f32[16])) -> (s32[], f32[16]) {
  %x = (s32[], f32[16]{0}) parameter(0)
  %v = f32[16]{0} get-tuple-element(%x), index=1
  %all-reduce.1 = f32[16]{0} all-reduce(%v), replica_groups={{0,2,4,6},{1,3,5,7}}, to_apply=%add
  %left = f32[3,4]{1,0} constant({...})
  %dot = f32[3,5]{1,0} dot(%left, %right), lhs_contracting_dims={1}, rhs_contracting_dims={0}
  %right = f32[4,5]{1,0} constant({...})
  %kept = f16[5,7]{1,0} dynamic-update-slice(%v, %left, %right)
  ROOT %t = (s32[], f32[16]{0}) tuple(%v, %all-reduce.1)
}

%outer (y: (s32[], f32[16])) -> (s32[], f32[16]) {
  %y = (s32[], f32[16]{0}) parameter(0)
  %all-gather = bf16[2,16]{1,0} all-gather(%y), replica_groups=[4,2]<=[2,4]T(1,0), dimensions={0}
  ROOT %while.1 = (s32[], f32[16]{0}) while(%y), condition=%add, body=%inner, backend_config={"known_trip_count":{"n":"5"}}
}

ENTRY %main (z: (s32[], f32[16])) -> (s32[], f32[16]) {
  %z = (s32[], f32[16]{0}) parameter(0)
  %all-reduce.2 = (bf16[8,4]{1,0}, /*index=1*/f32[]) all-reduce(%z, %z), replica_groups=mesh['data'=4,'tensor'=2] {'tensor'}, to_apply=%add
  %g0 = bf16[8,4]{1,0} get-tuple-element(%all-reduce.2), index=0
  %g1 = f32[] get-tuple-element(%all-reduce.2), index=1
  %f = bf16[8,2]{1,0} fusion(%g1, %g0, %g1), kind=kLoop, calls=%slices
  %collective-permute = s8[6]{0} collective-permute(%z), source_target_pairs={{0,3},{3,0}}
  %all-to-all = f32[8]{0} all-to-all(%z), replica_groups=mesh['a'=8] {'a':(2)2}
  ROOT %while.2 = (s32[], f32[16]{0}) while(%z), condition=%add, body=%outer, backend_config={"known_trip_count":{"n":"3"}}
}
''')
    assert [(c.kind, c.bytes, c.group) for c in program.collectives()] == [
        ("reduce-scatter", 8 * 2 * 2, (0, 1)),  # every device keeps its half only
        ("all-reduce", 2 / 2 * 4, (0, 1)),
        ("collective-permute", 6, (0, 3)),
        ("all-to-all", 8 * 4 / 2, (0, 2)),
        ("all-gather", 3 * 2 * 16 * 2 / 2, (0, 4)),
        ("all-reduce", 15 * 2 * 3 / 4 * 16 * 4, (0, 2, 4, 6))]
    assert program.stacked() == 5 * 7 * 2
    (matmul,) = program.matmuls()
    assert matmul.flops == 15 * 2 * 3 * 4 * 5 and matmul.elements == 15 * (12 + 20 + 15)


def test_a_real_program_sends_what_it_was_written_to_send():
    mesh = mesh_of("data=2,tensor=4")

    def reduce_scan(x):
        def body(x, _):
            return jax.lax.psum(jnp.sin(x), "tensor") / 4, None
        return jax.lax.scan(body, x, None, length=7)[0]

    step = jax.jit(jax.shard_map(reduce_scan, mesh=mesh, in_specs=P("data"), out_specs=P("data"), check_vma=False))
    program = Program(step.lower(jax.ShapeDtypeStruct((10, 6), jnp.float32)).compile().as_text())
    assert [(c.kind, c.bytes, c.group) for c in program.collectives()] == [
        ("all-reduce", 7 * 2 * 3 / 4 * 5 * 6 * 4, (0, 1, 2, 3))]


def test_a_gradient_of_which_each_device_keeps_its_part_is_scattered():
    mesh = mesh_of("fsdp=8")
    rows = NamedSharding(mesh, P("fsdp"))
    gradient = jax.jit(lambda x, y: x.T @ y, in_shardings=rows, out_shardings=rows)
    shapes = [jax.ShapeDtypeStruct((32, width), jnp.float32) for width in (16, 24)]
    program = Program(gradient.lower(*shapes).compile().as_text())
    assert [(c.kind, c.bytes) for c in program.collectives()] == [("reduce-scatter", 7 * 16 * 24 * 4 / 8)]
    assert sum(matmul.flops for matmul in program.matmuls()) == 2 * 32 * 16 * 24 / 8


def test_of_the_branches_of_a_layer_only_the_larger_counts():
    def turns(x, wide, narrow):
        branches = (lambda x: x @ wide @ wide.T, lambda x: x @ narrow @ narrow.T)
        return jax.lax.scan(lambda x, kind: (jax.lax.switch(kind, branches, x), None), x, jnp.array([0, 1, 0]))[0]

    shapes = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in ((5, 16), (16, 24), (16, 8))]
    program = Program(jax.jit(turns).lower(*shapes).compile().as_text())
    assert sum(matmul.flops for matmul in program.matmuls()) == 3 * 2 * 2 * 5 * 16 * 24


def test_experts_are_counted_by_what_each_row_is_multiplied_with():
    def experts(x, matrices, counts):
        return jnp.square(jax.lax.ragged_dot(x, matrices, counts)).sum()

    x, matrices, counts = jnp.ones((64, 16)), jnp.ones((4, 16, 32)), jnp.full(4, 16)
    both = jax.grad(experts, (0, 1))
    assert costs.flops(jax.make_jaxpr(experts)(x, matrices, counts).jaxpr) == 2 * 64 * 16 * 32
    assert costs.flops(jax.make_jaxpr(both)(x, matrices, counts).jaxpr) == 3 * 2 * 64 * 16 * 32


def test_flops_of_gpt2_are_the_closed_formula():
    experiment = dataclasses.replace(PRESETS["gpt2"](rows=4), unroll=False)
    batch = {name: jax.ShapeDtypeStruct((4, *x.shape), x.dtype) for name, x in experiment.data[0].items()}
    counted = costs.flops(jax.jit(step_of(experiment, 0)).trace(promised(experiment), batch).jaxpr)
    in_matmuls = 12 * 12 * 768**2 + 50257 * 768
    assert counted == 4 * 1024 * (6 * in_matmuls + 12 * 12 * 768 * 1024)


@pytest.fixture(scope="module")
def planned():
    return plan(small(), mesh_of("fsdp=4,tensor=2"), DEVICES["h100"])


@pytest.mark.slow
def test_a_plan_adds_up(planned):
    """Every number has a formula in a model as plain as this one."""
    tokens, in_blocks, table = 16 * 32, 8 * 12 * 64**2, 128 * 64
    assert planned.flops == tokens * (6 * (in_blocks + table) + 12 * 8 * 64 * 32)
    assert planned.done == planned.flops // 8  # nothing is computed twice
    shared = planned.parameters - 4 * in_blocks // 8
    assert 0 < shared < 4 * (table + 32 * 64 + 8 * 13 * 64)  # tables and vectors are split over fewer devices
    assert planned.optimizer == 2 * planned.parameters + 4
    assert 3.5 * planned.parameters < planned.least < planned.total
    assert planned.fits
    gathered, scattered = planned.sent["all-gather"][0], planned.sent["reduce-scatter"][0]
    once = 2 * in_blocks / 2 * 3 / 4  # bfloat16, half of every matrix, all but the quarter that is here
    assert gathered == pytest.approx(2 * once, rel=0.1) and scattered == pytest.approx(once, rel=0.1)
    assert planned.seconds["links"] == pytest.approx(sum(moved for moved, _ in planned.sent.values()) / 450e9)
    assert planned.mfu(planned.flops / 8 / 990e12) == pytest.approx(1)


@pytest.mark.slow
def test_recomputation_costs_a_forward_pass_and_saves_memory(planned):
    again = plan(dataclasses.replace(small(), remat="full"), planned.mesh, planned.device)
    assert again.flops == planned.flops and 1.2 < again.done / planned.done < 4 / 3
    assert again.total < planned.total and again.least < planned.least


def test_turns_and_recomputation_are_chosen_by_what_fits(planned, monkeypatch):
    """On made-up needs: 10 for the state, and for each row of a device 4, or 1 where all is recomputed, which takes longer."""
    def needs(experiment, mesh, device):
        rows = experiment.rows // experiment.accumulate // 8
        total, seconds = (10 + 4 * rows, 3) if experiment.remat == "none" else (10 + rows, 4)
        return dataclasses.replace(planned, experiment=experiment, device=device, total=total, sent={"all": (0, seconds / rows)})

    def choice(memory, *given):
        found = chosen(experiment, mesh, dataclasses.replace(planned.device, memory=memory), *given)
        return found.experiment.remat, found.experiment.accumulate, found.fits

    monkeypatch.setattr("transformer.plan.plan", needs)
    experiment, mesh = small(rows=64), mesh_of("fsdp=8")  # eight rows a device
    assert choice(42) == ("none", 1, True)
    assert choice(41) == ("full", 1, True)  # recomputing all rows at once beats keeping four
    assert choice(41, "none") == ("none", 2, True)
    assert choice(15) == ("full", 2, True)
    assert choice(41, "none", 1) == ("none", 1, False)
    assert choice(20, None, 2) == ("full", 2, True)
    assert choice(10) == ("full", 8, False)


def test_a_ring_is_as_fast_as_its_slowest_link():
    h100 = DEVICES["h100"]
    assert speed(tuple(range(8, 16)), h100) == h100.link
    assert speed((0, 8, 16, 24), h100) == h100.network
    assert speed(tuple(range(16)), h100) == 8 * h100.network
    assert speed((0, 8, 16, 24), DEVICES["v5e"]) == DEVICES["v5e"].link


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_padded_for_a_mesh_that_splits_its_vocabulary(name):
    given, said = padded(PRESETS[name], {}, mesh_of("tensor=8"))
    knob = knobs_of(PRESETS[name]).get("vocab")
    assert bool(said) == bool(knob and knob.default % 8) and given.get("vocab", 0) % 8 == 0


def test_a_published_vocabulary_is_padded_only_where_the_mesh_asks_for_it():
    build = PRESETS["gpt2"]
    assert padded(build, {}, mesh_of("fsdp=8")) == ({}, "")
    assert padded(build, {"rows": 8}, mesh_of("tensor=8"))[0] == {"rows": 8, "vocab": 50304}
    assert padded(PRESETS["t5-small"], {}, mesh_of("tensor=8")) == ({}, "")
    assert padded(lambda rows=8: None, {}, mesh_of("tensor=8")) == ({}, "")


@pytest.mark.slow
def test_the_command_prints_a_plan(capsys):
    words = "plan gpt2 --layers 2 --embed 64 --heads 4 --length 32 --rows 8 --mesh fsdp=2,tensor=4 --device v5e --remat none"
    assert guarded(lambda: main([*words.split(), "--accumulate", "2"])) == 0
    said = capsys.readouterr().out
    for line in ("gpt2: 3,", "padded from 50,257 to 50,304", "on 8 v5e (fsdp=2,tensor=4)", "8 rows a step, 4 at a time",
                 "matmuls in bfloat16", "fits the 16 GB", "all-reduce", "MFU"):
        assert line in said


def test_an_experiment_of_ones_own_is_described_too(tmp_path, capsys):
    file = tmp_path / "mine.py"
    file.write_text("from transformer.presets import gpt\ndef experiment(layers: int = 2):\n    return gpt(layers=layers, vocab=64)\n")
    assert guarded(lambda: main(["describe", str(file), "--layers", "3"])) == 0
    assert "3×768×3072" in capsys.readouterr().out


@pytest.mark.parametrize(("words", "sentence"), [
    ("describe gtp2", "no model 'gtp2' (did you mean gpt2?); there are gpt2, "),
    ("describe mine.py", "there is no file mine.py; check the path"),
    ("describe", "describe wants a name after it, as in python -m transformer describe gpt2"),
    ("plam gpt2", "no command 'plam' (did you mean plan?); there are describe, plan"),
    ("describe gpt2 --layer 3", "no knob '--layer' (did you mean --layers?)"),
    ("plan gpt2 --device h101", "device 'h101' is not known; there are a100, h100"),
    ("plan gpt2 --remat some", "remat is 'some', but there are none, full, dots"),
    ("plan gpt2 --dtype float", "dtype is 'float', but there are float32, bfloat16"),
    ("plan gpt2 --accumulate 0", "accumulate is 0, but must be at least 1"),
    ("plan gpt2 --mesh fsdp=5", "axis 'embed' has length 768, which fsdp=5 of the mesh does not divide"),
    ("plan gpt2 --mesh fsdp=8 --rows 12", "12 rows cannot be dealt to 8 devices"),
    ("plan gpt2 --mesh speed=8", "mesh 'speed=8': cannot read 'speed=8'"),
    ("plan gpt2 --mesh fsdp=16", "a plan for 16 devices needs as many fake ones, but JAX has started with 8"),
])
def test_a_mistake_is_a_sentence(words, sentence, capsys):
    assert guarded(lambda: main(words.split())) == 2
    said = capsys.readouterr()
    assert sentence in said.err and said.err.count("\n") == 1 and not said.out


@pytest.mark.slow
def test_gpt3_is_planned_in_three_minutes_and_sixteen_gigabytes():
    import resource

    command = "-m transformer plan gpt3-175b --mesh fsdp=8,tensor=8 --device h100"
    began = time.monotonic()
    result = subprocess.run([sys.executable, *command.split()], capture_output=True, text=True, check=True)
    assert time.monotonic() - began < 180
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss < 16e6
    assert "on 64 h100" in result.stdout and "   fits the 80 GB" in result.stdout
    assert "rematerialization" not in result.stderr
    flops = float(next(line for line in result.stdout.splitlines() if "the model's" in line).split()[3])
    in_matmuls = 96 * 12 * 12288**2 + 50304 * 12288
    assert np.isclose(flops, 1536 * 2048 * (6 * in_matmuls + 12 * 96 * 12288 * 2048), rtol=1e-3)
