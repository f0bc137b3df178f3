"""Words that are nobody's, made up: diseases, signs and tools called after people, drugs, organisms, genes, brands, works, bodies of science.

No list would do: what is met in a new hospital is on none. Each is a frame around a name or a word that nobody has, so that the frame
and the letters tell it, not memory.
"""

import random
import re

from values import World

HEADS = (
    "disease syndrome sign test score scale classification criteria maneuver manoeuvre position procedure operation repair catheter tube drain line "
    "forceps retractor fracture palsy contracture lymphoma sarcoma tumor cyst node nodes ganglion canal duct foramen fossa bodies stain esophagus thyroiditis "
    "chorea ataxia anemia phenomenon reflex triad pouch space ligament fascia tendon angina gangrene paralysis hernia ulcer nodule murmur nystagmus spots lines "
    "ring rings loop cells clamp splint collar bandage frame shunt stent needle scissors speculum tape suture staple incision approach flap graft technique stage "
    "grade index rule formula equation method stain agar virus fever encephalitis encephalopathy dystrophy myopathy neuropathy nephropathy purpura vasculitis arteritis "
    "granulomatosis anomaly malformation deformity dislocation respiration breathing pulse breath pupil area gyrus muscle nerve artery vein plexus valve gland glands "
    "body layer membrane fold crypt patch island tuberosity tubercle trial study questionnaire inventory grading staging regimen protocol diet"
).split()
STEMS = (  # endings that name a drug's class (WHO, The use of stems in the selection of INN; written from memory)
    "cillin statin pril sartan olol azole prazole tidine setron triptan mab nib mib tinib ciclib parib floxacin mycin micin cycline vir tegravir ciclovir navir "
    "gliptin gliflozin glitazone glutide formin barbital azepam azolam zolam caine curium curonium dronate parin xaban gatran grel plase amide thiazide semide "
    "olone onide asone metasone solone terol phylline tropium lukast oxetine ipramine triptyline peridol azine apine idone piprazole gabalin racetam rubicin platin taxel "
    "bendazole quine conazole fungin oxacin sulfa dipine afil osin steride relin tide stim grastim poetin cept limus prim trexed bactam penem cef dopa giline capone"
).split()
GENUS = "coccus bacter bacillus ella monas myces sporium spora plasma nema stoma filaria cystis ichia nella domonas vibrio trichia zoon thrix sia bia ria nia lla desia gia".split()
SPECIES = "i us a um ensis ii oides icus ana ata osus iae alis aris escens".split()
SALTS = (
    "",
    "",
    "",
    "",
    " HCl",
    " sodium",
    " acetate",
    " sulfate",
    " succinate",
    " tartrate",
    " maleate",
    " mesylate",
    " XR",
    " ER",
    " SR",
    "-HCTZ",
    " citrate",
)
SYLLABLES = "ab al am an ar as av ax ba be bel bi bo ca ce cel ci cla co cor cy da de di do du el em en er es eva fe fi flu fo ga ge gli go he hy ib im in is iva ja ka ke la le li lo lu ma me mi mo na ne ni no nu ol om on or ox pa pe phe pi pra pro que ra re ri ro sa se si sol su ta te ti to tra tri ul va ve vi vo xa xe xi za ze zi zo zy".split()
DOSES = (
    "{q} mg",
    "{q} mcg",
    "{q} mg/kg",
    "{q} units",
    "{q}mg",
    "{q} mL",
    "{q}%",
    "{q}/{q} mg",
    "{q}-{q} tab",
    "{q} g",
    "{q} mEq",
    "{q} puffs",
    "{q} gtt",
)
LINES = (
    "{E}", "{E}", "{E}", "Hx of {E}.", "rule out {E}", "r/o {E}, {E}", "She was diagnosed with {E} as a child.", "{E} was negative bilaterally.", "Positive {E}, negative {E}.",
    "The {E} was placed without difficulty.", "{E} of {n} on arrival, {n} at discharge.", "what is {E}?", "How do you treat {E} in pregnancy?", "Assessment: {E}, stable.",
    "[doctor] so it looks like you have {E}", "Doctor: Has anyone mentioned {E} to you?", "Other {E}, unspecified site", "A {E} was performed.", "Impression: {E} versus {E}.",
    "{D} {dose} {f}", "{D} {dose} {f}", "{D}", "Continue {D} {dose} {f}.", "Start {D} {dose} {f}, stop {D}.", "Meds: {D}, {D}, {D}.", "Allergies: {D} (rash), {D}", "{n}. {D} {dose} {f}",
    "Can {D} be taken with {D}?", "Patient: I take {D} and something called {D}.", "what are the side effects of {D}?", "on {D} and {D} since surgery", "hold {D} for SBP < 100",
    "{D} level {q}", "He failed {D} and was switched to {D}.", "received {D} {dose} IV x1 in the ED", "{D} {dose} PO {f} #30, refills: {n}",
    "Cultures grew {L}.", "{L} was isolated from the wound.", "Infection due to {L}", "{L}, sensitive to {D}.", "{L} IgG positive, titer 1:{q}", "{C} caused by {L}", "Serology: {L}, {L}.",
    "{G} mutation positive", "{G} and {G} were wild type.", "{G}-related disorder", "variant in {G}, exon {n}", "{C} due to {G} deficiency", "IHC: {G}+, {G}-, {G} focal.",
    "{C}", "{C}; {C}", "1. {C}\n2. {C}", "{C} of the {A}", "DX: {C}", "{C}, left {A}, initial encounter", "{C} involving the {A}", "{C} in {E}",
    "{C} after contact with {M} {Z}, initial encounter", "venom of {M} {Z}", "bitten by a {M} {Z}", "{M} patients were not included.", "The clinic has {M} interpreters.", "{M} cooking", "a {M} {Z}", "allergic to {M} {Z}",
    "{B} kinase inhibitor", "{B} receptor antagonist", "{G} transporter disorder", "{D} vaccine, polyvalent", "{E} and {C}", "{D}-{D} ({q}-{q}) {q} mg {f}",
    "We watched {W} last night.", "My favourite film is {W}.", "Have you read {W}?", "They played {W} on the radio.", "{W} is a great book about {w}.", "I ordered a {B} {P} online.", "Is the {B} {P} any good?",
    "My {B} {P} stopped working after the update.", "Who wrote {W}?", "The {B} {P} costs ${q}.", "I paid for the {P} with my {B} card.", "How do I reset my {B} {P}?", "She drives a {B}.",
)  # fmt: skip
AREAS = "femur tibia humerus radius knee shoulder hip elbow wrist forearm thigh ankle foot finger thumb skull spine pelvis liver spleen kidney pancreas stomach lung heart eye ear nose larynx skin breast bladder prostate uterus ovary colon rectum".split()
GREEK = "hyper hypo poly oligo dys eu para peri endo epi brady tachy neo pan hemi mega micro macro an a".split()
ROOTS = "cardi derm gastr hepat nephr neur oste arthr my angi aden chondr cyst encephal enter hemat hyster lip mening myel ophthalm ot phleb pneum proct rhin splen tendin trache ureter vascul keloid erythr leuc thromb colon eto aneurysm flail megacol kerat".split()
TAILS = "itis osis oma opathy algia emia uria ectomy otomy ostomy oplasty ogenesis iasis omegaly openia oderma odynia ismal oid otic al ic".split()
PRODUCTS = "phone laptop watch printer router camera kettle blender vacuum stroller mattress sofa bicycle helmet tent drone speaker monitor keyboard subscription account app browser console charger".split()
SMALL = "love winter rivers silence bread machines light stone water sleep memory horses trains salt fire war tea birds glass time dust honey".split()
PEOPLES = "American Mexican Canadian Portuguese Spanish Italian German Dutch French English Irish Scottish Swedish Danish Polish Russian Greek Turkish Egyptian Nigerian Kenyan Indian Chinese Japanese Korean Thai Vietnamese Australian Brazilian Chilean Cuban Arabian Persian African Asian European Caribbean Mediterranean Pacific Amazonian Siberian Himalayan".split()
SIDES = (
    "",
    "",
    "",
    "",
    "North ",
    "South ",
    "East ",
    "West ",
    "Central ",
    "North and South ",
    "Northern ",
    "Southeast ",
    "sub-Saharan ",
    "New World ",
    "Old World ",
)
ANIMALS = "snake scorpion jellyfish spider shepherd terrier shorthair fever tick bee wasp mosquito lizard frog man-of-war man-o-war fire ant sheepdog measles flu walnut pine oak bullfrog rat hamster".split()
GENES = "ABCDEFGHIKLMNPRSTVXZ"


class Coined:
    """Lines of them."""

    def __init__(self, world: World) -> None:
        self.world = world

    def line(self, rng: random.Random) -> str:
        """One line, every slot of it filled anew."""
        make = {"E": self.eponym, "D": self.drug, "L": latin, "G": gene, "C": condition, "W": work, "B": brand, "M": people}

        def fill(slot: re.Match[str]) -> str:
            name = slot[1]
            if name in make:
                return make[name](rng)
            if name == "dose":
                return re.sub(r"\{q\}", lambda _: str(quantity(rng)), rng.choice(DOSES))
            return str(
                {"q": quantity, "n": lambda r: r.randrange(1, 10), "A": lambda r: r.choice(AREAS), "Z": lambda r: r.choice(ANIMALS), "P": lambda r: r.choice(PRODUCTS), "w": lambda r: r.choice(SMALL),
                 "f": lambda r: r.choice(("daily", "po bid", "tid", "q6h prn", "twice a day", "at bedtime", "every 8 hours", "as needed", "IV", "PO", "qhs", "weekly"))}[name](rng)
            )  # fmt: skip

        return re.sub(r"\{(\w+)\}", fill, rng.choice(LINES))

    def eponym(self, rng: random.Random) -> str:
        """A name, or several, and what was called after it."""
        names = [self.world.person()[1] for _ in range(rng.choices((1, 2, 3), (7, 3, 1))[0])]
        head = rng.choice(HEADS)
        said = "-".join(names)
        if len(names) == 1 and rng.random() < 0.5:
            said += "'" if said.endswith("s") and rng.random() < 0.7 else "'s"
        if rng.random() < 0.12:
            return f"{head} of {names[0]}"
        if rng.random() < 0.15:
            head = head.capitalize()
        return (
            f"{said} {head}"
            if rng.random() < 0.85
            else f"{rng.choice(('modified', 'reverse', 'classical', 'atypical', 'congenital', 'acute', 'juvenile'))} {said} {head}"
        )

    def drug(self, rng: random.Random) -> str:
        """A generic name by its stem, or a brand."""
        if rng.random() < 0.55:
            name = "".join(rng.choices(SYLLABLES, k=rng.randint(1, 3))) + rng.choice(STEMS)
            name += rng.choice(SALTS)
        else:
            name = "".join(rng.choices(SYLLABLES, k=rng.randint(2, 4))) + rng.choice(
                ("", "", "x", "ra", "zo", "via", "tin", "gan", "Ox", "-Phos", "da", "ex", "il")
            )
        r = rng.random()
        return name if r < 0.3 else name.upper() if r < 0.38 else name[0].upper() + name[1:]


def quantity(rng: random.Random) -> int:
    return rng.choice((1, 2, 5, 10, 20, 25, 40, 50, 81, 100, 125, 250, 325, 400, 500, 875, 1000))


def stem(rng: random.Random, least: int = 1, most: int = 3) -> str:
    return "".join(rng.choices(SYLLABLES, k=rng.randint(least, most)))


def latin(rng: random.Random) -> str:
    """Genus and species."""
    genus = (stem(rng) + rng.choice(GENUS)).capitalize()
    species = stem(rng, 2, 3) + rng.choice(SPECIES)
    return rng.choice((f"{genus} {species}", f"{genus} {species}", f"{genus[0]}. {species}", f"{genus} species", genus))


def gene(rng: random.Random) -> str:
    letters = "".join(rng.choices(GENES, k=rng.randint(2, 5)))
    return letters + rng.choice(
        ("", str(rng.randrange(1, 40)), f"{rng.randrange(1, 20)}{rng.choice('ABCDL')}{rng.randrange(1, 9)}")
    )


def condition(rng: random.Random) -> str:
    """A word as medicine builds them from Greek."""
    word = (
        (rng.choice(GREEK) if rng.random() < 0.4 else "")
        + rng.choice(ROOTS)
        + (rng.choice(("o" + rng.choice(ROOTS), "")) if rng.random() < 0.3 else "")
        + rng.choice(TAILS)
    )
    return word.capitalize() if rng.random() < 0.6 else word


def brand(rng: random.Random) -> str:
    made = stem(rng, 2, 3)
    return rng.choice(
        (made.capitalize(), made.upper(), made.capitalize() + rng.choice(("Tech", "Pro", "Max", "ify", "ly", "Soft", "+")))
    )


def people(rng: random.Random) -> str:
    """Where something is from: larger than a state."""
    return rng.choice(SIDES) + rng.choice(PEOPLES)


def work(rng: random.Random) -> str:
    """The title of a book, a film or a song."""
    a, b = rng.sample(SMALL, 2)
    return rng.choice(
        (
            f"The {a.title()} of {b.title()}",
            f"{a.title()} and {b.title()}",
            f'"{a.title()} in the {b.title()}"',
            f"A {a.title()} for {b.title()}",
            f"The {stem(rng, 2, 3).capitalize()} {a.title()}",
        )
    )
