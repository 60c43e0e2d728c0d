"""Signatures: only the bundle that was signed, only by the key that is required."""

from __future__ import annotations

import base64
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deixis.runtime.bundle import MANIFEST, Bundle
from deixis.runtime.errors import BundleError, MissingExtraError, SignatureError
from deixis.runtime.signing import (
    SIGNATURE,
    make_keys,
    require_signature,
    sign,
    signature_of,
    signature_text,
)
from tests.runtime.small_bundle import make_bundle

minisign = pytest.importorskip("minisign", reason="needs deixis[sign]")


def no_password() -> str:
    raise AssertionError("asked for a password")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_bundle(tmp_path / "bundle")


@pytest.fixture
def keys(tmp_path: Path) -> tuple[Path, Path]:
    paths = (tmp_path / "robot.key", tmp_path / "robot.pub")
    make_keys(*paths, password=None)
    return paths


def test_a_signed_bundle_fits_its_key(folder: Path, keys: tuple[Path, Path]):
    bundle = Bundle.open(folder)
    assert signature_of(bundle) is None
    assert signature_text(None) == "not signed"
    made = sign(bundle, keys[0], no_password)
    assert signature_of(bundle) == made
    assert signature_text(made) == f"signed by key {made.key_id} (not checked)"
    checked = require_signature(bundle, keys[1])
    assert checked.key_id == made.key_id
    assert checked.verified_with == str(keys[1])
    assert made.key_id in keys[1].read_text()
    assert bundle.verify() == 3


def test_signing_again_writes_the_same_bytes(folder: Path, keys: tuple[Path, Path]):
    bundle = Bundle.open(folder)
    sign(bundle, keys[0], no_password)
    first = (folder / SIGNATURE).read_bytes()
    sign(bundle, keys[0], no_password)
    assert (folder / SIGNATURE).read_bytes() == first


def test_an_unsigned_bundle_is_refused(folder: Path, keys: tuple[Path, Path]):
    with pytest.raises(SignatureError, match="is not signed; a signature by key") as caught:
        require_signature(Bundle.open(folder), keys[1])
    assert "deixis models sign" in caught.value.hint


def test_another_key_is_refused(folder: Path, keys: tuple[Path, Path], tmp_path: Path):
    other = (tmp_path / "other.key", tmp_path / "other.pub")
    make_keys(*other, password=None)
    bundle = Bundle.open(folder)
    sign(bundle, other[0], no_password)
    with pytest.raises(SignatureError, match=r"is signed by key \w{16}; key \w{16} .* required"):
        require_signature(bundle, keys[1])


def test_a_forger_who_takes_the_id_of_the_key_is_refused(
    folder: Path, keys: tuple[Path, Path], tmp_path: Path
):
    other = (tmp_path / "other.key", tmp_path / "other.pub")
    make_keys(*other, password=None)
    bundle = Bundle.open(folder)
    sign(bundle, other[0], no_password)
    wanted = base64.b64decode(keys[1].read_text().splitlines()[1])[2:10]
    lines = (folder / SIGNATURE).read_bytes().splitlines()
    raw = base64.b64decode(lines[1])
    lines[1] = base64.b64encode(raw[:2] + wanted + raw[10:])
    (folder / SIGNATURE).write_bytes(b"\n".join(lines) + b"\n")
    with pytest.raises(SignatureError, match="does not fit"):
        require_signature(bundle, keys[1])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_any_other_byte_of_the_manifest_is_found(
    folder: Path, keys: tuple[Path, Path], data: st.DataObject
):
    sign(Bundle.open(folder), keys[0], no_password)
    path = folder / MANIFEST
    good = path.read_bytes()
    place = data.draw(st.integers(0, len(good) - 1))
    flipped = bytes([good[place] ^ data.draw(st.integers(1, 255))])
    path.write_bytes(good[:place] + flipped + good[place + 1 :])
    try:
        with pytest.raises((SignatureError, BundleError)):
            require_signature(Bundle.open(folder), keys[1])
    finally:
        path.write_bytes(good)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_any_other_byte_of_the_signature_is_found(
    folder: Path, keys: tuple[Path, Path], data: st.DataObject
):
    bundle = Bundle.open(folder)
    sign(bundle, keys[0], no_password)
    path = folder / SIGNATURE
    lines = path.read_bytes().splitlines()
    # Line 0 is minisign's untrusted comment, which nothing vouches for.
    line = data.draw(st.integers(1, 3))
    good = lines[line] if line == 2 else base64.b64decode(lines[line])
    place = data.draw(st.integers(0, len(good) - 1))
    flipped = bytes([good[place] ^ data.draw(st.integers(1, 255))])
    bad = good[:place] + flipped + good[place + 1 :]
    lines[line] = bad if line == 2 else base64.b64encode(bad)
    path.write_bytes(b"\n".join(lines) + b"\n")
    with pytest.raises(SignatureError):
        require_signature(bundle, keys[1])


@pytest.mark.parametrize("content", [b"", b"a\nb\nc\nd\n", b"x" * 300, "ä\nü\nö\nß\n".encode()])
def test_what_is_no_signature_is_said_so(folder: Path, keys: tuple[Path, Path], content: bytes):
    (folder / SIGNATURE).write_bytes(content)
    bundle = Bundle.open(folder)
    for check in (lambda: signature_of(bundle), lambda: require_signature(bundle, keys[1])):
        with pytest.raises(SignatureError, match="is not a signature of minisign"):
            check()


def test_a_password_is_asked_for_and_checked(folder: Path, tmp_path: Path):
    secret, public = tmp_path / "robot.key", tmp_path / "robot.pub"
    make_keys(secret, public, password="a secret")
    bundle = Bundle.open(folder)
    with pytest.raises(SignatureError, match="wrong password"):
        sign(bundle, secret, lambda: "a guess")
    assert signature_of(bundle) is None
    sign(bundle, secret, lambda: "a secret")
    require_signature(bundle, public)


def test_the_secret_key_is_its_owners_and_is_not_replaced(keys: tuple[Path, Path], tmp_path: Path):
    assert stat.S_IMODE(keys[0].stat().st_mode) == 0o600
    before = keys[0].read_bytes()
    with pytest.raises(SignatureError, match="exists; keys are not replaced"):
        make_keys(keys[0], tmp_path / "new.pub", password=None)
    with pytest.raises(SignatureError, match="exists; keys are not replaced"):
        make_keys(tmp_path / "new.key", keys[1], password=None)
    assert keys[0].read_bytes() == before
    assert not (tmp_path / "new.key").exists()
    with pytest.raises(SignatureError, match="cannot write"):
        make_keys(tmp_path / "no" / "a.key", tmp_path / "no" / "a.pub", password=None)


def test_keys_that_are_none_are_said_so(folder: Path, keys: tuple[Path, Path], tmp_path: Path):
    bundle = Bundle.open(folder)
    with pytest.raises(SignatureError, match=r"cannot read the public key .*No such file"):
        require_signature(bundle, tmp_path / "none.pub")
    (tmp_path / "odd.pub").write_text("not a key\n")
    with pytest.raises(SignatureError, match=r"odd\.pub is not a public key"):
        require_signature(bundle, tmp_path / "odd.pub")
    with pytest.raises(SignatureError, match="is not a public key"):
        require_signature(bundle, keys[0])
    with pytest.raises(SignatureError, match="is not a secret key"):
        sign(bundle, keys[1], no_password)


def test_without_the_package_only_the_key_id_is_known(
    folder: Path, keys: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
):
    bundle = Bundle.open(folder)
    made = sign(bundle, keys[0], no_password)
    monkeypatch.setitem(sys.modules, "minisign", None)
    assert signature_of(bundle) == made
    with pytest.raises(MissingExtraError, match="py-minisign") as caught:
        require_signature(bundle, keys[1])
    assert "deixis[sign]" in caught.value.hint


needs_tool = pytest.mark.skipif(
    shutil.which("minisign") is None, reason="no minisign here (apt-get install minisign)"
)


def run_minisign(*arguments: str | Path) -> str:
    done = subprocess.run(
        ["minisign", *map(os.fspath, arguments)], capture_output=True, text=True, check=False,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@needs_tool
def test_minisign_accepts_ours(folder: Path, keys: tuple[Path, Path]):
    sign(Bundle.open(folder), keys[0], no_password)
    # -H: only the prehashed form.
    out = run_minisign("-VHm", folder / MANIFEST, "-p", keys[1])
    assert "Signature and comment signature verified" in out
    # It also signs with our secret key.
    run_minisign("-Sm", folder / MANIFEST, "-s", keys[0])
    require_signature(Bundle.open(folder), keys[1])


@needs_tool
def test_we_accept_minisigns(folder: Path, tmp_path: Path):
    secret, public = tmp_path / "m.key", tmp_path / "m.pub"
    run_minisign("-GW", "-p", public, "-s", secret)
    run_minisign("-Sm", folder / MANIFEST, "-s", secret)
    bundle = Bundle.open(folder)
    checked = require_signature(bundle, public)
    assert checked.key_id in public.read_text()
    (folder / SIGNATURE).unlink()
    sign(bundle, secret, no_password)
    run_minisign("-VHm", folder / MANIFEST, "-p", public)
