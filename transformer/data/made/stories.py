"""Small stories with a hero, a friend, an animal and a thing, in seven sentences, each said in one of several ways.

A grammar tells them, and the same grammar reads them: who and what a story is about must not change on the way.
"""
import random
import re
import zlib


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


GIRLS = _words("Anna Clara Emma Grace Irene Kate Maria Olga Rosa Tina Vera Nina")
BOYS = _words("Ben David Felix Hugo Jack Leo Noah Peter Sam Tom Umar Walter")
SLOTS = {
    "hero": (*GIRLS, *BOYS),
    "friend": (*GIRLS, *BOYS),
    "place": _words("market river forest lake castle beach mill bridge garden meadow station harbour"),
    "thing": _words("ball kite book ring lamp hat basket drum key bell coat map boat doll"),
    "animal": _words("dog cat fox goat bear crow wolf goose horse monkey rabbit pig"),
    "he": ("he", "she"), "He": ("He", "She"), "his": ("his", "her"),
}
SENTENCES = (
    ("One morning {hero} went to the {place}.", "{hero} walked to the {place} one day.", "Early in spring {hero} came to the {place}."),
    ("There {hero} found a {thing}.", "At the {place} {he} saw a {thing}.", "{hero} bought a {thing} at the {place}."),
    ("{hero} showed the {thing} to {friend}.", "Then {friend} came and liked the {thing}.", "{friend} asked what the {thing} was for."),
    ("Suddenly a {animal} took the {thing}.", "But a {animal} ran away with the {thing}.", "Then a {animal} came and hid the {thing}."),
    ("{hero} and {friend} ran after the {animal}.", "{friend} called the {animal} back.", "{hero} gave the {animal} some bread."),
    ("At last {hero} had {his} {thing} again.", "In the end the {animal} gave the {thing} back.", "So {hero} lost {his} {thing} but had a friend."),
    ("Happily {he} went home from the {place}.", "{friend} and {hero} laughed about the {animal}.", "{He} never forgot that day at the {place}."),
)
PATTERNS = tuple(tuple(re.compile(re.sub(r"\\{(\w+)\\}", lambda slot: f"(?P<{slot[1]}>{'|'.join(SLOTS[slot[1]])})", re.escape(way)))
                       for way in ways) for ways in SENTENCES)


def stories(count: int, seed: int, held_out: bool = False) -> list[str]:
    """Different stories; what one is about is held out or it is not."""
    draw = random.Random(seed)
    found: dict[str, None] = {}
    while len(found) < count:
        about = {slot: draw.choice(SLOTS[slot]) for slot in ("hero", "friend", "place", "thing", "animal")}
        own = zlib.crc32(" ".join(about.values()).encode()) % 5 == 0
        if about["hero"] != about["friend"] and own == held_out:
            filled = about | _pronouns(about["hero"])
            found[" ".join(draw.choice(ways).format(**filled) for ways in SENTENCES)] = None
    return list(found)


def parses(text: str) -> bool:
    """Whether the grammar could have told this story."""
    sentences = re.findall(r"[^.]+\.", text)
    if len(sentences) != len(PATTERNS) or "".join(sentences) != text.strip():
        return False
    about: dict[str, str] = {}
    for sentence, ways in zip(sentences, PATTERNS, strict=True):
        read = next((match.groupdict() for way in ways if (match := way.fullmatch(sentence.strip()))), None)
        if read is None or any(about.setdefault(slot, word) != word for slot, word in read.items()):
            return False
    told = _pronouns(about["hero"])
    return about["hero"] != about.get("friend") and all(about.get(slot, word) == word for slot, word in told.items())


def _pronouns(hero: str) -> dict[str, str]:
    return {"he": "she", "He": "She", "his": "her"} if hero in GIRLS else {"he": "he", "He": "He", "his": "his"}
