"""Talks between a user, who tells of himself, and an assistant, who is asked turns later what it was told.

Every answer comes in two manners, kind and curt. What a user tells is held out or it is not.
"""
import random
import zlib
from dataclasses import dataclass

import numpy as np


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


FACTS = {  # how each is told, what it can be, how it is asked for, and what it is called in an answer
    "name": (("my name is {} .", "i am called {} ."),
             _words("anna ben clara david emma felix grace hugo irene jack kate leo maria noah olga peter"), "what is my name ?"),
    "city": (("i live in {} .", "my home is in {} ."),
             _words("rome paris oslo cairo lima delhi tokyo quito berlin madrid dublin vienna"), "what is my city ?"),
    "pet": (("i have a {} .", "my pet is a {} ."), _words("cat dog horse rabbit parrot goat sheep donkey turtle snake hamster duck"),
            "what is my pet ?"),
    "meal": (("i like to eat {} .", "my favourite meal is {} ."), _words("soup bread rice pasta fish cheese salad beans cake honey nuts plums"),
             "what is my meal ?"),
}
THANKS = ("nice to hear that .", "how interesting .", "thank you for telling me .")
CHATTER = tuple((f"do you like {thing} ?", f"yes , i like {thing} .") for thing in _words("rain music winter stories games trains flowers maps"))
MANNERS = {"kind": "with pleasure : your {} is {} .", "curt": "{1} ."}
ROLES = ("<user>", "<assistant>")
TEXTS = (*ROLES, *(way for ways, _, asked in FACTS.values() for way in (*ways, asked)), *THANKS, *MANNERS.values(),
         *(turn for pair in CHATTER for turn in pair), *(" ".join(values) for _, values, _ in FACTS.values()), *FACTS)
WORDS = ["<pad>", "<end>", *sorted({word for text in TEXTS for word in text.split() if "{" not in word})]
IDS = {word: id for id, word in enumerate(WORDS)}


@dataclass(frozen=True)
class Talk:
    """Turns of user and assistant by turns; the last one answers a question about what was told."""

    turns: tuple[str, ...]
    kind: str  # what stands last, said kindly
    curt: str  # and curtly
    slot: str  # the word that an answer must have

    @property
    def prompt(self) -> list[int]:
        """All before the last answer, and that it is the assistant's turn."""
        return tokens_of(self.turns[:-1])[0] + [IDS["<assistant>"]]


def talks(count: int, seed: int, held_out: bool = False) -> list[Talk]:
    draw = random.Random(seed)
    found: list[Talk] = []
    while len(found) < count:
        told = {fact: draw.choice(FACTS[fact][1]) for fact in draw.sample(list(FACTS), 3)}
        if (zlib.crc32(" ".join(sorted(told.values())).encode()) % 5 == 0) == held_out:
            found.append(_talk(draw, told))
    return found


def tokens_of(turns: tuple[str, ...]) -> tuple[list[int], list[int]]:
    """A talk as tokens, each turn after its role and closed by an end; and which of them the assistant is to learn to say."""
    tokens, said = [], []
    for number, turn in enumerate(turns):
        words = [IDS[word] for word in (ROLES[number % 2], *turn.split(), "<end>")]
        tokens += words
        said += [0] + [number % 2] * (len(words) - 1)
    return tokens, said


def read(tokens: list[int]) -> str:
    return " ".join(WORDS[token] for token in tokens)


def shared(some: list[Talk], length: int) -> dict[str, np.ndarray]:
    """Next-token examples of whole talks, in which what the user says weighs nothing."""
    return _filled([tokens_of(talk.turns) for talk in some], length)


def preferences(some: list[Talk], length: int) -> dict[str, np.ndarray]:
    """Each talk with its last answer said kindly, and said curtly as `rejected_...`; only that answer weighs."""
    found = {}
    for prefix, manner in (("", "kind"), ("rejected_", "curt")):
        rows = []
        for talk in some:
            tokens, _ = tokens_of((*talk.turns[:-1], getattr(talk, manner)))
            rows.append((tokens, [0] * len(talk.prompt) + [1] * (len(tokens) - len(talk.prompt))))
        found.update({prefix + name: array for name, array in _filled(rows, length).items()})
    return found


def _talk(draw: random.Random, told: dict[str, str]) -> Talk:
    turns: list[str] = []
    events = [*told, *draw.sample(range(len(CHATTER)), 2)]
    draw.shuffle(events)
    for event in events:
        if isinstance(event, int):
            turns += CHATTER[event]
        else:
            turns += [draw.choice(FACTS[event][0]).format(told[event]), draw.choice(THANKS)]
    for fact in draw.sample(list(told), 2):
        slot = told[fact]
        kind, curt = (MANNERS[manner].format(fact, slot) for manner in ("kind", "curt"))
        turns += [FACTS[fact][2], draw.choice((kind, curt))]
    return Talk(tuple(turns), kind, curt, slot)


def _filled(rows: list[tuple[list[int], list[int]]], length: int) -> dict[str, np.ndarray]:
    tokens, said = (np.array([row[part] + [0] * (length + 1 - len(row[part])) for row in rows], np.int32) for part in (0, 1))
    return {"tokens": tokens[:, :-1], "targets": tokens[:, 1:], "weights": said[:, 1:].astype(np.float32)}
