"""Signatures of bundles: ed25519, in minisign's format, over the manifest.

The manifest holds the hash of every file, so ``manifest.json.minisig`` beside it vouches for the
whole bundle. Keys and signatures are those of minisign (https://jedisct1.github.io/minisign/):
``minisign -Vm manifest.json -p robot.pub`` checks the same.

    deixis models keys --out robot.key && deixis models sign bundles/cpu --key robot.key
    deixis run demo --bundle bundles/cpu --require-signature robot.pub

Needs the extra ``sign``; only :func:`signature_of` does without.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from deixis.runtime.bundle import MANIFEST, Bundle
from deixis.runtime.errors import MissingExtraError, SignatureError

SIGNATURE = f"{MANIFEST}.minisig"
# Line 2 of a signature and of a public key: algorithm, key ID, then 64 or 32 bytes.
_ALGORITHM_LEN, _KEY_ID_LEN = 2, 8
_SIGNATURE_LEN = _ALGORITHM_LEN + _KEY_ID_LEN + 64


class SignatureInfo(msgspec.Struct, frozen=True, kw_only=True):
    """Who signed a bundle.

    Attributes:
        key_id: 16 hex digits, as minisign shows them.
        verified_with: File of the public key that the signature fits; None: it was not checked.
    """

    key_id: str
    verified_with: str | None = None


def signature_text(signature: SignatureInfo | None) -> str:
    """In words: who signed, and whether that was checked."""
    if signature is None:
        return "not signed"
    checked = signature.verified_with
    return f"signed by key {signature.key_id} ({f'fits {checked}' if checked else 'not checked'})"


def signature_of(bundle: Bundle) -> SignatureInfo | None:
    """Whose signature a bundle bears, unchecked; None if it bears none.

    Raises:
        SignatureError: There is something, but it is not a signature.
    """
    data = _read_signature(bundle)
    return None if data is None else SignatureInfo(key_id=_signer(data, bundle))


def require_signature(bundle: Bundle, public_key: Path) -> SignatureInfo:
    """Check that a bundle's manifest was signed with the secret key of this public key.

    The files that the manifest describes are checked by :meth:`Bundle.verify`.

    Raises:
        SignatureError: It was not, or the public key cannot be read.
        MissingExtraError: py-minisign is not installed.
    """
    minisign = _minisign()
    key = _load(minisign.PublicKey, public_key, "public key")
    wanted = _key_id(key.to_base64())
    sign = f"deixis models sign {bundle.root} --key {public_key.with_suffix('.key').name}"
    data = _read_signature(bundle)
    if data is None:
        raise SignatureError(
            f"{bundle.root} is not signed; a signature by key {wanted} is required", hint=sign
        )
    signer = _signer(data, bundle)
    if signer != wanted:
        raise SignatureError(
            f"{bundle.root} is signed by key {signer}; key {wanted} ({public_key}) is required",
            hint=f"name that key's public half, or sign it anew: {sign}",
        )
    try:
        key.verify(bundle.manifest_bytes, minisign.Signature.from_bytes(data))
    except minisign.Error as cause:
        raise SignatureError(
            f"{bundle.root / SIGNATURE} does not fit {MANIFEST}: "
            "one of them has changed since it was signed",
            hint=f"take the bundle from its source again; if the change is yours: {sign}",
        ) from cause
    return SignatureInfo(key_id=signer, verified_with=str(public_key))


def sign(bundle: Bundle, secret_key: Path, password: Callable[[], str]) -> SignatureInfo:
    """Write the signature of a bundle's manifest beside it.

    Args:
        bundle: A bundle whose files were verified.
        secret_key: File of the secret key.
        password: Asked for the key's password, if it has one.

    Raises:
        SignatureError: The key cannot be read, or the password is wrong.
        MissingExtraError: py-minisign is not installed.
    """
    minisign = _minisign()
    with _load(minisign.SecretKey, secret_key, "secret key") as key:
        if key.is_encrypted():
            try:
                key.decrypt(password())
            except minisign.Error as cause:
                raise SignatureError(f"{secret_key}: {cause}") from cause
        # No time in the comment: a bundle that is made and signed again is the same again.
        comment = f"deixis bundle, sha256 {hashlib.sha256(bundle.manifest_bytes).hexdigest()}"
        made = key.sign(bundle.manifest_bytes, prehash=True, trusted_comment=comment)
    data = bytes(made) + b"\n"
    path = bundle.root / SIGNATURE
    try:
        path.write_bytes(data)
    except OSError as cause:
        raise SignatureError(f"cannot write {path}: {cause.strerror}") from cause
    return SignatureInfo(key_id=_signer(data, bundle))


def make_keys(secret_key: Path, public_key: Path, password: str | None) -> str:
    """Make a pair of keys; neither file may exist. Only the owner can read the secret one.

    Args:
        secret_key: File to write.
        public_key: File to write.
        password: Encrypts the secret key; None: it lies there in the clear.

    Returns:
        The keys' ID.

    Raises:
        SignatureError: A file exists or cannot be written.
        MissingExtraError: py-minisign is not installed.
    """
    pair = _minisign().KeyPair.generate()
    key_id = _key_id(pair.public_key.to_base64())
    pair.public_key.untrusted_comment = f"minisign public key {key_id}"
    for path in (secret_key, public_key):
        if path.exists():
            raise SignatureError(f"{path} exists; keys are not replaced", hint="name another file")
    with pair.secret_key as key:
        if password is not None:
            key.encrypt(password)
        _write_new(secret_key, bytes(key) + b"\n", mode=0o600)
    _write_new(public_key, bytes(pair.public_key) + b"\n", mode=0o644)
    return key_id


def _minisign() -> Any:
    try:
        import minisign
    except ImportError:
        raise MissingExtraError("py-minisign", "sign") from None
    return minisign


def _load(kind: Any, path: Path, what: str) -> Any:
    """A key from its file."""
    try:
        return kind.from_bytes(path.read_bytes())
    except OSError as cause:
        raise SignatureError(
            f"cannot read the {what} {path}: {cause.strerror}",
            hint="deixis models keys --out robot.key makes robot.key and robot.pub",
        ) from cause
    except ValueError as cause:
        raise SignatureError(f"{path} is not a {what} of minisign: {cause}") from cause


def _read_signature(bundle: Bundle) -> bytes | None:
    try:
        return (bundle.root / SIGNATURE).read_bytes()
    except FileNotFoundError:
        return None
    except OSError as cause:
        raise SignatureError(f"cannot read {bundle.root / SIGNATURE}: {cause.strerror}") from cause


def _signer(data: bytes, bundle: Bundle) -> str:
    lines = data.splitlines()
    try:
        if len(lines) == 4 and len(base64.b64decode(lines[1], validate=True)) == _SIGNATURE_LEN:
            return _key_id(lines[1])
    except binascii.Error:
        pass  # Said below, like every other thing that it may be instead.
    raise SignatureError(
        f"{bundle.root / SIGNATURE} is not a signature of minisign",
        hint="remove it, or sign the bundle anew: deixis models sign",
    )


def _key_id(line: bytes) -> str:
    """The key ID in line 2 of a signature or a public key, as minisign shows it."""
    number = base64.b64decode(line)[_ALGORITHM_LEN : _ALGORITHM_LEN + _KEY_ID_LEN]
    return f"{int.from_bytes(number, 'little'):016X}"


def _write_new(path: Path, data: bytes, mode: int) -> None:
    try:
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except OSError as cause:
        raise SignatureError(f"cannot write {path}: {cause.strerror}") from cause
    with os.fdopen(number, "wb") as file:
        file.write(data)
