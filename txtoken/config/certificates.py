"""Certificates and private keys from files, and the TLS contexts built from them. Knows no key's name and no socket.

OpenSSL reads the private key. This module only inspects it to give clear errors, and keeps no text of it.
"""

from __future__ import annotations

import hashlib
import re
import ssl
from typing import Final

import yaml

from txtoken.config.files import exists, read_file
from txtoken.config.values import TEXT, Wrong, kind, read_text
from txtoken.settings import ALPN, MIB, ListenTls, PemFile, RemoteTls

PEM_FILE_BYTES_MAX: Final = MIB  # a bundle of all public authorities is a quarter of that
_CERTIFICATE: Final = b"-----BEGIN CERTIFICATE-----"
_PRIVATE_KEY: Final = re.compile(rb"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----")
_LOCKED_KEY: Final = re.compile(rb"-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED", re.MULTILINE)


class Unusable(Exception):
    """These files cannot be used: a text for people without any of their content, and the key of the section to fix."""

    def __init__(self, text: str, key: str = "keyFile") -> None:
        super().__init__(text)
        self.key = key


@kind(TEXT, write=lambda file: None if file is None else file.path)
def read_certificates(node: yaml.Node) -> PemFile:
    """A file of certificates in PEM form."""
    path, data = _read(node)
    if _CERTIFICATE not in data:
        raise Wrong(f"{path} contains no certificate in PEM form (-----BEGIN CERTIFICATE-----)")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=data.decode("ascii", "ignore"))
    except (ssl.SSLError, ValueError):
        raise Wrong(f"{path} contains a damaged certificate") from None
    return PemFile(path, hashlib.sha256(data).digest())


@kind(TEXT, write=lambda file: None if file is None else file.path)
def read_private_key(node: yaml.Node) -> PemFile:
    """A file with a private key in PEM form, without a password."""
    path, data = _read(node)
    if _LOCKED_KEY.search(data):
        raise Wrong(f"the key in {path} is encrypted, and the service cannot ask for its password: decrypt it")
    if not _PRIVATE_KEY.search(data):
        raise Wrong(f"{path} contains no private key in PEM form (-----BEGIN PRIVATE KEY-----)")
    return PemFile(path, hashlib.sha256(data).digest())


def _read(node: yaml.Node) -> tuple[str, bytes]:
    path = read_text(node)
    if not exists(path):
        raise Wrong("names a file that does not exist")  # without the path: someone may have put the key itself here
    return path, read_file(path, PEM_FILE_BYTES_MAX)


def build_listen_tls(
    cert_file: PemFile | None = None, key_file: PemFile | None = None, client_ca_file: PemFile | None = None
) -> ListenTls:
    """Build TLS for clients: TLS 1.2 or newer. With `client_ca_file`, clients must have a certificate that it signed.

    Raises:
        Unusable: certificate and key are not a pair, or OpenSSL rejects them.
    """
    if client_ca_file is not None and cert_file is None and key_file is None:
        raise Unusable("needs certFile and keyFile as well", "clientCaFile")
    pair = _pair(cert_file, key_file)
    if pair is None:
        return ListenTls()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # TLS 1.2 has it: a client could make the service repeat the handshake, which is expensive.
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(ALPN)
    _identify(context, *pair)
    if client_ca_file is not None:
        _trust(context, client_ca_file, "clientCaFile")
        context.verify_mode = ssl.CERT_REQUIRED
    return ListenTls(cert_file, key_file, client_ca_file, context)


def build_remote_tls(
    ca_file: PemFile | None = None,
    cert_file: PemFile | None = None,
    key_file: PemFile | None = None,
    server_name: str | None = None,
    verify: bool = True,
) -> RemoteTls:
    """Build TLS for the remote. It trusts `ca_file` alone if there is one, else the system's authorities.

    Raises:
        Unusable: certificate and key are not a pair, or OpenSSL rejects them.
    """
    pair = _pair(cert_file, key_file)
    if ca_file is None and pair is None and verify:
        return RemoteTls(server_name=server_name)
    context = ssl.create_default_context() if ca_file is None else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(ALPN)
    if ca_file is not None:
        _trust(context, ca_file, "caFile")
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if pair is not None:
        _identify(context, *pair)
    return RemoteTls(ca_file, cert_file, key_file, server_name, verify, context)


def _pair(cert_file: PemFile | None, key_file: PemFile | None) -> tuple[PemFile, PemFile] | None:
    if cert_file is None and key_file is None:
        return None
    if cert_file is None:
        raise Unusable("needs certFile as well", "keyFile")
    if key_file is None:
        raise Unusable("needs keyFile as well", "certFile")
    return cert_file, key_file


def _trust(context: ssl.SSLContext, ca_file: PemFile, key: str) -> None:
    try:
        context.load_verify_locations(ca_file.path)
    except OSError as error:
        raise Unusable(f"{ca_file.path} cannot be used: {_reason(error)}", key) from None


def _identify(context: ssl.SSLContext, cert_file: PemFile, key_file: PemFile) -> None:
    try:
        context.load_cert_chain(cert_file.path, key_file.path, password=_no_password)
    except ssl.SSLError as error:
        if error.reason in ("KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED"):
            raise Unusable(
                f"the key in {key_file.path} does not belong to the certificate in {cert_file.path}"
            ) from None
        if error.reason in ("EE_KEY_TOO_SMALL", "CA_MD_TOO_WEAK", "CA_KEY_TOO_SMALL"):
            raise Unusable(f"the certificate in {cert_file.path} is too weak: {_reason(error)}", "certFile") from None
        raise Unusable(f"the key in {key_file.path} cannot be used: {_reason(error)}") from None
    except OSError as error:  # it existed a moment ago
        raise Unusable(f"{cert_file.path} or {key_file.path} cannot be read: {_reason(error)}") from None


def _no_password() -> str:
    """Without this, OpenSSL asks for the password on the terminal."""
    return ""


def _reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return (error.reason or "it is damaged").lower().replace("_", " ")
    return error.strerror or "it is damaged"
