"""Stories told by a small grammar: a corpus that needs no network, for lessons, tests and the recipe `tiny`.

A story is a plot whose people, place and thing are drawn once and kept to the end. In the templates `[a|b]`
is a choice, which may hold further choices, and `{word}` is filled in: with what the story has settled on
(`{hero}`, `{thing}`), else with a fresh draw from the list of that name. `{Word}` is `{word}` with a capital.
The hero is {he} {him} {his}; the same words after `f_`, `k_`, `t_` are the friend, the kin, the trader.
"""

import re
import struct
from collections.abc import Iterator, Sequence
from functools import cache
from hashlib import shake_256
from typing import TypeAlias, TypeVar

T = TypeVar("T")
Piece: TypeAlias = "str | Choice"
Choice: TypeAlias = tuple[tuple[Piece, ...], ...]

SMALL = {"a", "and", "at", "in", "of", "on", "that", "the", "to"}  # words without a capital in a title
DRAWS = 512  # far more than any story uses; running out would be a bug

WOMEN = """Ada Agnes Alma Amina Anya Bea Brona Cara Celia Clara Dalia Dora Edith Elin Elsa Esme Fern Flora Freya Greta
Hana Hazel Ida Imani Ines Iris Ivy Jana Joan Juno Kaja Keiko Lena Lila Lucia Mabel Maren Mina Mira Nadia Nell Noor Olga
Oona Petra Polly Priya Ravna Rosa Ruth Sada Selma Signe Tamar Tess Thea Uma Vera Wanda Yara Zofia"""
MEN = """Abel Ahmed Aksel Amos Anton Arlo Basil Bram Callum Casper Cyrus Dario Davi Edgar Eli Emil Ezra Felix Finn Gus
Hamid Henrik Hugo Idris Ivan Jonas Jory Kai Karim Kofi Lars Leo Linus Luka Magnus Malik Marek Milo Nils Noah Odin Olaf
Omar Oskar Otto Pavel Pedro Piet Ravi Rufus Samir Silas Sven Tariq Theo Tomas Viktor Walt Yusuf Zeno"""
KIN = (("grandmother", "aunt", "mother", "sister"), ("grandfather", "uncle", "father", "brother"))
PRONOUNS = (("she", "her", "her"), ("he", "him", "his"))

# One of each is drawn when a story begins and stays the same to its end.
SETTLED = {
    "trader": """baker|miller|smith|weaver|potter|ferryman|shepherd|beekeeper|carpenter|cobbler|clockmaker|fisherman
        |gardener|glassblower|cheesemaker|bookbinder""",
    "town": """[Ash|Birch|Black|Bright|Clear|Cold|Elm|Fair|Fern|Gold|Green|Grey|Hazel|High|Long|Low|Marsh|Moss|North
        |Oak|Otter|Raven|Reed|Rose|Salt|Silver|South|Stone|Thorn|Willow|Wind|Winter][bank|bridge|brook|by|cliff|combe
        |dale|field|ford|gate|ham|haven|hill|mere|moor|port|shore|side|stead|ton|vale|well|wick|wood]""",
    "landmark": """the old mill|the stone bridge|the lighthouse|the village well|the ruined tower|the apple orchard
        |the harbour wall|the beech wood|the chapel on the hill|the duck pond|the water meadow|the windmill
        |the shepherd's hut|the long pier|the walled garden|the standing stones""",
    "far": """beyond the marsh|over the seven hills|on the other side of the lake|at the end of the north road
        |past the last farm|high above the tree line|where two rivers meet|behind the waterfall|down in the salt caves
        |across the wide moor""",
    "animal": """fox|heron|donkey|goat|otter|hedgehog|raven|badger|hare|swan|pony|squirrel|owl|sheepdog|kitten|lamb
        |magpie|toad""",
    "look": "[brass|copper|tin|silver|wooden|painted|polished|carved|worn|little|blue|green|red|yellow|striped|heavy]",
    "noun": """lantern|kettle|compass|whistle|music box|locket|key|bell|spoon|flute|clock|basket|telescope|spinning top
        |cup|mirror|drum|ring|bowl|needle case|pocket knife|snow globe|fiddle|ink pot""",
    "tool": """plough|loom|pump|hay wagon|bellows|ferry|spinning wheel|weather vane|water wheel|wine press|winch
        |threshing machine|pulley|sawmill|butter churn""",
    "food": """plum cake|onion soup|honey bread|apple pie|barley broth|cheese and pickles|roast chestnuts|pea soup
        |ginger biscuits|baked pears|potato pancakes|blackberry jam""",
    "season": "spring|summer|autumn|winter",
    "number": "three|four|five|six|seven|eight|nine|ten",
    "riddle": """What has teeth but never bites?=a comb|What gets wetter the more it dries?=a towel
        |What has a neck but no head?=a bottle|What runs all day and never leaves its bed?=a river
        |What can fill a room and yet weighs nothing?=light|What has hands but cannot clap?=a clock
        |What is full of holes and still holds water?=a sponge|What goes up when the rain comes down?=an umbrella
        |What has one eye and cannot see?=a needle|What breaks when you say its name?=silence
        |What follows you all morning and hides at noon?=your shadow|What has roots that nobody sees?=a mountain
        |What must be broken before it is of any use?=an egg|What travels far and stays in its corner?=a stamp""",
}

# One of these is drawn afresh each time the word stands in a template.
FRESH = {
    "softly": "softly|quietly|slowly|at last|after a while|with a smile|with a sigh|without looking up|in a low voice",
    "loudly": "loudly|at once|with a laugh|cheerfully|in surprise|out of breath",
    "said": "said|said|answered|replied",
    "asked": "asked|asked|wondered",
    "glad": "glad|happy|proud|thankful|light of heart|warm all over|content",
    "sad": "sad|worried|uneasy|lonely|cross|troubled|close to tears",
    "good": "kind|patient|steady|brave|clever|careful|gentle|curious|stubborn|cheerful|thoughtful|quick",
    "morning": "one [bright|cold|misty|quiet|windy|golden] [{season} morning|{season} day|{season} afternoon]",
    "weather": """the sky was [clear|grey|pale|full of small clouds]|[a soft|a cold|a fine|a steady] rain was falling
        |the wind smelled of [salt|hay|smoke|snow|apples]|mist lay over the fields|every leaf was still
        |the wind had turned|the clouds hung low|it was too quiet""",
    "night": """it was [cold|still|dark as a sack], and [the moon was thin|no star could be seen|the grass was wet]
        |the moon hung over the roofs like a slice of lemon|their breath stood in the air""",
    "walked": "walked|went|hurried|ran|wandered|set off",
    "gift": "a jar of honey|a loaf of bread|a pair of mittens|a bag of walnuts|a ball of wool|a pot of jam|a candle",
    "sight": """a heron stood in the shallows|smoke rose from a single chimney|two goats watched from a wall
        |the path was white with dust|a cart had lost a wheel|children were flying a kite
        |an owl called although it was day|the stream had burst its banks|somebody had left a gate open""",
    "evening": """that evening|when the lamps were lit|before supper|as the sun went down
        |by the time the stars came out|late that night|when the church clock struck eight""",
    "moral": """"[A thing shared|A kind word|A small help|An honest answer] [is never wasted|goes a long way
        |costs little and is worth much|comes home again]," {his} {kin} used to say.
        |And from that day on {hero} [was never again too proud to ask|always stopped to listen
        |knew that waiting is also work|looked twice before {he} was sure|kept a place at the table for a guest].
        |{Hero} slept well that night, and [the wind went round the house|the moon looked in|nobody woke {him}].
        |People in {town} still tell the story, and each time the [storm|road|price|river|night] grows a little longer.
        |It was [not much|a small thing|only one day], but {hero} remembered it for the rest of {his} life.
        |"Tomorrow," said {hero}, "we shall do it all again." And so they did.""",
    "people": """{Hero} was a {good} [child|young {one}] who lived in {town} with {his} {kin}.|In {town}, [close to
        |not far from|in sight of] {landmark}, lived a {one} called {hero}.
        |Everybody in {town} knew {hero}, for {he} was {good} [in all {he} did|to a fault|and told fine stories].
        |There was once a {one} named {hero}, who was {good}, or tried to be.""",
}

PLOTS = {
    "The Lost {noun}": """{people} {His} dearest thing was a {thing} that had belonged to {his} {kin}. [{Hero} carried
        it everywhere.|It stood beside {his} bed.|{He} let nobody else touch it.]

        {Morning} the {noun} was gone. {Hero} looked [under the bed|in every pocket|behind the stove|in the wood box]
        and [in the yard|among the onions|on the stairs|between the sheets], but found only [dust|a button|an old
        letter|a sleeping cat]. {He} felt {sad}. "Where did you have it last?" {asked} {friend}, who lived next door.
        "At {landmark}," {said} {hero} {softly}.

        So the two of them {walked} there together. On the way {sight}. [{Friend} searched the grass, and {hero} the
        path.|They asked everyone they met.|They looked until their knees were muddy.] Then {friend} heard [a
        scratching sound|a rustle|a small cry]. A {animal} [sat|was sitting] [in the ditch|under a thorn bush|on a flat
        stone], and beside it lay the {thing}!

        ["It only wanted company," said {friend}.|"It has been looking after it for you," said {friend}.] {Hero}
        [laughed|was {glad}] and gave the {animal} [a crust of bread|half an apple|a handful of oats]. {Evening} the
        {noun} was back in its place. {moral}""",
    "The Road to the {noun}": """{people} {Evening} {his} {kin} fell ill, and the {trader} shook {t_his} head. "There
        is a {thing} {far}," {t_he} said. "[Whoever holds it grows well|Its sound drives any fever out|It has healed
        worse than this]. But the road is long."

        "Then I shall start now," {said} {hero}. {He} packed {gift} and {food}, and {friend} came too, because {f_he}
        was {good}. On the first day {sight}. On the second day {weather}. On the third day they met a {animal} that
        was caught in a [fence|net|bramble]. ["We have no time," said {friend}, but {hero} knelt down and freed
        it.|{Hero} set it free, though it cost them an hour.]

        {Far} they came to a door with no handle. [They pushed, they knocked, they called.|{Friend} pushed with all
        {f_his} strength.] Nothing moved. Then the {animal} [appeared out of nowhere|came out of the shadows], slipped
        through a crack and opened it from inside. "[Thank you|You did not forget us]," said {hero} {softly}. There, on
        a bed of moss, lay the {thing}.

        They were home in {number} days. {His} {kin} held the {noun} [close|in both hands], and by morning {k_he} asked
        for {food}. {moral}""",
    "{hero} and {friend} Fall Out": """{people} {His} best friend was {friend}. They shared everything, even a {thing},
        which they had found together near {landmark}.

        {Morning} they quarrelled. "It is my turn to have the {noun}," said {hero}. "You had it all week," {said}
        {friend}. [They shouted until the windows shook.|One word led to another.|Neither of them would give way.] In
        the end {friend} {walked} home without a word, and {hero} kept the {noun}. But [it gave {him} no joy|it felt
        cold in {his} hand|{he} did not even look at it]. {Weather}, and {he} felt {sad}.

        "{Number} days is a long time to be angry," said {his} {kin}. "What weighs more, the {noun} or {friend}?"
        {Hero} [thought about it all night|did not answer, but {he} turned red|stirred {his} soup]. The next day {he}
        took {gift} and knocked on the door. "I am sorry," {he} said {softly}. "[I was wrong|I was unfair|You were
        right]." "So am I," {said} {friend}, and {f_he} began to laugh.

        From then on the {noun} stayed with {hero} in [the first half of the week|odd weeks|the mornings] and with
        {friend} the rest of the time. {moral}""",
    "The Great Storm": """{people} {Morning} {weather}, but the {animal} by {landmark} [would not eat|ran in
        circles|hid its head]. "A storm is coming," said the {trader}. [Nobody believed {t_him}.|People laughed.|Only
        {hero} listened.]

        {Hero} {walked} to {friend}. "Help me tie down the {tool}," {he} said, "and bring the animals in." They worked
        [until their hands hurt|for {number} hours|without a rest]. {Evening} the wind came. It tore [tiles from the
        roofs|branches from the oaks|the washing from the lines] and [howled in the chimneys|threw waves over the
        wall|shook every door in {town}]. {Friend} was afraid. "Sing something," {f_he} begged, and {hero} sang all the
        songs {he} knew.

        Then somebody knocked. It was the {trader}, wet to the skin, with a {thing} under {t_his} coat. "It is all I
        could save," {t_he} said. They gave {t_him} {food} and a dry blanket, and the {noun} stood on the table [like a
        small sun|as if it had always been there|and comforted everyone].

        In the morning {weather}. Half of {town} had lost something, but the {tool} stood where they had tied it.
        {moral}""",
    "A Bargain at the Market": """{people} {Morning} {his} {kin} gave {him} {number} coins. "Go to the market," {k_he}
        said, "and buy a {noun}. But keep your wits about you."

        At the market {sight}. The {trader} had a {thing} on {t_his} table. "Twenty coins," said the {trader}. "[I have
        only {number}|That is more than I have]," {said} {hero}. "Then it will be twenty tomorrow as well." {Hero} did
        not walk away. {He} [looked at the {noun} from all sides|ran a finger along the rim|held it up to the light].
        "It has a scratch," {he} said. "All honest things do," {said} the {trader}.

        [Just then a {animal} knocked over the next table.|Just then {friend} came by with a cart.|Just then it began
        to rain.] Everything rolled about, and {hero} and {friend} helped to gather it: [apples and spoons|ribbons and
        eggs|cheeses and candles], one by one. The {trader} watched them. "You work well," {t_he} said. "Give me
        {number} coins and help me until noon, and it is yours."

        They shook hands on it. {Evening} {hero} put the {thing} on the table at home. "What did it cost?" {asked}
        {his} {kin}. "{Number} coins and a morning," {said} {hero}. {k_He} laughed. "That is a fair price." {moral}""",
    "The Riddle at {landmark}": """{people} {Morning} {he} {walked} to {landmark}, where a {animal} was said to ask
        riddles. [The {trader} had never solved one.|Nobody from {town} had ever won.|{Friend} came along, but only to
        watch.]

        The {animal} sat in the shade and blinked. "{question}" it asked. "If you know, the {thing} is yours. If not,
        you must [sweep my floor|carry my water|sing for me] for {number} days."

        {Hero} thought {softly}. "[Is it a shoe?|Is it the wind?|Is it a fish?|Is it a candle?]" "No," said the
        {animal}. {Weather}. {Friend} pulled {him} by the sleeve. "[Think of home|Think of what you see each day|Do not
        think so hard]," {f_he} whispered. And all at once {hero} knew. "It is {answer}!" {he} cried {loudly}.

        The {animal} [bowed|laughed until it fell over|looked almost pleased]. "{Number} years I have asked that," it
        said. "You are the first." It pushed the {thing} across the grass. {Hero} took the {noun} home, and {evening}
        {he} asked {his} {kin}: "{question}" {k_He} did not know it either. {moral}""",
    "The New {f_one} in {town}": """{people} {Morning} a cart stopped in front of the empty house by {landmark}. A
        {f_one} got down with a {thing} in {f_his} arms. {f_His} name was {friend}, and {f_he} did not say a word.

        At school {friend} sat by the window. [Some said {f_he} was proud.|Some said {f_he} could not speak.|Nobody sat
        beside {f_him}.] {Hero} watched {f_him} for {number} days and felt {sad}. "[What shall I say?|How do I begin?]"
        {he} asked {his} {kin}. "Do not say anything," said {k_he}. "Take {f_him} some {food}, and wait."

        So {hero} {walked} over and put it on the step. On the first day nothing happened. On the second day the door
        opened by a hand's breadth. On the third day {friend} came out and sat down next to {him}. {Weather}. "[At home
        we had|Where I come from there was] a {animal}," said {friend} {softly}. "[I miss it|It used to wait for me]."

        "Show me your {noun}," said {hero}, "and I will show you where a {animal} lives." And off they {walked}, the
        two of them, as if [they had always known each other|there had never been a silent day]. {moral}""",
    "The Broken {tool}": """{people} The whole village needed the {tool}, and {morning} it broke. There was [a crack|a
        loud bang|a groan], and then it stood still. "It was {hero}!" cried somebody. "I saw {him} there." [It was true
        that {he} had touched it.|{Hero} had only looked.|{He} had been there, and {he} did not deny it.]

        {Hero} felt {sad}, but {he} did not run away. "I will mend it," {he} said. The {trader} raised {t_his}
        eyebrows. "[With what?|You?|Do you know how?]" "I will learn," {said} {hero}. {He} fetched {friend}, who was
        {good} with {f_his} hands, and they took the {tool} apart, piece by piece, and laid the pieces in a row.

        For {number} days they [filed and hammered|measured and sawed|cleaned and oiled]. The first try failed. The
        second try was worse. {Weather}. Then {friend} found a [stone|nail|splinter|feather] in the very middle. "It
        was not you at all," {f_he} said. "It has been in there for years." They used a part of an old {thing}, and it
        fitted.

        The {trader} tried the {tool}. It ran [like new|more quietly than before|without a sound]. "I was too quick to
        blame you," {t_he} said {softly}, and gave them {gift} each. {moral}""",
    "The {animal} That Stayed": """{people} {Morning}, near {landmark}, {he} found a {animal} with a hurt leg.
        {Weather}, and it was shaking. {Hero} wrapped it in {his} coat and carried it home.

        "Wild things do not stay," said {his} {kin}. "I know," {said} {hero}, "but it can stay until it is well." {He}
        made it a bed in a [basket|drawer|wooden box] beside a {thing}, and fed it [milk|oats|berries|crumbs] from
        {his} hand. {Friend} came each day to help. They argued about a name, and in the end they called it
        [Button|Pepper|Thistle|Captain|Biscuit |Clover|Shadow|Pebble].

        After {number} weeks the leg was strong. [Together they opened the door.|They carried it back to {landmark}.]
        "Go on," said {hero}, and {his} voice was not quite steady. The {animal} took {number} steps, stopped, and
        looked back. Then it was gone among the trees. {Hero} felt {sad}, and {friend} took {his} hand.

        But {evening} there was a scratch at the door. There sat the {animal}, [as if nothing had happened|wet and very
        pleased with itself|with a leaf on its nose]. "Perhaps," said {his} {kin}, "not all of them read the rules."
        {moral}""",
    "The Race Around {landmark}": """{people} Each {season} there was a race in {town}, three times around {landmark},
        and the prize was a {thing}. {Friend} was the fastest, as everybody knew. {Hero} was not fast, but {he} was
        {good}.

        {Morning} they all stood in a row. "Ready?" called the {trader}. [The bell rang.|{t_He} dropped a red
        cloth.|{t_He} blew a whistle.] {Friend} shot away like a [swallow|hare|stone from a sling]. {Hero} ran at {his}
        own pace, and {sight}. After the first round {he} was last. After the second {he} was [still last|only next to
        last].

        Then {friend} fell. [{f_His} foot had caught in a root.|A {animal} had run between {f_his} feet.] The others
        ran past, but {hero} stopped. "Leave me," {said} {friend}. "You could still be third." "I never liked the
        number three," said {hero}, and pulled {f_him} up. They went the last round arm in arm, slowly, while people
        [clapped|stared|threw their hats in the air].

        They came in last of all. The winner looked at them, and then at the {noun}. ["Take it," the winner said. "I
        only ran."|Then the winner gave them the {noun}, and nobody found that strange.] {moral}""",
    "A Light in the Night": """{people} {He} was {good} by day, but at night {he} was afraid of [the dark|the noises in
        the roof|the shadows on the wall]. {Evening} {he} heard it again: [tap, tap, tap|a long low moan|something like
        footsteps].

        "There is somebody outside," {he} told {his} {kin}. "Then let us go and say good evening," said {his} {kin},
        and took the {thing} from the shelf. {Hero} held {k_his} hand [tightly|with both of {his}|all the way down the
        stairs]. Outside {night}. They {walked} around the house, once, twice. At the back they found [a loose
        shutter|a branch that knocked against the glass|a {animal} that was looking for its supper].

        "Is that all?" {asked} {hero}. "That is nearly always all," said {his} {kin} {softly}. They [fastened it|put it
        right|left it some crumbs], and then they stood and looked at the stars. {His} {kin} knew {number} of them by
        name.

        The next night {friend} stayed at their house, and {f_he} sat up in the dark. "What was that?" {f_he}
        whispered. {Hero} took the {noun} and smiled. "[Come|Get up|Put on your shoes]," {he} said, "let us go and say
        good evening." {moral}""",
    "The {season} Garden": """{people} Behind the house lay a piece of ground where nothing grew but
        [nettles|stones|thistles]. "Nobody can make a garden of that," said the {trader}. {Hero} said nothing, but
        {evening} {he} asked {friend} for a spade.

        They dug for {number} days. They found a {thing}, [a horseshoe|a clay pipe|a rusty hinge] and more stones than
        they could count, and they built a wall with them. Then they sowed [beans and marigolds|peas and
        poppies|carrots and sunflowers|lettuce and lavender]. "Now what?" {asked} {friend}. "Now we wait," {said}
        {hero}. Waiting was the hardest part. {Weather}. A {animal} [ate the first leaves|dug up the seeds|slept in the
        beds], and they sowed again.

        {Morning} {friend} came running. "Come and see!" {f_he} called {loudly}. There was [a green thread|one small
        leaf|a row of tiny hooks] in the brown earth. {Hero} lay down on {his} stomach and looked at it for a long
        time.

        By the end of the year they had enough for {food}, and they carried some to the {trader}. {t_He} turned red. "I
        was wrong," {t_he} said. "Would you show me how?" And {hero} lent {t_him} the spade. {moral}""",
    "The Letter": """{people} {Morning} a letter came, wet from the rain. Only {number} words could be read: they spoke
        of a {thing} and of {landmark}. The name at the top was washed away.

        "Whose is it?" {asked} {hero}. [The baker's wife did not know.|The schoolmaster did not know.|Nobody knew.]
        "Burn it," said one. "Keep it," said another. But {hero} was {good}, and {he} {walked} from door to door with
        {friend}, and {sight}. At the last house, {far}, an old {trader} put on {t_his} glasses and read. {t_His} hands
        shook.

        "My [brother|sister] wrote this," {t_he} said {softly}. "We have not spoken for {number} years. It says that
        the {noun} we quarrelled about is hidden at {landmark}, and that I may have it." So they went there together,
        and it was true: there it was, wrapped in a cloth, [between two stones|under a loose board|in a hollow tree].

        The {trader} did not keep it. {t_He} packed {food} and {gift}, and left the same day with the {noun} under
        {t_his} arm. "A thing like that," {t_he} said, "should be looked at by two." {moral}""",
    "The Longest Song": """{people} {He} could not [run|swim|whistle|count] as well as the others, but {he} could sing.
        {Friend} played the [fiddle|flute|drum|harp], and {evening} they sat near {landmark} and made up songs about
        [everything they saw|the {animal} and the moon|the {trader} and {t_his} hat].

        One day a stranger came by and listened. "There is a feast {far}," said the stranger. "Whoever sings the
        longest song may ask for whatever they like." {Friend} was {glad} at once. {Hero} was {sad}. "What if I forget
        the words?" "Then I shall play until you remember," {said} {friend}.

        They {walked} for {number} days. At the feast, singer after singer stood up, and [some were fine|some were
        loud|one fell asleep]. Then {hero} sang: of {town} and {landmark}, of [rain|bread|ships] and {food}, of {his}
        {kin}, who was far away. In the middle {he} forgot the words. {Friend} played on, {softly}, until they came
        back. When the song was over, it was morning.

        "What do you wish for?" {asked} the host. {Hero} looked at {friend}. "[A ride home|A cart and a {animal}, to go
        home with|Breakfast]," {he} said, and everybody laughed. {moral}""",
}  # fmt: skip


def stories(seed: int, count: int) -> Iterator[tuple[str, str]]:
    """Yield (name, text) of `count` stories; story i depends on `seed` and i alone, on any machine."""
    for index in range(count):
        yield f"story-{index:06d}.txt", story(seed, index)


def story(seed: int, index: int) -> str:
    """One story of some hundred words: a title, a blank line, and paragraphs parted by blank lines."""
    stream = shake_256(f"{seed}:{index}".encode()).digest(4 * DRAWS)
    draws = iter(struct.unpack(f"<{DRAWS}I", stream))
    title, plot = _pick(tuple(PLOTS.items()), draws)
    settled = _settle(draws)
    words = _tell(title, settled, draws).split()
    title = " ".join(word if word in SMALL else word[0].upper() + word[1:] for word in words)
    text = f"{title}\n\n{_tell(plot, settled, draws)}\n"
    return re.sub(r"\b([Aa]) (?=[aeiouAEIOU])", r"\1n ", text)


def _settle(draws: Iterator[int]) -> dict[str, str]:
    """Draw the people and things of one story. Hero and friend differ in pronoun, so it is clear who is meant."""
    settled: dict[str, str] = {}
    for name, template in SETTLED.items():
        settled[name] = _tell(template, settled, draws)
    settled["question"], settled["answer"] = settled.pop("riddle").split("=")
    settled["thing"] = f"{settled['look']} {settled['noun']}"
    man = next(draws) % 2
    names = (WOMEN.split(), MEN.split())
    settled["hero"], settled["friend"] = _pick(names[man], draws), _pick(names[1 - man], draws)
    settled["one"], settled["f_one"] = ("girl", "boy")[man], ("boy", "girl")[man]
    elder, trader = next(draws) % 2, next(draws) % 2
    settled["kin"] = _pick(KIN[elder], draws)
    for prefix, who in (("", man), ("f_", 1 - man), ("k_", elder), ("t_", trader)):
        for word, pronoun in zip(("he", "him", "his"), PRONOUNS[who], strict=True):
            settled[prefix + word] = pronoun
    return settled


def _tell(template: str, settled: dict[str, str], draws: Iterator[int]) -> str:
    """Choose among the template's alternatives and fill in its words."""
    return "".join(_write(_parse(template), settled, draws))


def _write(choice: Choice, settled: dict[str, str], draws: Iterator[int]) -> Iterator[str]:
    for piece in _pick(choice, draws):
        if isinstance(piece, tuple):
            yield from _write(piece, settled, draws)
        elif piece.startswith("{"):
            name = piece.strip("{}").lower()
            word = settled[name] if name in settled else _tell(FRESH[name], settled, draws)
            yield word if piece.islower() else word[0].upper() + word[1:]
        else:
            yield piece


def _pick(items: Sequence[T], draws: Iterator[int]) -> T:
    return items[next(draws) % len(items)]


@cache
def _parse(template: str) -> Choice:
    """The template as nested tuples: a choice is a tuple of sequences of text, `{word}` and choices."""
    paragraphs = [re.sub(r" ?\| ?", "|", " ".join(paragraph.split())) for paragraph in template.split("\n\n")]
    tokens = iter(re.findall(r"[\[\]|]|\{\w+\}|[^\[\]|{}]+", "\n\n".join(paragraphs)))

    def choice() -> Choice:
        alternatives: list[list[Piece]] = [[]]
        for token in tokens:
            if token == "]":
                break
            if token == "|":
                alternatives.append([])
            else:
                alternatives[-1].append(choice() if token == "[" else token)
        return tuple(tuple(pieces) for pieces in alternatives)

    return choice()
