"""Events in many words: who did what to whom, where; every person, deed and place has two names, every event two voices.

Two sentences are as alike as the roles that the same concept fills. Words alone mislead: "the hound pursued the kid" says what
"a child that got chased from a dog" says, and "the kid pursued the hound" something else.
"""

import zlib
from dataclasses import dataclass

import numpy as np


def _names(text: str) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(pair.split("/")) for pair in text.split())


PEOPLE = _names(
    "doctor/physician cop/policeman kid/child teacher/instructor lawyer/attorney writer/author thief/burglar king/monarch "
    "boss/chief pilot/aviator sailor/mariner soldier/warrior farmer/grower cook/chef singer/vocalist actor/performer friend/pal "
    "student/pupil guard/watchman painter/artist judge/magistrate dog/hound rabbit/bunny horse/steed")
DEEDS = _names(
    "helped/assisted chased/pursued hired/employed warned/alerted scared/frightened praised/lauded trained/coached "
    "called/phoned blamed/accused loved/adored cured/healed invited/welcomed")
PLACES = _names(
    "shop/store street/road garden/yard wood/forest house/home harbour/port cave/grotto hill/mound sea/ocean town/city "
    "jail/prison field/meadow")
ROLES = (PEOPLE, DEEDS, PEOPLE, PLACES)
# Stated and sought, actively and passively: the two ways of speaking have no word in common.
STATED = ("the {0} {1} the {2} near the {3}", "the {2} was {1} by the {0} near the {3}")
SOUGHT = ("a {0} that {1} a {2} in a {3}", "a {2} that got {1} from a {0} in a {3}")


@dataclass(frozen=True)
class Event:
    """The concept in each role: who, what, whom, where."""

    concepts: tuple[int, int, int, int]

    @property
    def held_out(self) -> bool:
        """One in five, whoever of the two did it to the other."""
        who, what, whom, where = self.concepts
        return zlib.crc32(repr((min(who, whom), what, max(who, whom), where)).encode()) % 5 == 0

    @property
    def swapped(self) -> "Event":
        who, what, whom, where = self.concepts
        return Event((whom, what, who, where))

    def said(self, names: np.ndarray, form: str) -> str:
        """In words: which name of each concept, in which form."""
        return form.format(*(role[concept][name] for role, concept, name in zip(ROLES, self.concepts, names, strict=True)))

    def likeness(self, other: "Event") -> float:
        """The share of roles that the same concept fills."""
        return sum(one == another for one, another in zip(self.concepts, other.concepts, strict=True)) / len(ROLES)


def event(rng: np.random.Generator, held_out: bool = False) -> Event:
    while True:
        who, whom = rng.choice(len(PEOPLE), 2, replace=False)
        found = Event((int(who), int(rng.integers(len(DEEDS))), int(whom), int(rng.integers(len(PLACES)))))
        if found.held_out == held_out:
            return found


def like(rng: np.random.Generator, one: Event, held_out: bool = False) -> Event:
    """Another event that shares some roles with this one, all or none of them; or the same with its people swapped."""
    while True:
        kept = rng.random(len(ROLES)) < rng.random()
        other = event(rng, held_out).concepts
        mixed = Event(tuple(a if keep else b for a, b, keep in zip(one.concepts, other, kept, strict=True)))  # pyright: ignore
        mixed = one.swapped if rng.random() < 0.25 else mixed
        if mixed.concepts[0] != mixed.concepts[2] and mixed.held_out == held_out:
            return mixed


def names(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(2, size=len(ROLES))


def stated(rng: np.random.Generator, one: Event) -> str:
    return one.said(names(rng), STATED[rng.integers(2)])


def anyhow(rng: np.random.Generator, one: Event) -> str:
    return one.said(names(rng), (*STATED, *SOUGHT)[rng.integers(4)])


def graded(rng: np.random.Generator, held_out: bool = False) -> tuple[str, str, float]:
    """Two sentences, and how alike they are."""
    one = event(rng, held_out)
    other = like(rng, one, held_out)
    return anyhow(rng, one), anyhow(rng, other), one.likeness(other)


def sought(rng: np.random.Generator, count: int) -> tuple[list[str], list[str]]:
    """What is sought, and the documents that state it: each another event."""
    events = several(rng, count)
    return [one.said(names(rng), SOUGHT[rng.integers(2)]) for one in events], [stated(rng, one) for one in events]


def several(rng: np.random.Generator, count: int, held_out: bool = False) -> list[Event]:
    """So many different events."""
    found: dict[Event, None] = {}
    while len(found) < count:
        found[event(rng, held_out)] = None
    return list(found)


@dataclass(frozen=True)
class Library:
    """Documents, each an event; queries in any words, and without a word of the document whose number `truth` tells."""

    documents: list[str]
    queries: list[str]
    apart: list[str]
    truth: np.ndarray
    who: np.ndarray  # acts in each document


def library(rng: np.random.Generator, documents: int, queries: int) -> Library:
    """Held-out events, each there with its people swapped as well, so that the same words tell two stories."""
    half = several(rng, documents // 2, held_out=True)
    events = list(dict.fromkeys([*half, *(one.swapped for one in half)]))
    used = [names(rng) for _ in events]
    truth = rng.choice(len(events), min(queries, len(events)), replace=False)
    return Library(
        [one.said(own, STATED[rng.integers(2)]) for one, own in zip(events, used, strict=True)],
        [anyhow(rng, events[at]) for at in truth],
        [events[at].said(1 - used[at], SOUGHT[rng.integers(2)]) for at in truth],
        truth, np.array([one.concepts[0] for one in events]))


def every_word() -> list[str]:
    """Texts in which every word occurs, to make a tokenizer from."""
    forms = " ".join((*STATED, *SOUGHT)).replace("{", " ").replace("}", " ")
    return [" ".join(name for role in ROLES for pair in role for name in pair) + " " + forms]
