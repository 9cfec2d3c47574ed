"""Files of certificates and keys: errors of those that cannot be used, which show nothing of a key."""

from __future__ import annotations

import datetime
import ssl
from pathlib import Path
from typing import Final

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.certifying import Files, write_authority, write_certificate
from tests.configuring import dump, failure, load_text, told, whole
from txtoken.settings import PemFile

CERTIFIED_FROM: Final = datetime.datetime(2018, 1, 1, tzinfo=datetime.UTC)
CERTIFIED_UNTIL: Final = datetime.datetime(2118, 1, 1, tzinfo=datetime.UTC)
PASSWORD: Final = serialization.BestAvailableEncryption(b"a password")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Good files and bad ones."""
    folder = tmp_path_factory.mktemp("tls")
    files = write_certificate(folder, "localhost")
    write_certificate(folder, "localhost", name="other")
    write_authority(folder)
    key = serialization.load_pem_private_key(files.key.read_bytes(), None)
    for name, form in (
        ("locked.key", serialization.PrivateFormat.PKCS8),
        ("locked-old.key", serialization.PrivateFormat.TraditionalOpenSSL),
    ):
        (folder / name).write_bytes(key.private_bytes(serialization.Encoding.PEM, form, PASSWORD))
    leaf = files.certificate.read_text().partition("-----END CERTIFICATE-----")
    (folder / "tls.der").write_bytes(ssl.PEM_cert_to_DER_cert("".join(leaf[:2])))
    weak = rsa.generate_private_key(65537, 1024)  # noqa: S505 - weak, as its name says
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "weak.example")])
    builder = x509.CertificateBuilder(subject, subject, weak.public_key(), 1, CERTIFIED_FROM, CERTIFIED_UNTIL)
    (folder / "weak.crt").write_bytes(builder.sign(weak, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    (folder / "weak.key").write_bytes(
        weak.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    (folder / "damaged.crt").write_text(files.certificate.read_text().replace("MII", "MIJ"))
    (folder / "damaged.key").write_text(files.key.read_text().replace("MH", "MJ"))
    (folder / "large.crt").write_bytes(files.certificate.read_bytes() + b"\n" * 1_048_576)
    return folder


NO_CERTIFICATE: Final = "contains no certificate in PEM form (-----BEGIN CERTIFICATE-----)"
NO_KEY: Final = "contains no private key in PEM form (-----BEGIN PRIVATE KEY-----)"
LOCKED: Final = "is encrypted, and the service cannot ask for its password: decrypt it"
NOT_ITS_OWN: Final = "does not belong to the certificate in FOLDER/tls.crt"
NO_TLS: Final = "applies only to a remote with TLS: leave remoteTls out, or make remote an https:// URL"


@pytest.mark.parametrize(
    ("cert", "key", "wrong", "problem"),
    [
        ("tls.der", "tls.key", "certFile", f"FOLDER/tls.der {NO_CERTIFICATE}"),
        ("tls.key", "tls.key", "certFile", f"FOLDER/tls.key {NO_CERTIFICATE}"),
        ("damaged.crt", "tls.key", "certFile", "FOLDER/damaged.crt contains a damaged certificate"),
        ("large.crt", "tls.key", "certFile", "FOLDER/large.crt is larger than 1048576 bytes"),
        ("none.crt", "tls.key", "certFile", "names a file that does not exist"),
        ("", "tls.key", "certFile", "FOLDER/ is not a file"),
        ("weak.crt", "weak.key", "certFile", "the certificate in FOLDER/weak.crt is too weak: ee key too small"),
        ("tls.crt", "tls.crt", "keyFile", f"FOLDER/tls.crt {NO_KEY}"),
        ("tls.crt", "locked.key", "keyFile", f"the key in FOLDER/locked.key {LOCKED}"),
        ("tls.crt", "locked-old.key", "keyFile", f"the key in FOLDER/locked-old.key {LOCKED}"),
        ("tls.crt", "damaged.key", "keyFile", "the key in FOLDER/damaged.key cannot be used: it is damaged"),
        ("tls.crt", "other.key", "keyFile", f"the key in FOLDER/other.key {NOT_ITS_OWN}"),
        ("tls.crt", "weak.key", "keyFile", f"the key in FOLDER/weak.key {NOT_ITS_OWN}"),
    ],
)
@pytest.mark.parametrize("section", ["tls", "remoteTls"])
def test_pairs_that_cannot_be_used(
    tmp_path: Path, folder: Path, section: str, cert: str, key: str, wrong: str, problem: str
) -> None:
    """The one problem names key, line, file and reason. Nothing of a private key is reported."""
    text = f"remote: https://h/\n{section}:\n  certFile: FOLDER/{cert}\n  keyFile: FOLDER/{key}\n"
    error = failure(tmp_path, whole(text.replace("FOLDER", str(folder))))
    line = 3 if wrong == "certFile" else 4
    (said,) = told(tmp_path, error)
    assert said.replace(str(folder), "FOLDER") == f"cfg.yml, line {line}: {section}.{wrong}: {problem}"
    for name in ("tls.key", "weak.key"):
        secret = max((folder / name).read_text().splitlines(), key=len)
        assert secret[10:20] not in dump(error)


@pytest.mark.parametrize(
    ("section", "problem"),
    [
        ("tls: {certFile: FOLDER/tls.crt}", "tls.certFile: needs keyFile as well"),
        ("tls: {keyFile: FOLDER/tls.key}", "tls.keyFile: needs certFile as well"),
        ("tls: {clientCaFile: FOLDER/ca.crt}", "tls.clientCaFile: needs certFile and keyFile as well"),
        ("tls: {clientCaFile: FOLDER/tls.key}", f"tls.clientCaFile: FOLDER/tls.key {NO_CERTIFICATE}"),
        ("remoteTls: {certFile: FOLDER/tls.crt}", "remoteTls.certFile: needs keyFile as well"),
        ("remoteTls: {keyFile: FOLDER/tls.key}", "remoteTls.keyFile: needs certFile as well"),
        ("remoteTls: {caFile: FOLDER/ca.crt}\nremote: http://h/", f"remoteTls.caFile: {NO_TLS}"),
        ("remoteTls: {serverName: h}\nremote: HTTP://h/", f"remoteTls.serverName: {NO_TLS}"),
        ("remoteTls: {verify: false}\nremote: http://h/", f"remoteTls.verify: {NO_TLS}"),
    ],
)
def test_sections_that_say_too_little(tmp_path: Path, folder: Path, section: str, problem: str) -> None:
    """What is missing beside a key, or makes no sense there, is reported with the key's line."""
    text = section if "remote:" in section else f"{section}\nremote: https://h/"
    (said,) = told(tmp_path, failure(tmp_path, whole(text.replace("FOLDER", str(folder)))))
    assert said.replace(str(folder), "FOLDER") == f"cfg.yml, line 1: {problem}"


def test_a_key_in_place_of_its_files_name(tmp_path: Path, folder: Path) -> None:
    """A key that was put where its file's name belongs is not repeated."""
    key = (folder / "tls.key").read_text()
    indented = key.replace("\n", "\n    ")
    error = failure(tmp_path, whole(f"tls:\n  certFile: {folder}/tls.crt\n  keyFile: |\n    {indented}"))
    assert "PRIVATE" not in dump(error)
    assert max(key.splitlines(), key=len)[10:20] not in dump(error)


@pytest.mark.parametrize("key_type", trustme.KeyType)
def test_good_files(tmp_path: Path, key_type: trustme.KeyType) -> None:
    """A pair of either kind is taken; its files are among those that are watched, and what is shown is their paths."""
    ca = trustme.CA(key_type=key_type)
    issued = ca.issue_cert("localhost", key_type=key_type)
    files = Files(tmp_path / "tls.crt", tmp_path / "tls.key")
    issued.private_key_and_cert_chain_pem.write_to_path(str(files.certificate))  # one file may hold both
    issued.private_key_pem.write_to_path(str(files.key))
    authority = write_authority(tmp_path, ca)
    for key_file in files:
        section = f"{{certFile: {files.certificate}, keyFile: {key_file}, clientCaFile: {authority}}}"
        config = load_text(tmp_path, whole(f"tls: {section}"))
        assert config.tls.context is not None
        assert config.tls.context.verify_mode is ssl.CERT_REQUIRED
        assert config.tls.context.minimum_version is ssl.TLSVersion.TLSv1_2
        assert config.files[1:] == (str(files.certificate), str(key_file), str(authority))


def test_what_is_the_same(tmp_path: Path) -> None:
    """Files are the same while path and content are."""
    write_certificate(tmp_path, "localhost")
    text = whole(f"tls: {{certFile: {tmp_path}/tls.crt, keyFile: {tmp_path}/tls.key}}")
    before = load_text(tmp_path, text)
    assert load_text(tmp_path, text) == before
    write_certificate(tmp_path, "localhost")
    assert load_text(tmp_path, text) != before
    assert PemFile("a", b"1") == PemFile("a", b"1") != PemFile("b", b"1")


def test_words_beside_the_certificates(tmp_path: Path) -> None:
    """What stands around the certificates of a file is a comment, in whatever language."""
    authority = write_authority(tmp_path)
    authority.write_bytes("# Fő tanúsítvány\n".encode() + authority.read_bytes())
    config = load_text(tmp_path, whole(f"remote: https://h/\nremoteTls: {{caFile: {authority}}}"))
    assert str(authority) in config.files


def test_no_verification_is_a_warning(tmp_path: Path) -> None:
    """`verify: false` is said aloud."""
    (warning,) = load_text(tmp_path, whole("remote: https://h/\nremoteTls: {verify: false}")).warnings
    assert warning.startswith("remoteTls.verify is false: ")
    assert load_text(tmp_path, whole("remote: https://h/\nremoteTls: {verify: true}")).warnings == ()
