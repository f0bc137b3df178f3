"""Derived rows that are deleted with a patient."""

import sqlalchemy as sa

from galenic.store.tables import document_words, documents, originals


def mention(subject: int) -> bytes:
    """Search word that finds a document which names several people and has no patient's key, 16 bytes."""
    return b"names" + subject.to_bytes(11, "big")  # not secret: the subject id is in clear beside each row


def forget_documents(c: sa.Connection, subject: int) -> int:
    """Deletes the search entries of a subject's documents, and shared documents that name the subject. Returns the number of
    the latter."""
    d, w = documents.c, document_words.c
    naming = [(r[0], r[1]) for r in c.execute(sa.select(w.dataset, w.row).where(w.word == mention(subject)))]
    own = [(r[0], r[1]) for r in c.execute(sa.select(d.dataset, d.row).where(d.subject == subject))]
    for dataset, row in naming + own:
        c.execute(document_words.delete().where((w.dataset == dataset) & (w.row == row)))
        c.execute(documents.delete().where((d.dataset == dataset) & (d.row == row)))
    for dataset, row in naming:
        c.execute(originals.delete().where((originals.c.dataset == dataset) & (originals.c.row == row)))
    return len(naming)
