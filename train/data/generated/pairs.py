"""Minimal pairs told by a small grammar: two sentences of which one is English and the other, by a single change, not.

After BLiMP (Warstadt et al. 2020, arXiv 1912.00582): a model that knows the phenomenon finds the good sentence more
probable. In the templates `<good|bad>` is the change, `{word}` is drawn once a sentence from the list of that name
(`{word2}` is another draw from the list `word`), and a drawn word may itself be `good|bad`. Words are everyday ones.
"""

import re
import struct
from collections.abc import Iterator
from hashlib import shake_256

DRAWS = 16  # more than a template has words
TRIES = 100  # at another sentence than all before

WORDS = {
    "woman": "Ada,Anna,Clara,Emma,Flora,Hana,Iris,Julia,Lena,Maria,Nora,Olga,Ruth,Sara",
    "man": "Adam,Anton,David,Felix,Henry,Hugo,Ivan,Jonas,Karim,Leo,Oscar,Paul,Simon,Victor",
    "one": "baker,doctor,driver,farmer,gardener,neighbour,painter,student,teacher,writer",
    "many": "bakers,doctors,drivers,farmers,gardeners,neighbours,painters,students,teachers,writers",
    "thing": "basket,book,bottle,chair,clock,coat,key,lamp,letter,picture,ring,table",
    "things": "baskets,books,bottles,chairs,clocks,coats,keys,lamps,letters,pictures,rings,tables",
    "stuff": "bread,butter,flour,milk,money,rice,salt,sand,soup,sugar,tea,water",
    "saw": "bought,carried,cleaned,dropped,found,liked,lost,moved,noticed,sold,wanted,watched",
    "hurt": "blamed,helped,hurt,praised,surprised,taught,warned,washed",
    "near": "behind,beside,near,next to,under",
    "state": "black,broken,clean,dirty,green,heavy,lost,new,old,red,small,white",
    "when": "in the evening,in the morning,last week,on Monday,on Sunday,yesterday",
    "taken": """broken|broke,chosen|chose,drawn|drew,forgotten|forgot,given away|gave away,hidden|hid,
        shaken|shook,stolen|stole,taken|took,thrown away|threw away,worn|wore,written about|wrote about""",
    "carry": """carry|carries,clean|cleans,drop|drops,find|finds,keep|keeps,lose|loses,move|moves,open|opens,
        sell|sells,use|uses,want|wants,watch|watches""",
    "opened": """bought|slept,broke|fell,carried|arrived,cleaned|laughed,dropped|sneezed,found|existed,
        hid|vanished,lost|disappeared,mended|smiled,moved|happened,opened|coughed,painted|yawned""",
    "older": """older|oldest,heavier|heaviest,cheaper|cheapest,smaller|smallest,darker|darkest,newer|newest,
        larger|largest,cleaner|cleanest,longer|longest,wider|widest""",
}  # fmt: skip

# The two templates of a phenomenon are used in turn, so that no word is always the good one.
PHENOMENA = {
    "subject_verb_agreement": ("The {one} <is|are> {near} the {thing}.", "The {many} <are|is> {near} the {thing}."),
    "agreement_past_a_noun": (
        "The {thing} {near} the {things} <was|were> {state}.",
        "The {things} {near} the {thing} <were|was> {state}.",
    ),
    "determiner_noun_agreement": (
        "{woman} {saw} <this|these> {state} {thing} {when}.",
        "{man} {saw} <these|this> {state} {things} {when}.",
    ),
    "anaphor_agreement": ("{woman} {hurt} <herself|himself> {when}.", "{man} {hurt} <himself|herself> {when}."),
    "negative_polarity": (
        "The {one} has <never|often> {saw} any {things}.",
        "<No|Some> {one} has ever {saw} the {state} {thing}.",
    ),
    "irregular_participle": ("The {one} has <{taken}> the {state} {thing}.", "The {many} have <{taken}> the {things}."),
    "verb_after_modal": ("{woman} will <{carry}> the {state} {thing}.", "{man} can <{carry}> the {things}."),
    "pronoun_case": ("<She|Her> {saw} the {thing} {when}.", "The {one} {saw} <them|they> {when}."),
    "adjective_order": (
        "The <{state} {thing}|{thing} {state}> stood {near} the {thing2}.",
        "The <{state} {things}|{things} {state}> stood {near} the {thing}.",
    ),
    "transitivity": ("{woman} <{opened}> the {thing} {when}.", "The {many} <{opened}> the {things} {when}."),
    "comparison": ("This {thing} is <{older}> than that {thing2}.", "Our {things} are <{older}> than your {things2}."),
    "quantity": (
        "There are <many|much> {things} {near} the {thing}.",
        "There is <much|many> {stuff} {near} the {thing}.",
    ),
}


def pairs(seed: int, count: int) -> Iterator[tuple[str, str, str]]:
    """Yield (phenomenon, good sentence, bad sentence), `count` of each phenomenon, no good sentence twice.

    They depend on `seed` alone, on any machine; the first pairs of a larger `count` are the same.
    """
    for phenomenon in PHENOMENA:
        told: set[str] = set()
        for number in range(count):
            tries = (pair(seed, phenomenon, number, attempt) for attempt in range(TRIES))
            good, bad = next(pair for pair in tries if pair[0] not in told)
            told.add(good)
            yield phenomenon, good, bad


def pair(seed: int, phenomenon: str, number: int, attempt: int) -> tuple[str, str]:
    """One good and one bad sentence."""
    stream = shake_256(f"{seed}:{phenomenon}:{number}:{attempt}".encode()).digest(4 * DRAWS)
    draws = iter(struct.unpack(f"<{DRAWS}I", stream))
    drawn: dict[str, str] = {}

    def word(name: re.Match[str]) -> str:
        if name[1] in drawn:
            return drawn[name[1]]
        listed = map(str.strip, WORDS[name[1].rstrip("2")].split(","))
        choices = [each for each in listed if each not in drawn.values()]
        return drawn.setdefault(name[1], choices[next(draws) % len(choices)])

    template = PHENOMENA[phenomenon][number % 2]
    filled = re.sub(r"\{(\w+)\}", word, template)
    good, bad = (re.sub(r"<([^|>]*)\|([^|>]*)>", rf"\{side}", filled) for side in (1, 2))
    return good, bad
