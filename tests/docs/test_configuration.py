"""What README.md and docs/ show of configuration files is good as it stands, and the reference has every key."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
import trustme
import yaml

from tests.configuring import OTHER_KEY, load_text, whole
from tests.docs import configuration_tables
from tests.docs.pages import ROOT, Block, blocks, pages, read
from tests.service.keys.material import pair, pem, public_pem
from txtoken.config.table import KEYS

FOREIGN = ("not a configuration", "the block below")


def configurations() -> Iterator[tuple[str, Block]]:
    """Find the blocks of YAML that are txtoken's."""
    for page in pages():
        for block in blocks(read(page)):
            if block.language == "yaml" and not block.said.startswith(FOREIGN):
                yield str(page.relative_to(ROOT)), block


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every file that a page names."""
    folder = tmp_path_factory.mktemp("secrets")
    authority = trustme.CA()
    certificate = authority.issue_cert("login.example")
    for name in ("tls", "login"):
        (folder / name).mkdir()
        authority.cert_pem.write_to_path(str(folder / name / "ca.crt"))
        certificate.private_key_pem.write_to_path(str(folder / name / "tls.key"))
        for number, part in enumerate(certificate.cert_chain_pems):
            part.write_to_path(str(folder / name / "tls.crt"), append=number > 0)
    for number, name in enumerate(("2027-01", "2027-02", "us", "eu")):
        (folder / f"{name}.pem").write_bytes(pem(pair("ES256", number)))
        (folder.parent / f"{name}.pem").write_bytes(pem(pair("ES256", number)))
    (folder / "eu-public.pem").write_bytes(public_pem(pair("ES256", 3)))
    for number, name in enumerate(("root", "new", "old")):
        (folder / name).write_bytes(base64.b64encode(Random(number).randbytes(32)))
    (folder / "revoked.txt").write_text("")
    return folder


@pytest.mark.parametrize(
    ("page", "block"), [pytest.param(*found, id=f"{found[0]}:{found[1].line}") for found in configurations()]
)
def test_configurations(
    page: str, block: Block, tmp_path: Path, secrets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is taken as it stands, and nothing is warned of but what the page itself is about."""
    monkeypatch.chdir(secrets)
    text = re.sub(r"/run/secrets/|/etc/txtoken/", f"{secrets}/", block.text)
    text = text if re.search("^keys:", text, re.MULTILINE) else f"{whole(text)}\n"
    text += "" if re.search("^remote:", text, re.MULTILINE) else "remote: http://login.internal/login\n"
    asks = re.search("^(forwardAuth|refresh|cookie):", text, re.MULTILINE)
    text += f"requestKey: {OTHER_KEY}\n" if asks and "requestKey" not in text else ""
    assert load_text(tmp_path, text).warnings == ()


def test_blocks_of_other_programs_are_well_formed() -> None:
    """Each block of YAML is that, whosever it is."""
    for page in pages():
        for block in blocks(read(page)):
            if block.language == "yaml":
                assert list(yaml.safe_load_all(block.text))


def test_the_reference_has_every_key() -> None:
    """The tables of docs/reference/configuration.md are those of the service. `scripts/docs --write` puts them right."""
    text = configuration_tables.PAGE.read_text()
    assert configuration_tables.page(text) == text
    for key in KEYS:
        assert f"| `{key.name.rpartition('.')[2]}` |" in text


def test_the_limits_are_the_service_s() -> None:
    """docs/reference/limits.md names every key of `limits` and `timeouts`."""
    named = set(
        re.findall(r"^\| `((?:limits|timeouts)\.\w+)` \|", read(ROOT / "docs/reference/limits.md"), re.MULTILINE)
    )
    assert named == {key.name for key in KEYS if key.section in ("limits", "timeouts")}
