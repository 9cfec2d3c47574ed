"""The schema of the configuration beside what reads it. The judge of schemas is jsonschema; it sees the file as editors do."""

from __future__ import annotations

import json
import re
from typing import Any, Final

import jsonschema
import orjson
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.configuring import EXAMPLE_FILE, KEY
from tests.test_config import ROWS, uncommented
from txtoken.cli.exit_codes import OK
from txtoken.cli.main import main
from txtoken.config import http_names, values
from txtoken.config.schema import schema
from txtoken.config.table import KEYS, SECTIONS, Key
from txtoken.config.values import Kind, Wrong, scalar

FILE: Final = EXAMPLE_FILE.parent / "docs" / "config.schema.json"
SCHEMA: Final = json.loads(orjson.dumps(schema()))
VALIDATOR: Final = jsonschema.Draft202012Validator(SCHEMA)

# YAML 1.2's core schema (§10.3.2): what editors make of a text without quotes.
CORE: Final = (
    (r"null|Null|NULL|~|", lambda text: None),
    (r"true|True|TRUE|false|False|FALSE", lambda text: text.lower() == "true"),
    (r"[-+]?[0-9]+", int),
    (r"0o[0-7]+", lambda text: int(text, 0)),
    (r"0x[0-9a-fA-F]+", lambda text: int(text, 0)),
    (r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", float),
    (r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", lambda text: float(text.replace(".", ""))),
)


def seen(node: yaml.Node | None) -> Any:
    """Return the value that an editor sees in a piece of YAML."""
    if node is None:
        return None
    if isinstance(node, yaml.MappingNode):
        return {key.value: seen(value) for key, value in node.value}
    if isinstance(node, yaml.SequenceNode):
        return [seen(item) for item in node.value]
    assert isinstance(node, yaml.ScalarNode)
    if node.style is None:
        for pattern, read in CORE:
            if re.fullmatch(pattern, node.value):
                return read(node.value)
    return node.value


def compose(text: str) -> yaml.Node | None:
    """Read YAML as the configuration's reader does."""
    node: yaml.Node | None = yaml.compose(text, Loader=yaml.SafeLoader)
    return node


def takes(kind: Kind[Any], node: yaml.Node) -> bool:
    """Whether a converter takes a value."""
    try:
        kind(node)
    except Wrong:
        return False
    return True


def property_of(key: Key) -> Any:
    """Return what the schema says of one key."""
    place = SCHEMA
    for part in key.name.split("."):
        place = place["properties"][part]
    return place


def test_it_is_a_schema() -> None:
    """It follows the draft that it names, and needs nothing from elsewhere."""
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == jsonschema.Draft202012Validator.META_SCHEMA["$schema"]


def test_the_file_is_what_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    """The schema that lies beside the sources is that of these sources: `txtoken schema > docs/config.schema.json`."""
    assert main(["schema"]) == OK
    assert capfd.readouterr().out == FILE.read_text()


def test_the_example_names_it() -> None:
    """Who opens the example in an editor has it completed and checked, and nothing in it is found wrong."""
    text = EXAMPLE_FILE.read_text()
    named = re.match(r"# yaml-language-server: \$schema=(.*)\n", text)
    assert named is not None
    assert EXAMPLE_FILE.parent / named[1] == FILE
    VALIDATOR.validate(seen(compose(text)))
    VALIDATOR.validate(seen(compose(uncommented(text))))


def test_meanings_are_those_of_the_example() -> None:
    """A key and a section are explained in the schema as in the example: above it, or behind it within a section."""
    above, section, said = "", "", {}
    for line in EXAMPLE_FILE.read_text().splitlines():
        bare = line.removeprefix("# ")
        if match := re.match(r"([a-zA-Z]+):(?: |$)", bare):
            section = match[1]
            said[section] = above.strip()
        elif match := re.match(r"  ([a-zA-Z]+): .*? +# (.*)", bare):
            said[f"{section}.{match[1]}"] = match[2]
        above = f"{above} {bare}" if line.startswith("# ") else ""
    assert said == SECTIONS | {key.name: key.meaning for key in KEYS}


def test_every_key_is_in_it() -> None:
    """It holds the keys of the table with what is said of them, and closes every section."""
    properties = SCHEMA["properties"]
    sections = {key.name.partition(".")[0] for key in KEYS if "." in key.name}
    assert {*properties} == {key.name.partition(".")[0] for key in KEYS}
    for place in (SCHEMA, *(properties[name] for name in sections)):
        assert place["additionalProperties"] is False
    names = [name for name in properties if name not in sections]
    names += [f"{name}.{inner}" for name in sections for inner in properties[name]["properties"]]
    assert sorted(names) == sorted(key.name for key in KEYS)
    assert {key.name for key in KEYS if property_of(key).get("writeOnly")} == {"encKey", "requestKey"}


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.name)
def test_default_is_one(key: Key) -> None:
    """What is named as the default means the same as leaving the key out."""
    said = property_of(key)
    assert ("default" in said) == (key.default is not None)
    if "default" in said:
        node = compose(json.dumps(said["default"]))
        assert node is not None
        assert key.read(node) == key.default


@pytest.mark.parametrize(
    "text",
    [
        *(row[1] for row in ROWS),
        "limits.bodyBytes: 4096",
        "limits: {bodyBytes: }\nverify.aud: a, b",
        "encKey: 01234567890123456789012345678901\nrequestKey: 0.1234567890123456789012345678901",
        "debug: tRUE\nreload: Off",
        "expHours: .5\ntimeouts: {head: 007}",
        "expHours: 12h\nrequestTokenSeconds: 5m\nlimits: {headBytes: 64k, bodyBytes: 1MB, replyBytes: 1Mi, tokenBytes: 4096B}",
    ],
)
def test_good_files_are_good(text: str) -> None:
    """What the service takes the schema takes, however it is written."""
    VALIDATOR.validate(seen(compose(text)))


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("prot: 1", ""),
        ("limits: {bodybytes: 1}", "limits"),
        ("limits.bodybytes: 1", ""),
        ("limits.bodyBytes: 0", "limits.bodyBytes"),
        ("- port", ""),
        ("limits: 5", "limits"),
        ("port: 65536", "port"),
        ("port: 80.5", "port"),
        ("port: http", "port"),
        ("port: [80]", "port"),
        ("debug: yes", "debug"),
        ("encKey: short", "encKey"),
        (f"encKey: {'long' * 1025}", "encKey"),
        ("successStatus: 404", "successStatus"),
        ("successStatus: [200, 302]", "successStatus.1"),
        ("successWhen: [a]", "successWhen"),
        ("successWhen: success", "successWhen"),
        ("remoteProxy: socks5://h:1080", "remoteProxy"),
        ("remoteProxy: true", "remoteProxy"),
        ("remote: http+unix:/run/s", "remote"),
        ("forwardHeaders: ['*']", "forwardHeaders.0"),
        ("forwardHeaders: [X-Tenant-*]", "forwardHeaders.0"),
        ("encKey: {}", "encKey"),
        ("remote: login.internal/login", "remote"),
        ("remote: http://h/#top", "remote"),
        ("expHours: 0", "expHours"),
        ("expHours: 24 hours", "expHours"),
        ("requestTokenSeconds: 5 minutes", "requestTokenSeconds"),
        ("limits: {bodyBytes: 1 megabyte}", "limits.bodyBytes"),
        ("getTokenRoute: getToken", "getTokenRoute"),
        ("checkTokenRoute: /livez", "checkTokenRoute"),
        ("listen: []", "listen"),
        ("listen: ['::1', \"::1\"]", "listen"),
        ("listen: [example.com]", "listen.0"),
        ("workers: 0", "workers"),
        ("workers: many", "workers"),
        ("reload: true", "reload"),
        ("reload: 0", "reload"),
        ("timeouts: {head: 5 hours}", "timeouts.head"),
        ("forwardHeaders: [a b]", "forwardHeaders.0"),
        ("forwardHeaders: [~]", "forwardHeaders.0"),
        ("log: {level: loud}", "log.level"),
        ("statusMap: grand", "statusMap"),
        ("statusMap: {4x: 400}", "statusMap"),
        ("statusMap: {4xx: 200}", "statusMap.4xx"),
        ("trustedProxies: [10.0.0.0/a]", "trustedProxies.0"),
        ("cors: {origins: [https://a.example/]}", "cors.origins.0"),
    ],
)
def test_bad_files_are_bad(text: str, key: str) -> None:
    """What an editor should mark it marks, at the place that is wrong."""
    errors = list(VALIDATOR.iter_errors(seen(compose(text))))
    assert [".".join(map(str, error.absolute_path)) for error in errors] == [key]


WORDS: Final = (
    *(
        "true",
        "FALSE",
        "tRuE",
        "yes",
        "off",
        "OFF",
        "auto",
        "~",
        "null",
        "Null",
        "''",
        ".inf",
        "-.INF",
        ".NaN",
        "=",
        "<<",
    ),
    *("0", "-0", "00", "010", "0o17", "0x1F", "1_000", "1:30", ".5", "5.", "1e3", "1.5e+3", "-1", "+1", "2018-01-02"),
    *(
        "5s",
        "500 ms",
        "1m",
        "64KiB",
        "1 MiB",
        "1MB",
        "64k",
        "1Mi",
        "12h",
        "info",
        "json",
        "claims",
        "original",
        "localhost",
        "'::1'",
        "fe80::1%eth0",
    ),
    *(
        "127.0.0.1",
        "a, b,,c",
        "2xx",
        "200",
        "299",
        "201, 202",
        "7d",
        "24h",
        "env",
        "http://u:p@h:3128/",
        "http+unix://%2Frun%2Fs/login",
        '{"/a":null}',
        "{/a: null, /b/0: [1]}",
        "X-A",
        "/a/b",
        "/livez",
        "http://h/",
        "HTTPS://[::1]:80/?a=b",
        KEY,
        "1" * 32,
        "0." + "1" * 31,
    ),
    *("1e" + "9" * 40, "{}", "{a: [1]}", "[]", "'[1]'", "!!str 1", "!mine x"),
    *(
        "{4xx: 400, '401': pass, invalid: '502'}",
        '{"timeout":504}',
        "10.0.0.0/8",
        "10.0.0.0/255.0.0.0",
        "'fd00::/8'",
        "unix",
    ),
    *("gateway", "https://a.example", "http://[::1]:3000", "chrome-extension://abc_d", "*"),
)


def assert_taken_by_both(key: Key, text: str) -> None:
    """Assert that the schema takes a piece of YAML for a key, if the key's converter does."""
    try:
        node = compose(text)
    except yaml.YAMLError:
        return
    if node is not None and (node.tag == values.NULL_TAG or takes(key.read, node)):
        jsonschema.Draft202012Validator(property_of(key)).validate(seen(node))


@pytest.mark.parametrize("key", [key for key in KEYS if not key.items], ids=lambda key: key.name)
def test_words_that_a_key_takes_its_schema_takes(key: Key) -> None:
    """No editor marks a value that the service would take: words that YAML reads as something else, and bounds."""
    said = property_of(key)
    bounds = [str(said[name] + step) for name in ("minimum", "maximum") if name in said for step in (-1, 0, 1)]
    for word in (*WORDS, *bounds):
        for text in (word, json.dumps(word), f"[{word}]", f"[{json.dumps(word)}, {word}]"):
            assert_taken_by_both(key, text)


PATTERNS: Final = {
    place["pattern"]: key
    for key in KEYS
    for place in (key.read.schema, key.read.schema.get("items", {}))
    if "pattern" in place
}


@pytest.mark.parametrize("pattern", PATTERNS)
@settings(max_examples=50)
@given(data=st.data())
def test_texts_that_a_key_takes_its_schema_takes(pattern: str, data: st.DataObject) -> None:
    """No editor marks a value that the service would take: texts that look like what is wanted."""
    text = data.draw(st.from_regex(re.compile(pattern, re.ASCII), fullmatch=True))
    assert_taken_by_both(PATTERNS[pattern], text)
    assert_taken_by_both(PATTERNS[pattern], f"[{json.dumps(text)}, {text}]")


LINES: Final = st.text(st.characters(exclude_characters="\n"))  # Python's `$` overlooks a last line end, editors do not


@pytest.mark.parametrize(
    ("kind", "written_values"),
    [
        (values.whole_number(0, 65535), st.integers(-2, 70_000)),
        (values.read_workers, st.integers(-2, 300)),
        (values.size(10, 1000), st.integers(-2, 1100)),
        (values.duration(0.5, 20), st.decimals(-1, 30, places=3)),
        (values.read_period, st.decimals(-1, 100_000, places=3) | st.booleans()),
        (values.read_hours, st.decimals(-1, 900_000, places=3)),
        (values.read_flag, st.booleans() | st.text("truefalsTRUEFALS", max_size=5) | st.integers()),
        (values.choice("original", "claims"), st.text() | st.sampled_from(["original", "claims"]) | st.booleans()),
        (http_names.read_route, LINES | LINES.map("/{}".format) | st.sampled_from(["/livez", "/readyz", "/a"])),
    ],
)  # fmt: skip # a kind a line
@given(data=st.data())
def test_what_the_schema_takes_a_simple_kind_takes(
    kind: Kind[Any], written_values: st.SearchStrategy[object], data: st.DataObject
) -> None:
    """Of numbers, flags, words and paths the schema says all there is to say."""
    value = data.draw(written_values)
    node = scalar(value) if isinstance(value, str) else compose(str(value).lower())
    assert node is not None
    judged = value if isinstance(value, str | bool) else seen(node)
    assert jsonschema.Draft202012Validator(kind.schema).is_valid(judged) == takes(kind, node)
