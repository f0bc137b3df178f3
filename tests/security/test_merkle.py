"""The Merkle tree of RFC 6962: roots, proofs and the frontier agree at every size."""

import hashlib

import pytest

from galenic.security.merkle import Frontier, inclusion_proof, leaf_hash, node_hash, root_from_proof, root_of

LEAVES = [bytes([i]) * i for i in range(17)]
HASHES = [leaf_hash(leaf) for leaf in LEAVES]
# RFC 6962's tree over the eight inputs of certificate-transparency's reference tests, and the root of no leaves
REFERENCE = [
    bytes.fromhex(x)
    for x in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
REFERENCE_ROOTS = {
    0: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
}


@pytest.mark.parametrize(("size", "root"), REFERENCE_ROOTS.items())
def test_roots_are_those_of_certificate_transparency(size: int, root: str) -> None:
    assert root_of([leaf_hash(x) for x in REFERENCE[:size]]).hex() == root


def test_leaves_and_nodes_are_hashed_with_different_prefixes() -> None:
    assert leaf_hash(b"ab") == hashlib.sha256(b"\x00ab").digest()
    assert node_hash(b"a", b"b") == hashlib.sha256(b"\x01ab").digest()


@pytest.mark.parametrize("size", range(17))
def test_a_frontier_that_grows_has_the_root_of_the_whole(size: int) -> None:
    frontier = Frontier()
    for leaf in LEAVES[:size]:
        frontier.add(leaf)
    assert frontier.root() == root_of(HASHES[:size])
    assert frontier.size == size
    assert len(frontier.roots) == size.bit_count()
    again = Frontier(frontier.size, frontier.roots)
    again.add(b"next")
    assert again.root() == root_of([*HASHES[:size], leaf_hash(b"next")])


@pytest.mark.parametrize("size", range(1, 18))
def test_every_leaf_is_proven_and_no_other_proof_leads_to_the_root(size: int) -> None:
    root = root_of(HASHES[:size])
    for place in range(size):
        path = inclusion_proof(place, HASHES[:size])
        assert root_from_proof(LEAVES[place], place, size, path) == root
        assert root_from_proof(LEAVES[place] + b"x", place, size, path) != root
        assert root_from_proof(LEAVES[place], place, size, [*path, path[0] if path else b""]) is None
        if path:
            assert root_from_proof(LEAVES[place], place, size, path[:-1]) is None
            assert root_from_proof(LEAVES[place], place ^ 1, size, path) != root
