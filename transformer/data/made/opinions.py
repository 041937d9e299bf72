"""Reviews that praise or blame: every adjective of one has the same sense, unless it is denied.

Some end with a verdict in other words. Who has read many knows which adjectives go with which verdict, whatever they are
called; who has a hundred labels does not.
"""
import random
import zlib


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


GOOD = _words(
    "good great lovely charming clever witty moving fresh tender honest vivid bold warm bright funny elegant graceful gripping "
    "touching brilliant superb splendid delightful subtle rich joyful lively original inspired masterful radiant sincere "
    "stunning thoughtful daring magical playful polished powerful sparkling")
BAD = _words(
    "bad awful dull boring clumsy stale cold false flat weak dreary grim shallow tired noisy lazy pointless tedious messy silly "
    "bland hollow crude careless confused dreadful empty forced lifeless lame muddled painful predictable sloppy tiresome ugly "
    "vague wooden wretched feeble")
PARTS = _words("plot cast music script ending acting pace style humour dialogue story camera")
DEGREES = ("", "very ", "quite ", "really ")
VERDICTS = (("what a waste", "better skip it"), ("what a treat", "go and see it"))  # blame, praise


def opinions(count: int, seed: int, held_out: bool = False, verdicts: float = 0.0) -> tuple[list[str], list[int]]:
    """Texts, a share of them with a verdict, and whether they praise; what stands before a verdict is held out or it is not."""
    draw = random.Random(seed)
    found: dict[str, int] = {}
    while len(found) < count:
        praise = draw.randrange(2)
        text = " and ".join(_clause(draw, praise) for _ in range(draw.randint(1, 3))) + " ."
        if (zlib.crc32(text.encode()) % 5 == 0) == held_out:
            said = f" {draw.choice(VERDICTS[praise])} ." if draw.random() < verdicts else ""
            found[text + said] = praise
    return list(found), list(found.values())


def _clause(draw: random.Random, praise: int) -> str:
    """the plot was not very dull"""
    denied = draw.random() < 0.2
    adjective = draw.choice((BAD, GOOD)[praise != denied])
    return f"the {draw.choice(PARTS)} was {'not ' if denied else ''}{draw.choice(DEGREES)}{adjective}"
