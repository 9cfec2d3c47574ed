"""Parses bytes into complete requests, with every limit and rejection of contract §4. Knows no sockets, no clock, no routes.

httptools (llhttp) parses the grammar, but reports no offsets, which exact counts need. So it gets the bytes in pieces that end
where a message may end: a body's length is known, and a head or a chunked body ends only with an empty line. Hence every message
boundary is the end of a piece.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto
from typing import Final

from txtoken.errors import ProtocolError
from txtoken.http1.grammar import METHOD_BYTES, PROXY_V2, Grammar
from txtoken.http1.head_rules import REQUEST_LINE_BYTES_MAX, check_head_size
from txtoken.http1.heads import KNOWN_HEAD_BYTES_MAX, KnownHead, KnownHeads
from txtoken.http1.messages import Head, Request
from txtoken.settings import Limits

EMPTY_LINE: Final = b"\r\n\r\n"
CHUNKED_PART_BYTES: Final = 4 * 1024  # of a chunked body that are parsed at once: 700 of the smallest chunks, 0.2 ms
FIELD_BYTES: Final = 150  # the cost of a header field beside its text: two objects and a dictionary entry


class Stage(Enum):
    """The part of a message in which the bytes so far end. It decides which deadline applies."""

    IDLE = auto()
    HEAD = auto()
    BODY = auto()


class PartialHead:
    """An incomplete head: its text so far, and how many bytes of it httptools has parsed."""

    __slots__ = ("fed", "text")

    def __init__(self, text: bytes) -> None:
        self.text = bytearray(text)
        self.fed = 0


class RequestParser:
    """Parses one client's bytes. Feed bytes as they arrive, then call `next_request` until it returns None.

    After a `ProtocolError`, and after a request with `keep_alive` False, do not ask for more.
    Call `close` at the end: only that frees the httptools parser at once.
    """

    __slots__ = (
        "_body",
        "_data",
        "_grammar",
        "_head",
        "_held",
        "_known",
        "_known_heads",
        "_limits",
        "_missing",
        "_part",
        "_position",
        "_tail",
        "_waits_for_body",
        "_weight",
        "leaves_body",
    )

    def __init__(
        self, limits: Limits, known_heads: KnownHeads, waits_for_body: Callable[[Head], bool] | None = None
    ) -> None:
        self._limits = limits
        self._known_heads = known_heads
        self._known: KnownHead | None = None  # the last head, if it is likely to repeat
        self._waits_for_body = waits_for_body  # None: always wait for bodies
        self._grammar: Grammar | None = None  # made when there is something to parse
        self._data = b""  # the fed bytes; the unconsumed part starts at _position
        self._position = 0
        self._held: bytearray | None = None  # bytes fed after these
        self._tail = b""  # the last consumed bytes, if they may contain the beginning of an empty line
        self._part: PartialHead | None = None
        self._weight = 0  # of the last parsed head, in bytes
        self._head: Head | None = None  # complete, while its body is read
        self._missing = 0  # missing bytes of a body of known length
        self._body: bytearray | None = None  # grows: small pieces take no more memory than a large one
        self.leaves_body = False  # the last request was returned before its body: nothing more may be parsed

    @property
    def stage(self) -> Stage:
        """The part of a message in which the consumed bytes end."""
        if self._head is not None:
            return Stage.BODY
        if self._part is not None or (self._grammar is not None and self._grammar.is_in_head):
            return Stage.HEAD
        return Stage.IDLE

    @property
    def is_at_rest(self) -> bool:
        """Whether nothing follows the last request: no byte waits, and no part of another request was seen."""
        return self._head is None and not (self._data or self._tail) and self._part is None

    @property
    def has_more(self) -> bool:
        """Whether there are unparsed bytes."""
        return len(self._data) > 0  # empty as soon as the last byte was consumed

    @property
    def head_weight(self) -> int:
        """How many bytes the last request's head takes. 0 if it is shared."""
        return self._weight

    @property
    def held_bytes(self) -> int:
        """How many bytes are kept that are not a complete request."""
        held = len(self._data)
        if self._head is not None:
            held += self._weight
        if self._held is not None:
            held += len(self._held)
        part = self._part
        if part is not None:
            held += len(part.text) + part.fed
            if self._grammar is not None:
                held += FIELD_BYTES * self._grammar.field_count
        if self._body is not None:
            held += len(self._body)
        return held

    @property
    def expected(self) -> KnownHead | None:
        """The most likely head of the next request, if no byte of it was fed.

        Then its `read` can parse the next bytes in place of `feed`.
        """
        return self._known if self.is_at_rest else None

    @property
    def expects_continue(self) -> bool:
        """Whether the client waits for `100 Continue` before it sends the body (RFC 9110 §10.1.1)."""
        return self._head is not None and self._head.expects_continue and not self._body

    def rest(self) -> None:
        """Free everything that only helps a client with another request soon. Call it between two requests."""
        self._known = None
        self._part_from_grammar()

    def close(self) -> None:
        """Free everything. The parser cannot be used any more."""
        self.rest()
        self._data = b""
        self._position = self._missing = self._weight = 0
        self._held = self._part = self._body = self._head = None
        self._tail = b""

    def feed(self, data: bytes) -> Request | None:
        """Feed bytes as they arrive, and return the next complete request, or None for "not yet".

        Raises:
            ProtocolError: the bytes are not a request that we serve. Requests before them were returned already.
        """
        self.hold(data)
        return self.next_request()

    def hold(self, data: bytes) -> None:
        """Keep bytes as they arrive, for a later call."""
        if not self._data:
            self._data = data
        elif self._held is None:
            self._held = bytearray(data)
        else:
            self._held += data

    def next_request(self) -> Request | None:
        """Return the next complete request of the bytes already fed, or None for "not yet". Raises as `feed`.

        Each call parses a part of a long chunked body; then `has_more` is true, and the caller has to call again.
        """
        data = self._data
        part_end = -1  # the end of the part of a chunked body for this call
        while data:
            start = self._position
            if self._missing:
                stop = min(start + self._missing, len(data))
                take = self._take_body
            elif self._head is None:
                stop = self._piece_end(data, start, len(data))
                take = self._take_head
            else:
                if part_end < 0:
                    part_end = min(start + CHUNKED_PART_BYTES, len(data))
                stop = self._piece_end(data, start, part_end)
                take = self._take_chunked
            self._position = stop
            request = take(data if stop - start == len(data) else data[start:stop])
            if stop == len(data):
                held, self._held = self._held, None
                self._data = data = b"" if held is None else bytes(held)
                self._position = 0
            if request is not None:
                return request
            if stop == part_end:
                break
        head = self._head
        if head is not None and self._waits_for_body is not None and not self._waits_for_body(head):
            return self._leave_body(head)
        return None

    def _leave_body(self, head: Head) -> Request:
        """Return a request at the end of its head."""
        self.leaves_body = True
        self._head = self._body = None
        self._missing = 0
        return Request(head, b"")

    def _piece_end(self, data: bytes, start: int, end: int) -> int:
        """Find where a message may end: after the next empty line before `end`, else at `end`."""
        tail = self._tail
        if tail:
            at = (tail + data[start : min(start + 3, end)]).find(EMPTY_LINE)
            if at >= 0:
                self._tail = b""
                return start + at + 4 - len(tail)
        at = data.find(EMPTY_LINE, start, end)
        if at >= 0:
            self._tail = b""
            return at + 4
        self._tail = (tail + data[max(start, end - 3) : end])[-3:]
        return end

    # Heads

    def _take_head(self, piece: bytes) -> Request | None:
        is_whole = not self._tail
        part = self._part
        if part is None:
            if is_whole and (head := self._known_meaning(piece)) is not None:
                if self._grammar is not None:
                    self._grammar.needs_body = False  # it has not seen this head
                self._weight = 0
                return self._begin_body(head)
            text = unfed = piece.lstrip(b"\r\n")  # empty lines before a request are ignored (RFC 9112 §2.2)
            if not text:
                return None
            if self._grammar is None:
                self._grammar = Grammar(self._limits)
            self._grammar.begin()
            if not is_whole:
                self._part = part = PartialHead(text)
                self._take_part(part, piece)
                return None
        else:
            part.text += piece
            if not is_whole:
                self._take_part(part, piece)
                return None
            text = bytes(part.text)
            unfed = text[part.fed :]
        grammar = self._grammar
        assert grammar is not None
        head = grammar.read_head(unfed, text)
        self._part = None
        self._weight = len(text) + FIELD_BYTES * grammar.field_count
        if len(text) <= KNOWN_HEAD_BYTES_MAX and 0 <= head.content_length <= self._limits.body_bytes:
            # A head of this size exceeds no limit.
            unchecked_bytes = min(self._limits.head_bytes, REQUEST_LINE_BYTES_MAX)
            self._known = self._known_heads.learn(text, head, unchecked_bytes)
        return self._begin_body(head)

    def _take_part(self, part: PartialHead, piece: bytes) -> None:
        """Read a part of a head. httptools gets it line by line: it joins split lines, and would copy everything each time."""
        text, fed = part.text, part.fed
        if len(text) < len(PROXY_V2) and PROXY_V2.startswith(text):
            return
        stop = len(text) - len(piece) + piece.rfind(b"\n") + 1 if b"\n" in piece else 0
        if stop <= fed and fed < METHOD_BYTES:
            stop = min(len(text), METHOD_BYTES)
        if stop > fed:
            unfed = bytes(text[fed:stop])
            part.fed = stop
            assert self._grammar is not None
            self._grammar.read_part(unfed, bytes(text[:METHOD_BYTES]))
        check_head_size(text, self._limits.head_bytes)

    def _known_meaning(self, piece: bytes) -> Head | None:
        """Return the meaning of a whole head, if it is known, here or on another connection."""
        known = self._known
        if known is not None and piece == known.text:
            return known.head
        found = self._known_heads.find(piece)
        if found is not None:
            self._known = found
            return found.head
        return known.with_another_token(piece) if known is not None else None

    # Bodies

    def _begin_body(self, head: Head) -> Request | None:
        length = head.content_length
        if length == 0:
            return Request(head, b"")
        self._head = head
        if length > self._limits.body_bytes:
            if self._waits_for_body is not None and not self._waits_for_body(head):
                return self._leave_body(head)
            raise ProtocolError(413, "body_too_large", "the request body is too large")
        if length > 0:
            self._missing = length
        else:
            assert self._grammar is not None
            self._body = self._grammar.begin_chunks(self._limits.body_bytes)
        return None

    def _take_body(self, piece: bytes) -> Request | None:
        self._missing -= len(piece)
        body = self._body
        if body is not None:
            body += piece
        elif self._missing:
            self._body = bytearray(piece)
        if self._missing:
            return None
        if body is not None:
            piece = bytes(body)
            self._body = None
        head = self._head
        assert head is not None
        if self._grammar is not None and self._grammar.needs_body:
            self._grammar.read(piece)  # cannot fail: this brings httptools to the end of the message
        self._head = None
        return Request(head, piece)

    def _take_chunked(self, piece: bytes) -> Request | None:
        head = self._head
        assert head is not None
        grammar, content = self._grammar, self._body
        assert grammar is not None
        assert content is not None
        try:
            if not grammar.read_chunks(piece):
                return None
        except ProtocolError:
            if self._waits_for_body is None or self._waits_for_body(head):
                raise
            return self._leave_body(head)
        self._body = self._head = None
        if grammar.is_worn:
            self._part_from_grammar()
        return Request(head, bytes(content))

    def _part_from_grammar(self) -> None:
        if self._grammar is not None:
            self._grammar.close()
            self._grammar = None
