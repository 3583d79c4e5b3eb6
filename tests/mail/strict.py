"""A strict little parser: what a header and a body mean by the RFCs, and an error for all else.

Independent of the standard library, which repairs what is wrong, and of what it checks.
"""

import base64
import binascii
import re
from dataclasses import dataclass, field

_FIELD = re.compile(r"([!-9;-~]+):(?: (.*)|((?:\r\n[ \t]).*)|)", re.DOTALL)
_ENCODED = re.compile(r"=\?utf-8\?([qb])\?([!->@-~]+)\?=")
_ATOM = re.compile(r"[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~]+")
_QUOTED = re.compile(r'"((?:[ !#-\[\]-~]|\\[ -~])*)"')
_ADDRESS = re.compile(rf"({_ATOM.pattern}(?:\.{_ATOM.pattern})*)@([a-z0-9-]+(?:\.[a-z0-9-]+)+)")
_PARAMETER = re.compile(
    r"; ([a-z]+)(?:\*([0-9]+))?(\*)?=(?:(\"(?:[^\"\\]|\\.)*\")|([A-Za-z0-9!#$&+.^_`{|}~%'-]+))"
)
#: In an encoded word within a phrase (RFC 2047 section 5, rule 3).
_IN_PHRASE = re.compile(r"[A-Za-z0-9!*+\-/=_]+")


class Wrong(Exception):
    """What was read is not allowed."""


def demand(true: object, what: str) -> None:
    if not true:
        raise Wrong(what)


@dataclass
class Part:
    """A message or a part of one."""

    headers: list[tuple[str, str]]
    kind: str = "text/plain"
    parameters: dict[str, str] = field(default_factory=dict)
    data: bytes = b""
    parts: list["Part"] = field(default_factory=list)

    def __getitem__(self, name: str) -> str:
        (value,) = [value for key, value in self.headers if key.lower() == name.lower()]
        return value

    @property
    def text(self) -> str:
        return self.data.decode("utf-8")

    @property
    def leaves(self) -> list["Part"]:
        return [leaf for part in self.parts for leaf in part.leaves] if self.parts else [self]

    @property
    def filename(self) -> str:
        return parameters(self["Content-Disposition"])[1].get("filename", "")


def read(raw: bytes) -> Part:
    """A whole message."""
    demand(raw.isascii(), "a letter beyond ASCII")
    demand(not re.search(rb"(?<!\r)\n|\r(?!\n)|\0", raw), "a lone line end")
    demand(max(map(len, raw.split(b"\r\n"))) <= 998, "a line over 998")
    message = _part(raw)
    demand(message["MIME-Version"] == "1.0", "not MIME")
    return message


def _part(raw: bytes) -> Part:
    head, blank, body = raw.partition(b"\r\n\r\n")
    demand(blank, "no end of the headers")
    part = Part(headers(head.decode()))
    part.kind, part.parameters = parameters(part["Content-Type"])
    if part.kind.startswith("multipart/"):
        part.parts = [_part(one) for one in _between(body, part.parameters["boundary"].encode())]
    else:
        part.data = _decoded(part["Content-Transfer-Encoding"], body)
    return part


def headers(head: str) -> list[tuple[str, str]]:
    """Names and values, unfolded (RFC 5322 section 2.2.3)."""
    found: list[str] = []
    for line in head.split("\r\n"):
        demand(line.strip(" \t"), "a line of spaces")
        if line[0] in " \t":
            demand(found, "a continuation of nothing")
            found[-1] += f"\r\n{line}"
        else:
            found.append(line)
    pairs = []
    for one in found:
        match = _FIELD.fullmatch(one)
        demand(match, f"not a header: {one!r}")
        assert match is not None
        demand(not one.endswith(" "), "a space at the end")
        for line in one.split("\r\n"):
            demand("=?" not in line or len(line) <= 76, "a line with an encoded word over 76")
        value = one[len(match[1]) + 1 :].replace("\r\n", "")
        pairs.append((match[1], value.removeprefix(" ")))
    return pairs


def _word(token: str) -> str:
    """An encoded word by itself."""
    match = _ENCODED.fullmatch(token)
    demand(match, f"not an encoded word: {token!r}")
    assert match is not None
    demand(len(token) <= 75, "an encoded word over 75")
    kind, text = match.groups()
    if kind == "b":
        data = base64.b64decode(text, validate=True)
    else:
        demand(not re.search("=(?![0-9A-F]{2})", text), f"a bad escape: {text!r}")
        data = binascii.a2b_qp(text.replace("_", " "))
    demand(data, "an empty encoded word")
    return data.decode("utf-8")


def text(value: str) -> str:
    """An unstructured value, decoded (RFC 2047 section 6.2)."""
    result, before, gap = "", False, ""
    for token in re.findall(r"[ \t]+|[^ \t]+", value):
        if token[0] in " \t":
            gap = token
            continue
        encoded = "=?" in token
        result += "" if encoded and before else gap
        result += _word(token) if encoded else token
        before, gap = encoded, ""
    return result + gap


def addresses(value: str) -> list[tuple[str, str]]:
    """A list of mailboxes: names and addresses (RFC 5322 section 3.4), nothing obsolete."""
    found: list[tuple[str, str]] = []
    rest = value
    while True:
        shown, rest = _phrase(rest)
        bare = _ADDRESS.match(rest)
        if rest.startswith("<"):
            inner = re.match(rf"<{_ADDRESS.pattern}>", rest)
            demand(inner, f"not an address: {rest!r}")
            assert inner is not None
            found.append((shown, inner[0][1:-1]))
            rest = rest[inner.end() :]
        else:
            demand(bare and not shown, f"not an address: {rest!r}")
            assert bare is not None
            found.append(("", bare[0]))
            rest = rest[bare.end() :]
        if not rest:
            return found
        demand(rest.startswith(", "), f"after an address: {rest!r}")
        rest = rest[2:]


def _phrase(value: str) -> tuple[str, str]:
    """The words in front of an address, and what follows them."""
    words: list[tuple[str, bool]] = []
    while not value.startswith("<"):
        if match := _QUOTED.match(value):
            demand("=?" not in match[1], "an encoded word in quotes")
            words.append((re.sub(r"\\(.)", r"\1", match[1]), False))
        elif (match := _ATOM.match(value)) and not value[match.end() :].startswith(("@", ".")):
            encoded = match[0].startswith("=?")
            demand(encoded or "=?" not in match[0], "an encoded word within a word")
            if encoded:
                demand(_IN_PHRASE.fullmatch(match[0].split("?")[3]) or "?b?" in match[0], "a sign")
            words.append((_word(match[0]) if encoded else match[0], encoded))
        else:
            break
        value = value[match.end() :]
        demand(value.startswith(" "), f"no space after a word: {value!r}")
        value = value.lstrip(" ")
    shown = ""
    for number, (word, encoded) in enumerate(words):
        shown += "" if number == 0 or (encoded and words[number - 1][1]) else " "
        shown += word
    return shown, value


def parameters(value: str) -> tuple[str, dict[str, str]]:
    """A value with parameters, long ones put together (RFC 2231)."""
    main, sign, rest = value.partition(";")
    rest = sign + rest
    pieces: dict[str, list[tuple[str, bool]]] = {}
    while rest:
        match = _PARAMETER.match(rest)
        demand(match, f"not a parameter: {rest!r}")
        assert match is not None
        name, number, extended, in_quotes, token = match.groups()
        known = pieces.setdefault(name, [])
        demand(int(number or 0) == len(known), "out of order")
        plain = re.sub(r"\\(.)", r"\1", in_quotes[1:-1]) if in_quotes else token
        known.append((plain, bool(extended)))
        rest = rest[match.end() :]
    found = {}
    for name, values in pieces.items():
        if values[0][1]:
            demand(values[0][0].startswith("utf-8''"), "another charset")
            values[0] = (values[0][0].removeprefix("utf-8''"), True)
        found[name] = "".join(_percent(one) if extended else one for one, extended in values)
    return main, found


def _percent(value: str) -> str:
    demand(not re.search("%(?![0-9A-F]{2})", value), "a bad escape")
    data = re.sub(rb"%(..)", lambda hit: bytes.fromhex(hit[1].decode()), value.encode())
    return data.decode("utf-8")


def _between(body: bytes, boundary: bytes) -> list[bytes]:
    """The parts (RFC 2046 section 5.1.1), with nothing before, after or beside them."""
    lines = [line for line in body.split(b"\r\n") if line.startswith(b"--" + boundary)]
    demand(lines[-1:] == [b"--" + boundary + b"--"], "no last boundary")
    demand(set(lines[:-1]) == {b"--" + boundary}, "another line like a boundary")
    start, end = b"--" + boundary + b"\r\n", b"\r\n--" + boundary + b"--\r\n"
    demand(body.startswith(start) and body.endswith(end), "something around the parts")
    return body[len(start) : -len(end)].split(b"\r\n" + start)


def _decoded(encoding: str, body: bytes) -> bytes:
    if encoding == "7bit":
        demand(not re.search(rb"[^\t\r\n -~]", body), "a sign that is not text")
        return body
    lines = body.split(b"\r\n")
    demand(max(map(len, lines)) <= 76, "an encoded line over 76")
    if encoding == "base64":
        return base64.b64decode(b"".join(lines), validate=True)
    demand(encoding == "quoted-printable", f"an encoding {encoding!r}")
    demand(not any(line.endswith((b" ", b"\t")) for line in lines), "a space at the end")
    body = body.replace(b"=\r\n", b"")
    demand(not re.search(rb"=(?![0-9A-F]{2})|[^\t\r\n -~]", body), "a bad escape")
    return re.sub(rb"=(..)", lambda hit: bytes.fromhex(hit[1].decode()), body)
