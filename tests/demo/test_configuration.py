"""The demo's configuration: it is what the loader makes of nothing but the demo's own values."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from tests.configuring import revealed
from txtoken.demo.configuration import demo_config
from txtoken.settings import Config, Limits, LogSettings, Timeouts, VerifyRules

URL: Final = "http://127.0.0.1:9/login"


def config_of(log: LogSettings | None = None) -> Config:
    """Make the demo's configuration for a login API that is not there."""
    return demo_config(0, URL, log or LogSettings())


def test_it_reads_no_file_and_no_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A configuration in the working directory or in the environment changes nothing, however wrong it is."""
    (tmp_path / "example_cfg.yml").write_text("port: many\nlimits: 5\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CFG_FILE", "example_cfg.yml")
    monkeypatch.setenv("TXTOKEN_PORT", "1")
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.internal:3128")
    config = config_of()
    assert (config.source, config.files, config.reload_s) == ("", (), None)
    assert config.process.port == 0
    assert config.remote.proxy is None


def test_it_has_keys_of_its_own() -> None:
    """Both keys are made anew each time, and differ."""
    configs = (config_of(), config_of())
    keys = [revealed(key) for config in configs for key in (config.keys.secret, config.remote.request_key)]
    assert len(set(keys)) == 4
    assert {len(key) for key in keys} == {48}


@pytest.mark.parametrize("log", [LogSettings(), LogSettings("error", "text", access=False)])
def test_what_differs_from_the_defaults(log: LogSettings) -> None:
    """It serves on loopback with one worker, drains for two seconds, and logs as it was asked to; the rest is the default."""
    config = config_of(log)
    assert (config.process.addresses, config.process.workers, config.process.admin_port) == (("127.0.0.1",), 1, None)
    assert config.remote.url == URL
    assert config.remote.request_token_data == b'{"service":"txtoken demo"}'
    assert config.timeouts == Timeouts(drain=2.0)
    assert config.login.forward_headers == ("X-Request-Id",)
    assert config.log == log
    assert (config.limits, config.check.rules) == (Limits(), VerifyRules())
    assert config.warnings == ()
