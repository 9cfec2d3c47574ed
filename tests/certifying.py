"""Certificates for tests: authorities, and the files that the service is given."""

from __future__ import annotations

import datetime
import ssl
from pathlib import Path
from typing import Final, NamedTuple

import trustme

CA: Final = trustme.CA()
OTHER_CA: Final = trustme.CA()
YESTERDAY: Final = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)


class Files(NamedTuple):
    """A certificate chain and its key."""

    certificate: Path
    key: Path


def write_certificate(
    folder: Path, *names: str, ca: trustme.CA = CA, not_after: datetime.datetime | None = None, name: str = "tls"
) -> Files:
    """Issue a certificate and write it, with its key, as PEM files into `folder`. Files that are there are replaced at once."""
    issued = ca.issue_cert(*names, not_after=not_after)
    files = Files(folder / f"{name}.crt", folder / f"{name}.key")
    chain = b"".join(blob.bytes() for blob in issued.cert_chain_pems)
    for path, data in zip(files, (chain, issued.private_key_pem.bytes()), strict=True):
        new = path.with_suffix(".new")
        new.write_bytes(data)
        new.rename(path)
    return files


def write_authority(folder: Path, ca: trustme.CA = CA, name: str = "ca.crt") -> Path:
    """Write an authority's certificate."""
    ca.cert_pem.write_to_path(str(folder / name))
    return folder / name


def client_context(ca: trustme.CA = CA, *, certificate: Files | None = None) -> ssl.SSLContext:
    """Make a client's side of TLS, which trusts `ca` alone and shows `certificate` where it is asked for one."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    ca.configure_trust(context)
    if certificate is not None:
        context.load_cert_chain(certificate.certificate, certificate.key)
    return context


def server_context(*names: str, ca: trustme.CA = CA, not_after: datetime.datetime | None = None) -> ssl.SSLContext:
    """Make a server's side of TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert(*names, not_after=not_after).configure_cert(context)
    return context
