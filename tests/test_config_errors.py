"""Every way in which a configuration can fail, and what is reported then: all problems, and no secret."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import orjson
import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from tests.configuring import KEY, OTHER_KEY, REMOTE, REQUIRED, dump, failure, load_text, revealed, told, whole
from txtoken.config.read import load
from txtoken.config.table import KEYS, SECTIONS, describe
from txtoken.errors import ConfigError
from txtoken.http1.proxies import Proxies
from txtoken.service.failures import Failures
from txtoken.service.keys.hmac import HmacKey
from txtoken.settings import HIDDEN, Config

# What is told


def test_all_problems_are_told_at_once_in_the_order_of_their_lines(tmp_path: Path) -> None:
    """One message holds every problem, each with its place, in reading order: nobody has to fix them one by one."""
    error = failure(
        tmp_path,
        "expHours: never\n"
        "portt: 1\n"
        "limits:\n"
        "  waiting: x\n"
        "  bodybytes: 1\n"
        "port: y\n"
        "log: {level: loud}\n"
        "port: 1\n"
        "encKey: short\n"
        "forwardHeaders:\n"
        "  - Host\n",
        {"TXTOKEN_DEBUG": "perhaps", "TXTOKEN_LIMIT_WAITING": "1"},
        {"checkResponse": "no", "bodyBytes": "1"},
    )
    assert told(tmp_path, error) == [
        "environment TXTOKEN_LIMIT_WAITING: sets no known key: did you mean TXTOKEN_LIMITS_WAITING?",
        "--set bodyBytes: is not a known key: did you mean limits.bodyBytes?",
        "environment TXTOKEN_DEBUG: debug: has to be true or false",
        "--set: checkResponse: has to be original or claims",
        "cfg.yml: remote: is required: the URL that logins are POSTed to",
        "cfg.yml, line 1: expHours: has to be hours above 0 (24, 0.5) or a time (30m, 12h, 7d), and at most a hundred years",
        "cfg.yml, line 2: portt: is not a known key: did you mean port?",
        "cfg.yml, line 4: limits.waiting: has to be a whole number from 0 to 1000000",
        "cfg.yml, line 5: limits.bodybytes: is not a known key: did you mean limits.bodyBytes?",
        "cfg.yml, line 6: port: has to be a whole number from 0 to 65535",
        "cfg.yml, line 7: log.level: has to be debug or info or warning or error",
        "cfg.yml, line 8: port: is already set in line 6: keep one of them",
        "cfg.yml, line 9: encKey: has to be 32 to 4096 bytes long; this one has 5. `txtoken keygen` makes one",
        "cfg.yml, line 11: forwardHeaders: Host is never forwarded: it belongs to the connection, or txtoken sets it itself",
    ]
    head, *lines = str(error).split("\n")
    assert head == "The configuration has 14 problems, nothing was started:"
    assert [line.strip().replace(f"{tmp_path}/", "") for line in lines] == told(tmp_path, error)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("Port", "port"),
        ("enckey", "encKey"),
        ("enc_key", "encKey"),
        ("encKeyfile", "encKeyFile"),
        ("expHour", "expHours"),
        ("tokenRoute", "getTokenRoute"),
        ("forwardHeader", "forwardHeaders"),
        ("timeout", "timeouts"),
        ("limit", "limits"),
        ("logs", "log"),
    ],
)
def test_unknown_keys_name_the_nearest(tmp_path: Path, written: str, meant: str) -> None:
    """A misspelt key is an error that names the key that was meant: it is never ignored."""
    problems = told(tmp_path, failure(tmp_path, whole("") + f"\n{written}: x"))
    assert problems == [f"cfg.yml, line 4: {written}: is not a known key: did you mean {meant}?"]


@pytest.mark.parametrize("written", ["xyzzy", "jwtSettings99", "<<", "_", "''", "5", "? [a]\n", "? {a: b}\n"])
def test_unknown_keys_without_a_near_one(tmp_path: Path, written: str) -> None:
    """A key that resembles none is an error all the same, names of every other kind than text included."""
    (problem,) = failure(tmp_path, whole("") + f"\n{written}: x").problems
    assert problem.text == "is not a known key"
    assert "line 4" in problem.where


@pytest.mark.parametrize(
    ("text", "key", "line", "first"),
    [
        ("port: 1\nport: 1", "port", 2, 1),
        ("port:\nport: 1", "port", 2, 1),
        ("limits: {}\nlimits: {waiting: 1}", "limits", 2, 1),
        ("limits:\n  waiting: 1\n  headBytes: 1KiB\n  waiting: 2", "limits.waiting", 4, 2),
        ("limits.waiting: 1\nlimits: {waiting: 2}", "limits.waiting", 2, 1),
        ("limits: {waiting: 2}\nlimits.waiting: 1", "limits.waiting", 2, 1),
        (f"encKey: {KEY}\nencKey: {KEY}", "encKey", 2, 1),
    ],
)
def test_keys_that_stand_twice(tmp_path: Path, text: str, key: str, line: int, first: int) -> None:
    """A key that stands twice is an error that names both lines: which one counts is never a guess."""
    (problem,) = failure(tmp_path, whole(text)).problems
    assert str(problem).endswith(f"cfg.yml, line {line}: {key}: is already set in line {first}: keep one of them")


# Files that are none


@pytest.mark.parametrize(
    ("content", "where", "why"),
    [
        (b"port: 1\n\tdebug: true\n", ", line 2", "from column 1: a tab is used as indentation"),
        (b"limits:\n  waiting: 1\n  \theadBytes: 1\n", ", line 3", "from column 3: a tab is used as indentation"),
        (b"listen:\n  -\t127.0.0.1\n", ", line 2", "from column 4: a tab is used as indentation"),
        (b"requestTokenData: |\n\ta\n", ", line 2", "from column 1: a tab is used as indentation"),
        (b"port: 1\ndebug: \ttrue: x\n", ", line 2", "is not valid YAML"),
        (b"port: 1\nremote: [\n", ", line 3", "is not valid YAML"),
        (b"port: 1\nencKey: 'open\nremote: x\n", ", line 4", "is not valid YAML"),
        (b"port: 1\nencKey: @begins-with-it\n", ", line 2", "has to be in quotes"),
        (b"port: 1\n a: b\n", ", line 2", "is not valid YAML"),
        (b"port: *nowhere\n", ", line 1", "is not valid YAML"),
        (b"port: 1\n---\nport: 2\n", ", line 2", "is not valid YAML"),
        (b"port: !x!y 1\n", ", line 1", "is not valid YAML"),
        (b"port: 1\ndebug: \x00\n", ", line 2", "contains a character that YAML does not allow"),
        (b"a: 1\nb: 1\nc: \x1b[31m\n", ", line 3", "contains a character that YAML does not allow"),
        (b"port: 1 # \xff\n", "", "is not UTF-8 text"),
        ("port: 1".encode("utf-16"), "", "is not UTF-8 text"),
        (bytes(range(256)), "", "is not UTF-8 text"),
        (b"a: " + b"[" * 5000, "", "is nested too deeply to be read"),
        (b"\n".join(b" " * depth + b"a:" for depth in range(800)), "", "is nested too deeply to be read"),
        (b"a" * (1024 * 1024 + 1), None, "is larger than 1048576 bytes"),
    ],
)
def test_broken_files(tmp_path: Path, content: bytes, where: str | None, why: str) -> None:
    """A file that is not YAML, or none of ours, is the one problem, with its line; that keys are missing is then no news."""
    (problem,) = failure(tmp_path, content).problems
    assert problem.where == ("configuration file" if where is None else f"{tmp_path}/cfg.yml{where}")
    assert why in problem.text


def test_a_byte_order_mark_is_read_over(tmp_path: Path) -> None:
    """An editor's mark at the start of the file does not become part of the first key."""
    assert load_text(tmp_path, b"\xef\xbb\xbf" + whole("port: 7").encode()).process.port == 7


def test_windows_line_ends(tmp_path: Path) -> None:
    """Line ends of any system are read, and are no part of a secret."""
    config = load_text(tmp_path, whole("port: 7").replace("\n", "\r\n") + "\r\n")
    assert (config.process.port, revealed(config.keys.secret)) == (7, KEY.encode())


def test_aliases_are_values_like_others(tmp_path: Path) -> None:
    """An alias stands for what it names, and one that holds itself is refused."""
    config = load_text(tmp_path, whole(f"encKey: &key {KEY}\nrequestKey: *key\nlimits: &l {{waiting: 5}}"))
    assert config.remote.request_key == config.keys.secret
    for text in ("requestTokenData: &a [*a]", "forwardHeaders: &a [*a]", "limits: &a {limits: *a}", "port: &a {a: *a}"):
        assert len(failure(tmp_path, whole(text)).problems) == 1


def test_tags_run_nothing(tmp_path: Path) -> None:
    """A tag that makes Python objects elsewhere is an error here, at any key."""
    made = tmp_path / "made"
    for text in (
        f"port: !!python/object/apply:os.mkdir ['{made}']",
        f"requestTokenData: !!python/object/apply:os.mkdir ['{made}']",
        f"requestTokenData: {{a: !!python/object/new:os.mkdir ['{made}']}}",
        "getTokenRoute: !!python/name:os.system /x",
        f"encKey: !!binary {KEY}",
        f"!!python/object/apply:os.mkdir ['{made}']: 1",
        f"limits: !!python/object/apply:os.mkdir {{a: '{made}'}}",
    ):
        assert failure(tmp_path, whole(text)).problems
    assert not made.exists()


def test_paths_that_are_no_files(tmp_path: Path) -> None:
    """A directory, a path that ends nowhere, and one that is no text end in an error that can be written."""
    for path, why in (
        (str(tmp_path), "is not a file"),
        (f"{tmp_path}/none.yml", "does not exist"),
        (f"{tmp_path}/\udcff.yml", "does not exist"),
        (f"{tmp_path}/{'x' * 5000}", "cannot be read: File name too long"),
        ("/dev/null", "is not a file"),
    ):
        with pytest.raises(ConfigError, match=why) as caught:
            load(path, {})
        str(caught.value).encode()


@pytest.mark.parametrize("error", [PermissionError(13, "Permission denied"), OSError(5, "Input/output error")])
def test_files_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError) -> None:
    """A file that the system does not let us read is an error with the system's reason."""

    def refuse(*_: object) -> None:
        raise error

    monkeypatch.setattr(Path, "open", refuse)
    file = tmp_path / "cfg.yml"
    file.touch()
    with pytest.raises(ConfigError, match=rf"cannot be read: {error.strerror}\. Name another"):
        load(str(file), {})


# Secrets stay secret


def as_mistake(name: str, value: str) -> str:
    """Write a key's line, in its section."""
    section, _, last = name.rpartition(".")
    return f"{section}:\n  {last}: {value}" if section else f"{last}: {value}"


SHORT_KEY: Final = KEY[:31]
LEAKS: Final = [
    *(
        as_mistake(key.name, value)
        for key in KEYS
        for value in (SHORT_KEY, f"[[{KEY}]]", f"{{{KEY}: {KEY}}}", f"!x {KEY}")
    ),
    *(f"{section}: {KEY}" for section in sorted(SECTIONS)),
    f"{{encKey:{KEY}, remote:{REMOTE}}}",
    f"encKey:{KEY}",
    f"port: 1\nencKey:{KEY}\ndebug: true",
    f"{{{KEY}}}",
    f"? {KEY}",
    f"encKey: *{KEY}",
    f"encKey: &{KEY}",
    f"a: &{KEY} 1\nb: &{KEY} 2\nc: *{KEY}\n-",
    f"encKey: !{KEY} x",
    f"encKey: !{KEY}! x",
    f"encKey: '{KEY}",
    f'encKey: "{KEY}',
    f'encKey: "{KEY}\\q"',
    f"encKey: {KEY}: x",
    f"encKey: {KEY}\n\tport: 1",
    f"encKey: %{KEY}",
    f"%{KEY} x\n---\na: 1",
    f"encKey: @{KEY}",
    f"encKey: |{KEY}\n",
    f"encKey: {KEY}\x07",
    f"- {KEY}",
    KEY,
    f"encKey: {KEY}\nencKey: {KEY}",
    f"encKeey: {KEY}",
    f"limits: {{encKey: {KEY}, {KEY}: 1}}",
    f"limits.{KEY}: 1",
    f"{KEY}.limits: 1",
    f"encKeyFile: {KEY}",
    f"encKeyFile: {KEY}\nencKey: {KEY}",
    f"remote: http://user:{KEY}@h/",
    f"remote: http://h:{KEY}/",
    f"remote: http://h/ {KEY}",
    f"forwardHeaders: [X-A, 'a {KEY}']",
    f"requestTokenData: {{password: {KEY}, password: {KEY}}}",
    f"requestTokenData: {{password: !!int {KEY}}}",
    f'requestTokenData: \'{{"password": "{KEY}}}\'',
]


@pytest.mark.parametrize("text", LEAKS)
def test_no_mistake_shows_a_secret(tmp_path: Path, text: str) -> None:
    """Wherever a secret ends up in the file by mistake, the error that follows does not show it."""
    error = failure(tmp_path, text, {}, {"debug": "bad"})  # so that it fails where the text alone is no mistake
    assert SHORT_KEY[:12] not in dump(error)


def test_no_source_shows_a_secret(tmp_path: Path) -> None:
    """A secret in the environment or on the command line is not shown either, in whatever place it ended up."""
    variables = [key.variable for key in KEYS]
    errors = [
        failure(tmp_path, whole(""), {variable: f"{SHORT_KEY} "[:31] + "\n"}, {"port": "x"}) for variable in variables
    ]
    errors += [failure(tmp_path, whole(""), {}, {key.name: f"{SHORT_KEY}\n", "expHours": "x"}) for key in KEYS]
    errors.append(failure(tmp_path, whole(""), {}, {f"encKey:{KEY}": "x"}))
    errors.append(failure(tmp_path, whole(""), {"TXTOKEN_ENC_KEEY": KEY}))
    key_file = tmp_path / "file"
    key_file.write_text(SHORT_KEY)
    errors.append(failure(tmp_path, f"encKeyFile: {key_file}"))
    for error in errors:
        assert SHORT_KEY[:12] not in dump(error)


def test_a_configuration_does_not_show_its_secrets(tmp_path: Path) -> None:
    """What prints a configuration, or describes it, hides its keys; `reveal` alone gives them."""
    config = load_text(tmp_path, whole(f"requestKey: {OTHER_KEY}"))
    described = describe(config)
    shown = f"{config!r} {config} {config.keys.secret} {[config.keys.secret]} {orjson.dumps(described).decode()}"
    assert KEY not in shown
    assert OTHER_KEY not in shown
    assert (described["encKey"], described["requestKey"]) == (HIDDEN, HIDDEN)
    assert revealed(config.keys.secret) == KEY.encode()


def test_secrets_compare_by_value(tmp_path: Path) -> None:
    """Two secrets are equal when their bytes are, and a secret is equal to nothing else."""
    config, same = load_text(tmp_path, whole("")), load_text(tmp_path, whole(""))
    other = load_text(tmp_path, f"encKey: {OTHER_KEY}\n{REQUIRED['remote']}")
    assert config.keys.secret == same.keys.secret
    assert config.keys.secret != other.keys.secret
    assert config.keys.secret != KEY.encode()
    with pytest.raises(TypeError):
        hash(config.keys.secret)


# Anything at all

NAMES: Final = sorted(
    {part for key in KEYS for part in (key.name, key.name.partition(".")[0], key.name.rpartition(".")[2])}
)
LIKELY: Final = st.sampled_from(
    [
        KEY,
        REMOTE,
        "true",
        "false",
        "5s",
        "1KiB",
        "127.0.0.1",
        "/a",
        "a,b",
        '{"a":1}',
        '{"401":"pass"}',
        "10.0.0.0/8",
        "https://a.example",
        "claims",
        "json",
        "/dev/null",
        "1e3",
    ]
)
SCALARS: Final = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=40)
    | LIKELY
    | st.dates()
    | st.binary(max_size=9)
)
TREES: Final = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(NAMES) | SCALARS, inner, max_size=4),
    max_leaves=12,
)
FILES: Final = st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=9), TREES, max_size=8)


def told_to_programs(error: ConfigError) -> ConfigError:
    """Look at an error as `--output json` does."""
    assert error.problems
    orjson.dumps([[problem.key, problem.where, problem.text] for problem in error.problems])
    return error


def outcome(content: bytes, environ: Mapping[str, str], overrides: Mapping[str, str]) -> Config | ConfigError:
    """Load, and look at what came out as a program would."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "cfg.yml"
        file.write_bytes(content)
        try:
            config = load(str(file), environ, overrides)
        except ConfigError as error:
            return told_to_programs(error)
        json.loads(orjson.dumps(describe(config)))
        HmacKey(revealed(config.keys.secret))
        HmacKey(revealed(config.remote.request_key))
        Proxies(config.trusted_proxies)
        Failures(config.login.status_map, passes_bodies=config.login.pass_remote_errors)
        return config


@given(text=st.text(max_size=200) | st.text("{}[]:,-?&*!|>'\"%@#~ \n\tab<=", max_size=60))
@example(text="!!int : x")
@example(text="? - a\n: x")
@example(text="\ufeff\ufeff: 1")
def test_any_text_is_a_configuration_or_an_error(text: str) -> None:
    """Whatever stands in the file, loading ends in a configuration or in a ConfigError that programs can write."""
    assert isinstance(outcome(text.encode("utf-8", "surrogatepass"), {}, {}), Config | ConfigError)
    outcome(whole(f"requestTokenData: {text}").encode("utf-8", "surrogatepass"), {}, {})


@given(content=st.binary(max_size=60))
def test_any_bytes_are_a_configuration_or_an_error(content: bytes) -> None:
    """The same for bytes that are no text."""
    assert isinstance(outcome(content, {}, {}), Config | ConfigError)


@given(tree=FILES)
def test_any_tree_is_a_configuration_or_an_error(tree: dict[str, Any]) -> None:
    """The same for values of every kind under names that are known and names that are not."""
    written = yaml.safe_dump({"encKey": KEY, "remote": REMOTE, **tree}, allow_unicode=True)
    result = outcome(written.encode("utf-8", "surrogatepass"), {}, {})
    if not set(tree).issubset(key.name.partition(".")[0] for key in KEYS) and not any("." in name for name in tree):
        assert isinstance(result, ConfigError)


TEXTS: Final = st.text(st.characters(exclude_categories=(), exclude_characters="\0"), max_size=40) | LIKELY


@given(
    environ=st.dictionaries(st.sampled_from([key.variable for key in KEYS]) | TEXTS.map("TXTOKEN_{}".format), TEXTS),
    overrides=st.dictionaries(st.sampled_from([key.name for key in KEYS]) | TEXTS, TEXTS),
)
def test_any_environment_is_a_configuration_or_an_error(environ: dict[str, str], overrides: dict[str, str]) -> None:
    """The same for variables and overrides, bytes that are no text included."""
    result = outcome(whole("").encode(), environ, overrides)
    if isinstance(result, Config) and "port" in overrides:
        assert result.process.port == int(overrides["port"])
