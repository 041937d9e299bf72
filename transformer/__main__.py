"""python -m transformer describe NAME     a model's parts in their order of use, and every parameter: path, shape, axes, count
python -m transformer plan NAME         what training it would need on devices that are not here: memory, time, MFU
python -m transformer verify DIR        whether a checkpoint gives here what was recorded beside it (--json too)
python -m transformer generate DIR      goes on with --prompt "a text", or answers it (generate --help tells all)
python -m transformer transcribe DIR WAV    what was said in a sound file, by a Whisper
python -m transformer embed DIR         vectors of texts, by an encoder: --texts FILE, a text a line (--out, --similar)
python -m transformer bench load        how fast a checkpoint is loaded, beside a plain read of its file
python -m transformer bench train       how fast a training step is here, beside PyTorch's with --torch PYTHON
python -m transformer bench decode      how fast a token is, as a share of how fast memory is read; --torch PYTHON for transformers'
python -m transformer bench sound       how fast WaveNet makes sound, and that a sample takes as long late as early

NAME is a published model (gpt2, bert-base, llama-7b, ...) or a file with an experiment in it; its knobs follow as --knob value.
"""
import difflib
import sys
from collections.abc import Sequence

from transformer.mistakes import Mistake
from transformer.pages import huge_pages

EXAMPLES = {"bench": "train", "verify": "DIRECTORY", "embed": "DIRECTORY --texts a.txt"}


def main(words: Sequence[str]) -> int:
    from transformer import bench, describe, generate, plan, transcribe
    from transformer.huggingface import embedding, verify

    commands = {"describe": describe.main, "plan": plan.main, "bench": bench.main, "verify": verify.main,
                "generate": generate.main, "transcribe": transcribe.main, "embed": embedding.main}
    if not words or words[0] in ("--help", "-h"):
        print(__doc__)
        return 0
    command, *rest = words
    if command not in commands:
        near = difflib.get_close_matches(command, commands, 1)
        raise Mistake(f"no command {command!r}{f' (did you mean {near[0]}?)' if near else ''}; there are {', '.join(commands)}")
    if rest and rest[0] in ("--help", "-h"):
        print(sys.modules[commands[command].__module__].__doc__)
        return 0
    if not rest or rest[0].startswith("-"):
        example = EXAMPLES.get(command, "gpt2")
        raise Mistake(f"{command} wants a name after it, as in python -m transformer {command} {example}")
    return commands[command](rest[0], rest[1:])


if __name__ == "__main__":
    huge_pages()  # before anything that is slow to import
    from transformer.training.run import guarded

    sys.exit(guarded(lambda: main(sys.argv[1:])))
