"""Trains the Spanish tagger on MEDDOCAN's train split: python spanish.py OUT.npz --guard DATA/guard. The dev split says how good it is."""

import argparse
import random
from collections import defaultdict
from pathlib import Path

import torch
from meddocan import cases
from texts import Text
from train import Tagger, encode, save, train
from values import Markov, names_of

SWAPPED = (
    "NOMBRE_SUJETO_ASISTENCIA NOMBRE_PERSONAL_SANITARIO TERRITORIO CALLE HOSPITAL INSTITUCION PAIS ID_SUJETO_ASISTENCIA "
    "ID_ASEGURAMIENTO ID_TITULACION_PERSONAL_SANITARIO CORREO_ELECTRONICO NUMERO_TELEFONO FECHAS CENTRO_SALUD"
).split()


class Swap:
    """Cases with the values of other cases, and names that nobody has, in the place of theirs."""

    def __init__(self, given: list[Text], rng: random.Random) -> None:
        self.rng = rng
        self.values: dict[str, list[str]] = defaultdict(list)
        for case in given:
            for a, b, label in case.spans:
                self.values[label].append(case.text[a:b])
        first, last = names_of("es_ES")
        self.first, self.last = (first, Markov(first)), (last, Markov(last))

    def _name(self, like: str) -> str:
        words = []
        for i, word in enumerate(like.split()):
            names, invented = self.first if i == 0 and len(like.split()) != 2 else self.last
            made = self.rng.choice(names) if self.rng.random() < 0.6 else invented.make(self.rng)
            words.append(word if not word[:1].isupper() or len(word) < 3 else made.upper() if word.isupper() else made)
        return " ".join(words)

    def case(self, given: Text, share: float) -> Text:
        """The case with about that share of its values replaced."""
        out, at = Text(given.kind), 0
        for a, b, label in given.spans:
            if a < at:
                continue
            out.add(given.text[at:a])
            value = given.text[a:b]
            if label in SWAPPED and self.rng.random() < share:
                new = (
                    self._name(value)
                    if label.startswith("NOMBRE") and self.rng.random() < 0.5
                    else self.rng.choice(self.values[label])
                )
                value = new
            out.add(value, label)
            at = b
        out.add(given.text[at:])
        return out


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__)
    ask.add_argument("out", type=Path)
    ask.add_argument("--guard", type=Path, required=True)
    ask.add_argument("--epochs", type=int, default=40)
    ask.add_argument("--width", type=int, default=96)
    ask.add_argument("--members", type=int, default=3)
    ask.add_argument("--share", type=float, default=0.4)
    ask.add_argument("--blind", type=float, default=0.05)
    ask.add_argument("--dilations", default="1,2,4,8,1")
    given = ask.parse_args()
    torch.set_num_threads(2)
    cases_ = cases(given.guard, "train")
    labels = tuple(sorted({s[2] for c in cases_ for s in c.spans}))
    dilations = tuple(int(d) for d in given.dilations.split(","))
    nets = [one(cases_, labels, dilations, given, seed) for seed in range(1, given.members + 1)]
    save(nets, labels, dilations, given.out)


def one(
    cases_: list[Text], labels: tuple[str, ...], dilations: tuple[int, ...], given: argparse.Namespace, seed: int
) -> Tagger:
    """One member: what they are unsure of differs, so that their mean is better than each."""
    torch.manual_seed(seed)
    net = Tagger(1 + 2 * len(labels), given.width, dilations)
    swap = Swap(cases_, random.Random(seed + 2))

    def make(epoch: int) -> list[tuple]:
        share = given.share if epoch < given.epochs - 3 else given.share / 4
        return [encode(c if swap.rng.random() < 0.3 else swap.case(c, share), labels) for c in cases_]

    train(net, given.epochs, make, 3e-3, blind=given.blind, averaged=False, seed=seed + 6)
    return net


if __name__ == "__main__":
    main()
