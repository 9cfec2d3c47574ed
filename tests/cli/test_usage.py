"""Help, examples, and what is said of mistakes. Commands run in this process."""

from __future__ import annotations

import shlex

import pytest

from tests.cli.terminal import COMMANDS, Terminal
from txtoken.cli.commands import parse
from txtoken.cli.examples import EXAMPLES
from txtoken.cli.exit_codes import OK, USAGE
from txtoken.cli.verbs import OTHERS, VERBS
from txtoken.settings import Config
from txtoken.version import VERSION


@pytest.mark.parametrize("words", [["version"], ["-V"], ["--version"]])
def test_version(terminal: Terminal, words: list[str]) -> None:
    """There are three ways to ask for the version."""
    ran = terminal.run(*words)
    assert (ran.code, ran.out) == (OK, f"txtoken {VERSION}\n")


@pytest.mark.parametrize("command", ["", "serve", "token", "token verify", "keys generate", "help", "version"])
def test_help_is_a_verb_too(terminal: Terminal, command: str) -> None:
    """`help` before a command says what `--help` behind it says."""
    words = command.split()
    assert terminal.run("help", *words) == terminal.run(*words, "--help")


@pytest.mark.parametrize("columns", [40, 80, 1])
@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_fits_a_narrow_terminal(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, command: str, columns: int
) -> None:
    """No line of the help is wider than the terminal, but for a word that is. A terminal of one column is no reason to fail."""
    monkeypatch.setenv("COLUMNS", str(columns))
    ran = terminal.run(*command.split(), "--help")
    assert ran.code == OK
    for line in ran.out.splitlines():
        assert columns == 1 or len(line) <= columns or len(line.split()) <= 2, line


@pytest.mark.parametrize("command", ["", *COMMANDS, *OTHERS, "keys", "token"])
def test_every_help_has_examples(terminal: Terminal, command: str) -> None:
    """Each example stands in the help, and is a command that can be typed: that one, where it is not of all commands."""
    out = terminal.run(*command.split(), "--help").out
    assert "\nexamples:\n" in out
    assert EXAMPLES[command]
    for example, about in EXAMPLES[command]:
        assert about in " ".join(out.split())
        words = shlex.split(example.partition(" <")[0].partition(" >")[0].removeprefix('eval "$(').removesuffix(')"'))
        assert words[0] == "txtoken"
        if words[1] not in OTHERS:
            assert callable(parse(words[1:]).command)
            assert command.split() in ([], words[1:2], words[1:3]) or words[1] == command


def test_examples_are_of_commands() -> None:
    """No example is of a command that is not there."""
    assert {name.split()[0] for name in EXAMPLES if name} == {*VERBS, *OTHERS}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["chek"], "there is no command 'chek': did you mean check?"),
        (["sevre"], "did you mean serve?"),
        (["healthz"], "did you mean health?"),
        (["--prot", "1"], "unknown argument: --prot: did you mean --port?"),
        (["check", "--confg=x"], "unknown argument: --confg=x: did you mean --config?"),
        (["check", "--nothing-like-it"], "unknown argument: --nothing-like-it\n"),
        (["token"], "required: {issue,verify,explain}"),
        (["token", "verfy"], "'verfy' is none of issue, verify, explain: did you mean verify?"),
        (["token", "verify", "--jwsk", "x"], "did you mean --jwks?"),
        (["keys", "generate", "--alg", "ES265"], "did you mean ES256?"),
        (["completion", "bahs"], "did you mean bash?"),
        (["export", "ngnix"], "did you mean nginx?"),
        (["demo", "--prot", "1"], "unknown argument: --prot: did you mean --port?"),
        (["demo", "--behind", "ngnix"], "'ngnix' is none of nginx, caddy: did you mean nginx?"),
        (["xyzzy"], "there is no command 'xyzzy'. `txtoken help` lists them\n"),
        (["health", "--url", "localhost"], "--url wants the address of a service"),
        (["serve", "--workers", "many"], "wants a number of processes, or auto"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_mistakes(terminal: Terminal, words: list[str], said: str) -> None:
    """A word that is close to what was meant is answered with that, one that is not without a guess."""
    ran = terminal.run(*words)
    assert (ran.code, ran.out) == (USAGE, "")
    assert said in ran.err


@pytest.mark.parametrize("command", [*COMMANDS, "version"])
def test_an_unknown_option_of_any_command(terminal: Terminal, command: str) -> None:
    """Every command says that it does not have an option."""
    argument = {"completion": ["bash"], "export": ["nginx"]}.get(command, [])
    ran = terminal.run(*command.split(), *argument, "--xyzzy")
    assert (ran.code, ran.out) == (USAGE, "")
    assert "unknown argument: --xyzzy\n" in ran.err


@pytest.mark.parametrize("verb", [[], ["serve"]])
def test_short_options(terminal: Terminal, served: list[Config], verb: list[str]) -> None:
    """`--port --host --remote --workers` are short forms of `--set`, and count more."""
    options = ["--port", "7", "--host", "127.0.0.2", "--remote", "http://h/", "--workers", "3", "--set", "port=8"]
    assert terminal.run(*verb, *options).code == OK
    (config,) = served
    assert (config.process.port, config.process.addresses, config.process.workers) == (7, ("127.0.0.2",), 3)
    assert config.remote.url == "http://h/"


def test_short_options_in_errors(terminal: Terminal) -> None:
    """What is wrong with one is said of the option that was typed."""
    ran = terminal.run("check", "--host", "nowhere", "--remote", "ftp://h/")
    assert "  --host: listen: has to be" in ran.err
    assert "  --remote: remote: has to be" in ran.err
