"""Plain objects: text that goes into a token as it stands. The judges are orjson, the standard library and `read_object`."""

from __future__ import annotations

import itertools
import json
import re
from random import Random
from typing import Any, Final

import orjson
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.costs import cost_s
from tests.service.tokens.json_values import JSON_OBJECTS
from txtoken.service.tokens.compact import UnusableJson, is_plain_object, names_by_text, read_members, read_object
from txtoken.service.tokens.plain import IS_COMPILED, plain_members, plain_value

LEVELS: Final = 200
STRING: Final = re.compile(rb'"(?:[^"\\]|\\.)*"')


def is_plain(text: bytes, levels: int = LEVELS) -> bool:
    """Whether a text goes into a token as it stands."""
    return plain_members(text, levels, {}) is not None


def is_object(text: bytes) -> bool:
    """Whether orjson reads an object from a text."""
    try:
        return isinstance(orjson.loads(text), dict)
    except orjson.JSONDecodeError:
        return False


def levels_of(value: object) -> int:
    """Count the levels of a value."""
    if isinstance(value, dict):
        return 1 + max(map(levels_of, value.values()), default=0)
    return 1 + max(map(levels_of, value), default=0) if isinstance(value, list) else 0


def check_plain(text: bytes) -> None:
    """Check what must hold of every text that is taken for plain."""
    assert is_object(text)
    value, written = read_object(text, LEVELS)
    assert json.loads(text) == json.loads(written)
    assert levels_of(value) <= LEVELS
    pairs: list[tuple[str, Any]] = json.JSONDecoder(object_pairs_hook=list).decode(text.decode())
    assert len({name for name, _ in pairs}) == len(pairs)
    assert not re.search(rb"\s|[0-9][eE]", STRING.sub(b"", text))
    begins = plain_members(text, LEVELS, names_by_text(value))
    assert begins is not None
    assert {name.decode(): orjson.loads(plain_value(text, begin)) for name, begin in begins.items()} == value


# What is plain


@given(JSON_OBJECTS)
def test_what_most_services_write_is_plain(value: dict[str, Any]) -> None:
    """An object that orjson writes is plain, unless it has control characters or exponents."""
    try:
        text = orjson.dumps(value)
    except orjson.JSONEncodeError:
        assume(condition=False)  # integers of more than 64 bits
    exponents = re.search(rb"[0-9]e", STRING.sub(b"", text)) is not None
    names = b"".join(orjson.dumps(name) for name in value)
    assert is_plain(text) is not (exponents or b"\\u" in text or b"\\" in names)
    if is_plain(text):
        check_plain(text)


@pytest.mark.parametrize(
    "text",
    [
        *(b"{}", b'{"":""}', b'{"a":{}}', b'{"a":[]}', b'{"a":[[],{}]}', b'{"a":true,"b":false,"c":null}'),
        *(b'{"a":0}', b'{"a":-0}', b'{"a":-0.0}', b'{"a":10.50}', b'{"a":-12345678901234567890.123}'),
        *(b'{"a":%b}' % (b"9" * 300), b'{"a":-%b}' % (b"9" * 299), b'{"a":0.%b}' % (b"9" * 298)),
        b'{"a":"\\"\\\\\\b\\f\\n\\r\\t"}',
        b'{"a":"\\\\"}',
        b'{"a":"\\\\\\"{[","b":1}',
        '{"ä":"ÿ߿ࠀ퟿\ue000￿𐀀\U0010ffff"}'.encode(),
        b'{"a":"\x7f"}',
        b'{"a":{"b":1,"b":2}}',
        b'{"true":"false, null: 1e999"}',
    ],
)
def test_plain(text: bytes) -> None:
    """Each of these goes into a token as it stands, byte for byte."""
    assert is_plain(text)
    check_plain(text)


@pytest.mark.parametrize(
    "text",
    [
        *(b' {"a":1}', b'{"a":1} ', b'{ "a":1}', b'{"a" :1}', b'{"a": 1}', b'{"a":1 }', b'{"a":1, "b":2}', b"{ }"),
        *(
            b'{"a":[ ]}',
            b'{"a":[ 1]}',
            b'{"a":[1 ]}',
            b'{"a":[1 ,2]}',
            b'{"a":[1, 2]}',
            b'{"a":{ }}',
            b'{"a":{"b":1 }}',
        ),
        *(b'{"a":{"b" :1}}', b'{"a":{ "b":1}}', b'{"a":{"b":1, "c":2}}', b'{"a":1\n}', b'{"a":\t1}', b'{"a":1}\r\n'),
        *(b'{"a":"\\/"}', b'{"a":"\\u0041"}', b'{"a":"\\u00e9"}', b'{"a":"\\ud83d\\ude00"}', b'{"a":{"\\/":1}}'),
        *(b'{"a":1e2}', b'{"a":1E2}', b'{"a":1.5e-3}', b'{"a":0e0}', b'{"a":[1e2]}'),
        *(b'{"a":%b}' % (b"9" * 301), b'{"a":-%b}' % (b"9" * 300), b'{"a":0.%b}' % (b"9" * 299)),
        *(b'{"a":1,"a":1}', b'{"a":1,"b":2,"a":3}', b'{"":1,"":2}', b'{"\\n":1}', b'{"a\\"":1}'),
    ],
)
def test_not_plain(text: bytes) -> None:
    """These are objects, but not plain: they are read and written."""
    assert is_object(text)
    assert not is_plain(text)


@pytest.mark.parametrize(
    "text",
    [
        *(
            b"",
            b"{",
            b"}",
            b'{"',
            b'{"a',
            b'{"a"',
            b'{"a":',
            b'{"a":1',
            b'{"a":1,',
            b'{"a":1,"',
            b"[]",
            b"1",
            b'""',
            b"null",
        ),
        *(
            b'{"a":1}}',
            b'{"a":1}x',
            b'{"a":1}\0',
            b'{"a":1,}',
            b'{,"a":1}',
            b'{"a"}',
            b'{"a":}',
            b'{"a":1:2}',
            b"{a:1}",
            b"{1:2}",
            b'["a":1}',
            b'x"a":1}',
        ),
        *(
            b'{"a","b":1}',
            b'{"a":1;"b":2}',
            b'{"a":1]',
            b'{"a":[1}',
            b'{"a":[1}}',
            b'{"a":{"b":1]}',
            b'{"a":[1,]}',
            b'{"a":[,1]}',
        ),
        *(
            b'{"a":{"b":1,}}',
            b'{"a":{,}}',
            b'{"a":{"b"}}',
            b'{"a":{"b":}}',
            b'{"a":{1:2}}',
            b'{"a":{b:2}}',
            b'{"a":[1;2]}',
        ),
        *(
            b'{"a":{"b";1}}',
            b'{"a":{"b":1;"c":2}}',
            b'{"a":[',
            b'{"a":{',
            b'{"a":[1',
            b'{"a":[1,',
            b'{"a":{"b":1',
            b'{"a":{"b"',
        ),
        *(
            b'{"a":"\n"}',
            b'{"a":"\x1f"}',
            b'{"a":"\0"}',
            b'{"\0":1}',
            b'{"a":"\\x"}',
            b'{"a":"\\',
            b'{"a":"\\"',
            b'{"a":"\\"}',
        ),
        *(
            b'{"a":"\\ud800"}',
            b'{"a":"\\u12"}',
            b'{"a":"\\\n"}',
            b'{"a":"x',
            b'{"a":{"x',
            b'{"a":["x',
            b'{"a":"\\\x80"}',
        ),
        *(
            b"\xef\xbb\xbf{}",
            b'\xef\xbb\xbf{"a":1}',
            '{"a":1}'.encode("utf-16"),
            b'{"a":1e999}',
            b'{"a":NaN}',
            b'{"a":-Infinity}',
        ),
        *(
            b'{"a":tru}',
            b'{"a":t',
            b'{"a":True}',
            b'{"a":nul}',
            b'{"a":nulL}',
            b'{"a":falsE}',
            b'{"a":falsx}',
            b'{"a":truee}',
        ),
    ],
)
def test_no_object_is_not_plain(text: bytes) -> None:
    """What is no JSON object is never taken for one."""
    assert not is_object(text)
    assert not is_plain(text)


@pytest.mark.parametrize("frame", [b'{"a":%b}', b'{"a":[%b]}', b'{"a":{"b":%b}}', b'{"a":[1,%b,2]}'])
def test_all_short_values(frame: bytes) -> None:
    """Of all values of up to four characters, those are plain that orjson reads, and that have no exponent and no blank."""
    for length in range(5):
        for characters in itertools.product(b"-0159.eE+,[]{} ", repeat=length):
            text = frame % bytes(characters)
            assert is_plain(text) is (is_object(text) and not set(characters) & set(b"eE "))


@pytest.mark.parametrize("frame", [b"{%b", b'{"a":{%b}', b'{"a":1,%b', b'{"a":{"":1,%b}'])
def test_all_short_structures(frame: bytes) -> None:
    """Of all ways to go on from a bracket or a comma with up to five characters, those are plain that orjson reads."""
    for length in range(6):
        for characters in itertools.product(b'{}[],:"1x', repeat=length):
            text = frame % bytes(characters)
            assert is_plain(text) is is_object(text)


@pytest.mark.parametrize("word", [b"true", b"false", b"null"])
def test_words(word: bytes) -> None:
    """No other word is taken for `true`, `false` or `null`."""
    for at in range(len(word)):
        for byte in range(256):
            wrong = word[:at] + bytes([byte]) + word[at + 1 :]
            text = b'{"a":[%b]}' % wrong
            assert is_plain(text) is is_object(text)


def test_characters() -> None:
    """In strings and names, those bytes are plain that are UTF-8, and no control characters."""
    edges: tuple[int, ...] = (
        0,
        0x1F,
        0x20,
        0x22,
        0x41,
        0x7F,
        0x80,
        0x8F,
        0x90,
        0x9F,
        0xA0,
        0xBF,
        0xC0,
        0xC1,
        0xC2,
        0xDF,
        0xE0,
        0xE1,
    )
    edges = (*edges, 0xEC, 0xED, 0xEE, 0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xFF)
    later = (0x22, 0x41, 0x7F, 0x80, 0xBF, 0xC0)
    for characters in itertools.product(edges, edges, later, later):
        string = bytes(characters)
        text = b'{"a":"%b"}' % string
        assert is_plain(text) is is_object(text)
        if len(set(string)) > 3:
            continue
        for length in range(1, 4):
            for text in (
                b'{"%b":1}' % string[:length],
                b'{"a":{"%b":1}}' % string[:length],
                b'{"a":"%b' % string[:length],
            ):
                assert is_plain(text) is is_object(text)


@pytest.mark.parametrize("levels", [2, 3, 199, 200, 201, 250])
@pytest.mark.parametrize("pieces", [(b"[", b"]"), (b'{"a":', b"}"), (b'{"a":[', b"]}"), (b'[{"a":', b"}]")])
def test_levels(levels: int, pieces: tuple[bytes, bytes]) -> None:
    """The deepest level counts, an empty one too, and no bracket in a string."""
    opening, closing = pieces
    height = opening.count(b"[") + opening.count(b"{")
    for inner, more in ((b"1", 0), (b"[]", 1), (b"{}", 1), (b'"[[{{"', 0)):
        text = b'{"b":"[{","a":%b%b%b}' % (opening * (levels // height), inner, closing * (levels // height))
        depth = 1 + levels // height * height + more
        assert levels_of(orjson.loads(text)) == depth
        assert is_plain(text, depth + 1)
        assert is_plain(text, depth)
        assert not is_plain(text, depth - 1)


@given(JSON_OBJECTS, st.randoms(use_true_random=False))
def test_garbled(value: dict[str, Any], random: Random) -> None:
    """Whatever happens to a text on its way, what is taken for plain is JSON, and says the same to every reader."""
    text = bytearray(json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode())
    for _ in range(random.randint(0, 3)):
        at = random.randrange(len(text) + 1)
        match random.randrange(4):
            case 0:
                text[at:at] = bytes([random.choice(b'{}[],:"\\ \n\0-+.eE019tfnu\xff\xc3\xa9\xed\xa0\x80')])
            case 1:
                del text[at : at + random.randint(1, 3)]
            case 2:
                other = random.randrange(len(text) + 1)
                text[at:at] = text[min(at, other) : max(at, other)]
            case _:
                text[at : at + 1] = bytes([random.randrange(256)])
    if not is_plain(bytes(text)):
        return
    assert is_object(bytes(text))
    read, written = read_object(bytes(text), LEVELS)
    assert json.loads(bytes(text)) == json.loads(written)
    begins = plain_members(bytes(text), LEVELS, names_by_text(read))
    assert begins is not None
    assert {name.decode(): orjson.loads(plain_value(bytes(text), begin)) for name, begin in begins.items()} == read


# Members


@pytest.mark.parametrize("count", [1, 2, 3, 5, 10, 100, 3000])
def test_duplicates_among_many_members(count: int) -> None:
    """A duplicate is found wherever the two stand, and names that merely look alike to the first test are none."""
    random = Random(count)
    for _ in range(200 if count < 100 else 3):
        names = list({random.randbytes(random.randrange(1, 4)).hex() for _ in range(count)})
        assert is_plain(b"{%b}" % b",".join(b'"%b":1' % name.encode() for name in names))
        names.insert(random.randrange(len(names) + 1), random.choice(names))
        text = b"{%b}" % b",".join(b'"%b":{"%b":[1]}' % (name.encode(), name.encode()) for name in names)
        assert not is_plain(text)
        assert plain_members(text, LEVELS, names_by_text(names)) is None


def test_names_alone() -> None:
    """Of the members, those asked for are returned, and no others: also among so many that a set of them was made."""
    text = b"{%b}" % b",".join(b'"%d":%d' % (number, number) for number in range(500))
    begins = plain_members(text, LEVELS, names_by_text(["0", "7", "499", "500", "x"]))
    assert begins is not None
    assert {name: plain_value(text, begin) for name, begin in begins.items()} == {
        b"0": b"0",
        b"7": b"7",
        b"499": b"499",
    }


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the sources do what the compiled build does."""
    if not IS_COMPILED:
        monkeypatch.setattr("txtoken.service.tokens.compact.IS_COMPILED", True)


@pytest.mark.usefixtures("compiled")
@given(st.sampled_from([None, 1]), JSON_OBJECTS, st.sets(st.sampled_from(["a", "é", "b"])))
def test_members(indent: int | None, value: dict[str, Any], names: set[str]) -> None:
    """The members that are asked for are there, however the object is written."""
    value = {**value, "b": 1.50, "a": [1, {"x": None}], "é": "x"}
    text = json.dumps(value, indent=indent, ensure_ascii=False).encode()
    members, written = read_members(text, LEVELS, names_by_text(names))
    assert {name: members[name] for name in names} == {name: value[name] for name in names}
    assert json.loads(written) == value
    assert read_members(text, LEVELS, None) == read_object(text, LEVELS)


@pytest.mark.usefixtures("compiled")
def test_a_plain_text_stays_as_it_is() -> None:
    """Numbers keep their spelling, and below the top level duplicates may stand: contract §3.1."""
    text = b'{"a":1.50,"b":{"c":1,"c":-0},"d":12345678901234567890123.0}'
    assert read_members(text, LEVELS, names_by_text("b")) == ({"b": {"c": 0}}, text)
    with pytest.raises(UnusableJson):
        read_members(text[:-1], LEVELS, {})
    assert read_members(b'{"a":1,"a":2}', LEVELS, {})[1] == b'{"a":2}'
    with pytest.raises(UnusableJson):
        read_members(b'{"a":[[1]]}', 2, {})


@pytest.mark.skipif(IS_COMPILED, reason="of the sources")
def test_bytecode_is_not_used() -> None:
    """As bytecode it would take longer than what it saves."""
    assert read_members(b'{"a":1.50}', LEVELS, {})[1] == b'{"a":1.5}'
    assert not is_plain_object(b"{}")


@pytest.mark.usefixtures("compiled")
def test_objects_for_certain() -> None:
    """A body that is passed on unparsed is an object; of anything else this is not certain."""
    assert is_plain_object(b'{"user":"ada","a":[{}]}')
    for text in (b'{"user":"ada"', b"[]", b"1", b"", b'{"a":1}x', b'{"a":%b1%b}' % (b"[" * LEVELS, b"]" * LEVELS)):
        assert not is_plain_object(text)


# What it costs

SIZE: Final = 128 * 1024


@pytest.mark.skipif(not IS_COMPILED, reason="of the compiled build")
@pytest.mark.parametrize(
    "text",
    [
        b'{"a":[%b1]}' % (b"[]," * (SIZE // 3)),
        b'{"a":[%b1]}' % (b'{"k":{}},' * (SIZE // 9)),
        b'{"a":[%b1]}' % (b'"",' * (SIZE // 3)),
        b'{"a":[%b1]}' % ((b"[" * 198 + b"]" * 198 + b",") * (SIZE // 400)),
        b'{"a":[%b1]}' % ((b'{"":' * 198 + b"1" + b"}" * 198 + b",") * (SIZE // 1000)),
        b'{"a":%b' % (b"[" * SIZE),
        b'{"a":"%b"}' % (b"\\\\" * (SIZE // 2)),
        b'{"a":"%b"}' % (b'\\"' * (SIZE // 2)),
        b'{"a":"%b' % (b"x" * SIZE),
        b'{"a":"%b"}' % ("é" * (SIZE // 2)).encode(),
        b'{"a":%b}' % (b"9" * SIZE),
        b'{"a":[%b1]}' % (b"1," * (SIZE // 2)),
        b'{"a":[%b1]}' % (b"null," * (SIZE // 5)),
        b"{%b}" % b",".join(b'"%x":1' % number for number in range(SIZE // 8)),
        b'{%b"a":1}' % (b'"a":1,' * (SIZE // 6)),
        b'{%b"a":1}' % b"".join(b'"%b":1,' % (b"\\\\" * 300) for _ in range(SIZE // 600)),
    ],
)
def test_each_byte_is_read_once(text: bytes) -> None:
    """Whatever stands in 128 KiB, it takes 3 ms of CPU at most, and mostly 0.2: no text is read again and again."""
    assert cost_s(lambda: plain_members(text, LEVELS, {}), enough_s=0.003) < 0.006  # with room for a busy machine
