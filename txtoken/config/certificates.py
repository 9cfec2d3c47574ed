"""Certificates and private keys from files, and what TLS is spoken with, made of them. Knows no key's name and no socket.

A private key is read by OpenSSL. Here it is only looked at for what can be told about it, and no text of it is kept.
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

PEM_FILE_BYTES_MAX: Final = MIB  # the certificates of all public authorities are a quarter of that
_CERTIFICATE: Final = b"-----BEGIN CERTIFICATE-----"
_PRIVATE_KEY: Final = re.compile(rb"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----")
_LOCKED_KEY: Final = re.compile(rb"-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED", re.MULTILINE)


class Unusable(Exception):
    """Why files do not go together: a text for people that holds nothing of their content, and the key of the section to fix."""

    def __init__(self, text: str, key: str = "keyFile") -> None:
        super().__init__(text)
        self.key = key


@kind(TEXT, write=lambda file: None if file is None else file.path)
def read_certificates(node: yaml.Node) -> PemFile:
    """A file of certificates in PEM form."""
    path, data = _read(node)
    if _CERTIFICATE not in data:
        raise Wrong(f"{path} holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=data.decode("ascii", "ignore"))
    except (ssl.SSLError, ValueError):
        raise Wrong(f"{path} holds a certificate that is damaged") from None
    return PemFile(path, hashlib.sha256(data).digest())


@kind(TEXT, write=lambda file: None if file is None else file.path)
def read_private_key(node: yaml.Node) -> PemFile:
    """A file with a private key in PEM form, which nobody needs a password for."""
    path, data = _read(node)
    if _LOCKED_KEY.search(data):
        raise Wrong(f"the key in {path} is encrypted, and there is nobody to ask for its password: decrypt it")
    if not _PRIVATE_KEY.search(data):
        raise Wrong(f"{path} holds no private key in PEM form (-----BEGIN PRIVATE KEY-----)")
    return PemFile(path, hashlib.sha256(data).digest())


def _read(node: yaml.Node) -> tuple[str, bytes]:
    path = read_text(node)
    if not exists(path):
        raise Wrong("names a file that does not exist")  # without the name: it may be the key itself, put here
    return path, read_file(path, PEM_FILE_BYTES_MAX)


def listening(
    cert_file: PemFile | None = None, key_file: PemFile | None = None, client_ca_file: PemFile | None = None
) -> ListenTls:
    """Make what clients are spoken to with: TLS 1.2 or newer, and with `client_ca_file` only clients that it vouches for.

    Raises:
        Unusable: certificate and key do not make a pair, or OpenSSL does not take them.
    """
    if client_ca_file is not None and cert_file is None and key_file is None:
        raise Unusable("needs certFile and keyFile beside it", "clientCaFile")
    pair = _pair(cert_file, key_file)
    if pair is None:
        return ListenTls()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= (
        ssl.OP_NO_RENEGOTIATION
    )  # of TLS 1.2: a client could make us compute for nothing, again and again
    context.set_alpn_protocols(ALPN)
    _identify(context, *pair)
    if client_ca_file is not None:
        _trust(context, client_ca_file, "clientCaFile")
        context.verify_mode = ssl.CERT_REQUIRED
    return ListenTls(cert_file, key_file, client_ca_file, context)


def dialling(
    ca_file: PemFile | None = None,
    cert_file: PemFile | None = None,
    key_file: PemFile | None = None,
    server_name: str | None = None,
    verify: bool = True,
) -> RemoteTls:
    """Make what the remote is spoken to with. With `ca_file` it alone is trusted, else what the system trusts.

    Raises:
        Unusable: certificate and key do not make a pair, or OpenSSL does not take them.
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
        raise Unusable("needs certFile beside it", "keyFile")
    if key_file is None:
        raise Unusable("needs keyFile beside it", "certFile")
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
        if error.reason in ("KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED"):  # of another kind
            raise Unusable(
                f"the key in {key_file.path} does not belong to the certificate in {cert_file.path}"
            ) from None
        if error.reason in ("EE_KEY_TOO_SMALL", "CA_MD_TOO_WEAK", "CA_KEY_TOO_SMALL"):
            raise Unusable(f"the certificate in {cert_file.path} is too weak: {_reason(error)}", "certFile") from None
        raise Unusable(f"the key in {key_file.path} cannot be used: {_reason(error)}") from None
    except OSError as error:  # it was there a moment ago
        raise Unusable(f"{cert_file.path} or {key_file.path} cannot be read: {_reason(error)}") from None


def _no_password() -> str:
    """OpenSSL asks the terminal for a password, unless it is told one."""
    return ""


def _reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return (error.reason or "it is damaged").lower().replace("_", " ")
    return error.strerror or "it is damaged"
