"""Whoever gives a wrong input reads one sentence: what was given, what is allowed, how to mend it. Never a traceback."""
import inspect
import re
import sys
from pathlib import Path
from typing import Literal

import pytest
from launch import HERE, begun, ended
from little import experiment

from experiments.__main__ import files, story
from experiments.__main__ import main as by_name
from transformer import knobs
from transformer.mistakes import Mistake
from transformer.training.run import guarded, main, run


def told(capsys, status, command):
    """The one sentence on stderr of a command that exits with this status."""
    with pytest.raises(SystemExit) as stop:
        sys.exit(guarded(command))
    said, complained = capsys.readouterr()
    assert stop.value.code == status
    (line,) = complained.splitlines()
    assert said == ""
    return line


@pytest.mark.parametrize("arguments, parts", [
    (["--layres", "2"], ["no knob '--layres'", "did you mean --layers?", "there are accumulate, check, coordinator"]),
    (["--quality", "2"], ["no knob '--quality'; there are"]),
    (["600"], ["no knob '600'"]),
    (["-layers", "2"], ["no knob '-layers' (did you mean --layers?)"]),
    (["--layers", "two"], ["knob layers takes a whole number, not 'two'"]),
    (["--layers", "2.5"], ["knob layers takes a whole number, not '2.5'"]),
    (["--layers="], ["knob layers takes a whole number, not ''"]),
    (["--rate", "fast"], ["knob rate takes a number, not 'fast'"]),
    (["--resume=perhaps"], ["knob resume takes true or false, not 'perhaps'"]),
    (["--layers"], ["knob layers wants a whole number after it, as in --layers 1"]),
    (["--layers", "--embed", "8"], ["knob layers wants a whole number after it"]),
    (["--mesh", "data=3"], ["mesh 'data=3' asks for 3 devices, but there are 8", "-1"]),
    (["--mesh", "rows=8"], ["mesh 'rows=8': cannot read 'rows=8'", "data, expert, fsdp, sequence, stage, tensor"]),
    (["--mesh", "data:8"], ["mesh 'data:8': cannot read 'data:8'"]),
    (["--mesh", "data=2,data=4"], ["cannot read 'data=4'", "once for each"]),
    (["--mesh", "tensor=8"], [".kernel: axis 'heads' has length 2, which tensor=8 of the mesh does not divide", "change"]),
    (["--mesh", "fsdp=8", "--embed", "20", "--rows", "16"], ["axis 'embed' has length 20, which fsdp=8"]),
    (["--mesh", "data=8"], ["8 rows cannot be dealt to 8 devices in 2 micro-batches; give a multiple of 16"]),
    (["--accumulate", "3"], ["8 rows cannot be dealt to 1 devices in 3 micro-batches; give a multiple of 3"]),
    (["--resume"], ["nothing to resume in", "run once without --resume"]),
    (["--length", "100000"], ["tokens, but a window of length 100000 needs 100001", "at most"]),
    (["--coordinator", "here"], ["--coordinator here wants the address", "--processes 2 --process 0"]),
    (["--coordinator", "localhost:1234", "--processes", "2"], ["wants the address of process 0 and two numbers"]),
    (["--embed", "-4"], ["axis 'width' has length -4; every axis"]),
    (["--rows", "0"], ["rows", "0"]),
    (["--steps", "0"], ["steps", "0"]),
    (["--dtype", "float99"], ["dtype", "float99", "bfloat16"]),
    (["--remat", "sometimes"], ["remat", "sometimes", "none"]),
    (["--accumulate", "0"], ["accumulate", "0"]),
])
def test_a_wrong_knob_is_told_in_one_sentence(tmp_path, capsys, arguments, parts):
    line = told(capsys, 2, lambda: main(experiment, [*arguments, "--runs", str(tmp_path / "runs")]))
    assert all(part in line for part in parts), line
    assert not (tmp_path / "runs").exists()  # nothing was begun, so nothing is left for --resume to find


@pytest.mark.parametrize("content, part", [
    (None, "There is no file or folder"), (b"", "is empty"), (b"  \n", "is empty"),
    (b"plain, then \xff\xfe", "is not UTF-8: byte 0xff at offset 12"), (b"much too short", "a window of length 64 needs 65")])
def test_a_wrong_file_is_told_in_one_sentence(tmp_path, capsys, content, part):
    path = tmp_path / "text.txt"
    if content is not None:
        path.write_bytes(content)
    arguments = ["--file", str(path), "--runs", str(tmp_path / "runs")]
    assert part in told(capsys, 2, lambda: by_name(["shakespeare", *arguments]))
    assert not (tmp_path / "runs").exists()


def test_a_file_is_asked_for(capsys):
    assert "as in --file" in told(capsys, 2, lambda: by_name(["shakespeare"]))


def test_an_unknown_experiment_is_told_with_those_there_are(capsys):
    line = told(capsys, 2, lambda: by_name(["gtp2"]))
    assert "no experiment 'gtp2' (did you mean gpt2?); there are" in line and all(name in line for name in files())


def test_runs_must_be_a_folder(tmp_path, capsys):
    (tmp_path / "runs").write_text("not a folder")
    line = told(capsys, 2, lambda: main(experiment, ["--runs", str(tmp_path / "runs")]))
    assert line.startswith("cannot make the folder ") and "give another place with --runs" in line


def test_help_shows_the_story_and_every_knob(capsys):
    with pytest.raises(SystemExit) as stop:
        main(experiment, ["--help"])
    said = capsys.readouterr().out
    assert stop.value.code == 0 and said.startswith("The smallest experiment")
    for function in (experiment, run):
        for name, knob in knobs.knobs_of(function).items():
            assert f"  --{name} {knob.default}\n" in said


def test_knobs_are_read_as_their_kind():
    def own(layers: int = 1, rate: float = 0.1, name: str = "x", file: Path | None = None, deep: bool = False, wide=True):
        """Each kind of knob."""

    def every(seed: int | None = None, keep: bool = True):
        """Those of every run."""

    words = "--layers 3 --rate=1e-4 --name --odd --file a/b.txt --deep --no-such"
    with pytest.raises(Mistake, match="knob name wants a text after it"):
        knobs.parse(words.split(), own, every)
    words = "--layers 3 --rate=1e-4 --name=--odd --file a/b.txt --deep --seed 7 --keep false --wide no"
    assert knobs.parse(words.split(), own, every) == [
        {"layers": 3, "rate": 1e-4, "name": "--odd", "file": Path("a/b.txt"), "deep": True, "wide": False},
        {"seed": 7, "keep": False}]
    assert knobs.parse(["--rate", "-1"], own) == [{"rate": -1.0}]
    assert knobs.fitted({"file": "a/b.txt", "layers": 2}, own) == {"file": Path("a/b.txt"), "layers": 2}


def test_a_knob_that_words_cannot_give_says_so():
    def own(betas: tuple[float, float] = (0.9, 0.95)):
        """A knob for Python only."""

    with pytest.raises(Mistake, match="knob betas cannot be given in words"):
        knobs.parse(["--betas", "0.9"], own)


def test_a_knob_may_be_one_of_a_few_words_and_be_called_from():
    def own(way: Literal["up", "down"] = "up", from_: Path | None = None):
        """Knobs that Python spells otherwise."""

    assert knobs.parse(["--way", "down", "--from", "a/b"], own) == [{"way": "down", "from_": Path("a/b")}]
    with pytest.raises(Mistake, match="knob way is one of up, down, not 'left'"):
        knobs.parse(["--way", "left"], own)
    with pytest.raises(Mistake, match="there are from, way"):
        knobs.parse(["--frmo", "x"], own)


def test_the_list_of_experiments_tells_each_in_two_lines():
    for name, path in files().items():
        what, number = story(path)
        assert what.endswith((".", "?")) and len(what) > 30
        assert number.startswith(f"python -m experiments {name}") and len(re.split(" {8,}", number)) == 2
        assert path.parent.name in ("embeddings", "encoders", "decoders", "encoder_decoders", "workflows")


@pytest.mark.slow
def test_the_list_in_a_process(tmp_path):
    status, said, complained = ended(begun("-m", "experiments", where=tmp_path))
    assert status == 0 and complained == ""
    commands, _, listed = said.partition("\n\n")
    assert all(line.startswith("python -m experiments") for line in commands.splitlines())
    lines = listed.splitlines()
    assert len(lines) == 3 * len(files())
    for (name, path), head, what, number in zip(files().items(), lines[::3], lines[1::3], lines[2::3], strict=True):
        assert head == f"{path.parent.name}/{name}" and [what.strip(), number.strip()] == story(path)


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [
    ["-m", "experiments", "nope"], ["-m", "experiments", "gpt2", "--layres", "3"], [HERE / "little.py", "--layers", "x"],
    [HERE / "little.py", "--mesh", "tensor=8"], [HERE / "little.py", "--resume"]])
def test_a_process_complains_in_one_line(tmp_path, arguments):
    status, said, complained = ended(begun(*arguments, where=tmp_path, devices=8))
    assert status == 2 and len(complained.splitlines()) == 1 and said == ""


def test_every_experiment_runs_by_its_name_and_as_a_file():
    for path in files().values():
        assert path.read_text().rstrip().endswith('if __name__ == "__main__":\n    main(experiment)')
        assert "def experiment(" in path.read_text()


def test_no_knob_of_a_run_is_hidden_by_one_of_an_experiment():
    for path in files().values():
        space = {"__name__": path.stem}
        exec(compile(path.read_text(), str(path), "exec"), space)
        assert not set(inspect.signature(space["experiment"]).parameters) & set(knobs.knobs_of(run))
