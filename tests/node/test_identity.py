"""The node's key is made once and readable by its owner only."""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from node.identity import load_key


def test_the_key_is_made_once_and_kept(tmp_path: Path) -> None:
    first, second = load_key(tmp_path), load_key(tmp_path)
    assert first.did == second.did
    assert (tmp_path / "keys" / "node.ed25519").stat().st_mode & 0o777 == 0o600


def test_the_did_is_an_ed25519_did_key(tmp_path: Path) -> None:
    assert load_key(tmp_path).did.startswith("did:key:z6Mk")


def test_what_it_signs_verifies(tmp_path: Path) -> None:
    key = load_key(tmp_path)
    Ed25519PublicKey.from_public_bytes(key.public).verify(bytes.fromhex(key.sign(b"x")), b"x")


def test_a_half_written_key_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "node.part").write_bytes(b"half")
    assert load_key(tmp_path).did.startswith("did:key:z6Mk")
