"""python -m transformer generate DIR_OR_RUN --prompt "Once upon a time"      goes on with a text, or answers a source

DIR_OR_RUN is a directory that transformers wrote, or one of our runs: runs/NAME (the latest) or runs/NAME/TIME.

what to go on with     --prompt TEXT   --tokens 1,2,3   --file PROMPTS.txt (one a line; JSON lines come out, or go to --out)
how                    --strategy greedy | sample | nucleus | beam | diverse | contrastive | lookup | speculative; found out
                       from the knobs if not said, and without any of them from generation_config.json
  sample, nucleus      --temperature --top-k --top-p --min-p --typical --epsilon --eta
  beam, diverse        --beams --length-penalty --early full|likely|never --groups --diversity
  contrastive          --top-k --alpha
  lookup               --ngram --ahead           speculative   --draft DIR_OR_RUN --ahead      and what sample takes
rules                  --repetition-penalty 1.2 --no-repeat 3 --min-new 5 --bad-words "this,that"
how much               --most 50 (new tokens)   --count 3 (texts)   --seed 0   --rows 8 (prompts at a time)
what to see            --stream: the text as it is written
                       --explain: what every token was weighed against, and the tree of it as a picture in --out
"""
import dataclasses
import itertools
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from transformer import knobs, speaker
from transformer.decoding import generate, stream
from transformer.decoding.explained import explained, finding, lines
from transformer.decoding.processors import MinLength
from transformer.decoding.tree import draw_tree
from transformer.huggingface.config import Config
from transformer.huggingface.generate import NEUTRAL, rules_of
from transformer.mistakes import Mistake
from transformer.models.captioner import Captioner
from transformer.models.whisper import Whisper
from transformer.speaker import Speaker
from transformer.strategy import THEIRS, Search, named, strategy

MOST = 50  # new tokens, if nobody says how many
PICTURE = Path("explained.png")
# What the strategy and the lengths have taken, or what says how to make and call the tokenizer.
TAKEN = (*(theirs for theirs, _ in THEIRS.values()), "do_sample", "max_length", "max_new_tokens", "num_return_sequences",
         "min_length", *NEUTRAL)


@dataclasses.dataclass(frozen=True)
class Rules:
    """The knobs of what may be said, above what generation_config.json has."""

    repetition_penalty: float | None = None
    no_repeat: int | None = None
    min_new: int | None = None
    bad_words: str | None = None

    def settings(self, own: Speaker) -> dict[str, Any]:
        """The same in generation_config.json's words."""
        given = {"repetition_penalty": self.repetition_penalty, "no_repeat_ngram_size": self.no_repeat, "min_new_tokens": self.min_new,
                 "bad_words_ids": None if self.bad_words is None else _bad(own, self.bad_words)}
        return {name: value for name, value in given.items() if value is not None}


@dataclasses.dataclass(frozen=True)
class Task:
    """Who is asked, for how much, and how."""

    own: Speaker
    strategy: Any
    settings: dict[str, Any]
    most: int | None
    seed: int

    def room(self, prompt: Sequence[int]) -> int:
        """How many tokens may follow: as many as were asked for, else what the model says, as far as it has positions."""
        room = self.own.room(prompt)
        if self.most is not None:
            return self.most
        most = self.settings.get("max_new_tokens") or MOST
        if "max_new_tokens" not in self.settings and self.settings.get("max_length"):
            most = max(1, self.settings["max_length"] - (1 if self.own.answers else len(prompt)))
        return most if room is None else min(most, room)

    def asked(self, prompts: Sequence[Sequence[int]], most: int, first: int = 0) -> dict[str, Any]:
        """The arguments of `generate`; the keys of prompts are those of their numbers, whoever their neighbours are."""
        given, source = self.own.asked(prompts)
        keys = jax.vmap(jax.random.fold_in, (None, 0))(jax.random.key(self.seed), jnp.arange(first, first + len(prompts)))
        return {**given, "most": most, "strategy": self.strategy, "processors": self._processors(source), "ends": self.own.ends,
                "key": keys}

    def _processors(self, source: Any) -> list[Any]:
        config = Config({name: value for name, value in self.settings.items() if name != "min_length"}, "generation_config.json")
        # Only an encoder-decoder begins anew, with a token that the file may force.
        found = rules_of(config, self.own.ends, 1 if self.own.answers else 0, source)
        config.settle(neutral=TAKEN)
        least = self.settings.get("min_length")
        return [*found, MinLength(least)] if least else found


def main(name: str, words: Sequence[str]) -> int:
    if {"--help", "-h"} & {name, *words}:
        print(__doc__)
        return 0
    search, rules, given = knobs.parse(words, Search, Rules, said)
    return said(name, Search(**search), Rules(**rules), **given)


def said(name: str, search: Search, rules: Rules, *, prompt: str | None = None, tokens: str | None = None, file: Path | None = None,
         out: Path | None = None, most: int | None = None, count: int = 1, seed: int = 0, rows: int = 8, stream: bool = False,
         explain: bool = False) -> int:
    """Everything that was given fits together, or is refused; then the model is opened and says what it has to say."""
    if sum(way is not None for way in (prompt, tokens, file)) != 1:
        raise Mistake('generate goes on with one of --prompt "a text", --tokens 1,2,3 and --file prompts.txt: give one of them')
    if out is not None and not (file or explain):
        raise Mistake("--out is where --file puts its JSON lines, and --explain its picture; without either leave it out")
    shows = {"--stream": stream, "--explain": explain, "--file": file is not None}
    if sum(shows.values()) > 1:
        raise Mistake(f"{' and '.join(way for way, on in shows.items() if on)} do not go together: choose one of them")
    for knob, number in (("most", most), ("rows", rows)):
        if number is not None and number < 1:
            raise Mistake(f"--{knob} is {number}; it must be at least 1")
    given = _given(prompt, tokens, file)
    # What is wrong with the knobs themselves is said before anything is read.
    _fits(named(search, {}), count, stream, explain)
    strategy(named(search, {}), search, {}, 1 if named(search, {}) == "greedy" else count, search.draft)
    task = _task(name, search, rules, most, count, seed)
    _fits(named(search, task.settings), count, stream, explain)
    prompts = [task.own.read(one) if isinstance(one, str) else one for one in given]
    if file is not None:
        with _written(out) as lines_of:
            for line in answered(task, given, prompts, rows):
                print(json.dumps(line, ensure_ascii=False), file=lines_of, flush=True)
    elif stream:
        _streamed(task, prompts[0])
    elif explain:
        _explained(task, prompts[0], out or PICTURE)
    else:
        _printed(task, prompts[0])
    return 0


def _fits(way: str, count: int, stream: bool, explain: bool) -> None:
    if stream and (way not in ("greedy", "sample", "nucleus") or count > 1):
        raise Mistake(f"--stream shows one text as it grows, token by token: choose --strategy greedy or sample, "
                      f"not {way if count == 1 else f'{count} texts'}")
    if explain and way not in ("greedy", "sample", "nucleus", "beam", "diverse"):
        raise Mistake(f"--explain shows greedy, sampled and beam searches, not {way}: choose one of them")


def answered(task: Task, given: Sequence[Any], prompts: Sequence[list[int]], rows: int) -> Iterator[dict[str, Any]]:
    """For every prompt its texts, in their order. Those that have as much room go together."""
    first = 0
    for most, together in itertools.groupby(prompts, task.room):
        alike = list(together)
        for at in range(0, len(alike), rows):
            some = alike[at:at + rows]
            found = generate(task.own.model, pad=task.own.pad, **task.asked(some, most, first))
            for one, texts, scores in zip(some, found.texts(), found.scores, strict=True):
                yield {"prompt": given[first], "texts": [task.own.said(text, one) for text in texts],
                       "scores": [float(score) for score in scores], "tokens": texts}
                first += 1


def _printed(task: Task, prompt: list[int]) -> None:
    (line,) = answered(task, [""], [prompt], 1)
    begin = "" if task.own.answers else task.own.said(prompt) + (" " if task.own.tokenizer is None else "")
    for number, (text, score) in enumerate(zip(line["texts"], line["scores"], strict=True), 1):
        if len(line["texts"]) > 1:
            print(f"--- {number}: score {score:.3f}")
        print(begin + text)


def _streamed(task: Task, prompt: list[int]) -> None:
    asked = task.asked([prompt], task.room(prompt))
    asked["prompt"] = asked["prompt"][0]
    own = task.own
    if not own.answers:
        print(own.said(prompt), end="", flush=True)
    decode = own.tokenizer.decode if own.tokenizer else lambda ids: "".join(f" {id}" for id in ids)
    for piece in stream(own.model, decode=decode, **asked):
        print(piece, end="", flush=True)
    print()


def _explained(task: Task, prompt: list[int], out: Path) -> None:
    asked = task.asked([prompt], task.room(prompt))
    asked["prompt"] = asked["prompt"][0]
    tree, found = explained(task.own.model, **asked)
    print(*lines(tree, task.own.shown), sep="\n")
    title = finding(tree, found, task.strategy, lambda text: task.own.said(text, prompt))
    print(title)
    root = "".join(map(task.own.shown, prompt))
    picture = draw_tree(tree, task.own.shown, root if len(root) < 15 else f"…{root[-14:]}", title)
    try:
        picture.savefig(out)
    except (OSError, ValueError) as error:
        raise Mistake(f"the picture cannot be written to {out} ({error}); give another --out, as in --out tree.png") from None
    print(f"the tree is in {out}")


def _task(name: str, search: Search, rules: Rules, most: int | None, count: int, seed: int) -> Task:
    own = speaker.opened(name)
    if isinstance(own.model, Captioner):
        raise Mistake(f"{name} is a Captioner, which looks at pictures, and generate gives it none: in Python its pictures are the memory "
                      f"of transformer.decoding.generate, memory=model.encode(images)")
    if isinstance(own.model, Whisper):
        raise Mistake(f"{name} is a Whisper, which hears sound: use python -m transformer transcribe {name} sound.wav")
    settings = {**own.settings, **rules.settings(own)}
    draft = None if search.draft is None else _draft(own, speaker.opened(str(search.draft)))
    return Task(own, strategy(named(search, settings), search, settings, count, draft), settings, most, seed)


def _draft(own: Speaker, draft: Speaker) -> Any:
    """The smaller model, if it speaks the same language."""
    if draft.answers:
        raise Mistake(f"the draft {draft.name} is an encoder-decoder; guesses come from a decoder")
    mine, its = (len(model.tokens.table) for model in (own.model, draft.model))
    if mine != its:
        raise Mistake(f"the draft {draft.name} has {its} tokens and {own.name} has {mine}: "
                      f"it must be a smaller model with the same tokenizer")
    return draft.model


def _given(prompt: str | None, tokens: str | None, file: Path | None) -> list[Any]:
    """The prompts: texts, or the one row of tokens."""
    if tokens is not None:
        try:
            return [[int(token) for token in tokens.replace(",", " ").split()]]
        except ValueError:
            raise Mistake(f"--tokens {tokens!r} is no list of numbers, as in --tokens 1,2,3") from None
    if file is None:
        return [prompt]
    try:
        found = [line for line in file.read_text(encoding="utf-8").splitlines() if line]
    except (OSError, UnicodeDecodeError) as error:
        raise Mistake(f"{file} cannot be read ({error.strerror if isinstance(error, OSError) else 'it is not UTF-8'}); "
                      f"give a text file with a prompt on each line") from None
    if not found:
        raise Mistake(f"{file} is empty; put a prompt on each line")
    return found


def _bad(own: Speaker, words: str) -> list[list[int]]:
    """The tokens of each word, at the beginning of a text and after a space."""
    if own.tokenizer is None:
        raise Mistake(f"{own.name} has no tokenizer.json, so it cannot know the words of --bad-words: leave it out")
    given = [word.strip() for word in words.split(",") if word.strip()]
    if not given:
        raise Mistake(f"--bad-words {words!r} holds no word; give some, as in --bad-words \"this,that\"")
    spelled = {tuple(own.tokenizer.encode(form + word).tolist()) for word in given for form in ("", " ")}
    return [list(word) for word in sorted(spelled) if word]


def _written(out: Path | None) -> Any:
    """Where lines go: the terminal, or a file."""
    if out is None:
        return nullcontext(sys.stdout)
    try:
        return out.open("w", encoding="utf-8")
    except OSError as error:
        raise Mistake(f"{out} cannot be written ({error.strerror}); give another --out") from None
