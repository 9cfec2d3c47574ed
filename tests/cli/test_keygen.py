"""The keys that `txtoken keygen` makes."""

from __future__ import annotations

import re

from tests.cli.terminal import Terminal
from tests.configuring import revealed
from txtoken.cli.exit_codes import OK
from txtoken.config.read import load


def test_keygen_makes_keys_for_enc_key(terminal: Terminal) -> None:
    """A new key is accepted as encKey as it is printed, in a file and on the command line, and no two are the same."""
    keys = set()
    for _ in range(50):
        ran = terminal.run("keygen")
        key = ran.out.removesuffix("\n")
        assert (ran.code, ran.err) == (OK, "")
        assert re.fullmatch(r"[A-Za-z0-9_-]{48}", key)
        terminal.write(f"encKey: {key}\nremote: http://h/\n")
        assert revealed(load("example_cfg.yml", {}).keys.secret) == key.encode()
        terminal.write(ran.out, "key")
        assert revealed(load("example_cfg.yml", {"TXTOKEN_ENC_KEY_FILE": "key"}).keys.secret) == key.encode()
        keys.add(key)
    assert len(keys) == 50


def test_keygen_as_json(terminal: Terminal) -> None:
    """With `--output json` the key stands under the name of the configuration's key."""
    ran = terminal.run("keygen", "--output", "json")
    assert (ran.code, list(ran.json), len(ran.json["encKey"])) == (OK, ["encKey"], 48)
