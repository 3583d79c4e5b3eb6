"""One mail or many from a stream: as a mail server pipes it, or as an mbox file keeps them."""

import re
from collections.abc import Iterator
from typing import BinaryIO

from smtp_admin.events.bounces.mime import MOST_BYTES

_LINE = 64 * 1024
#: “From mailer-daemon Sun Nov 29 10:00:00 2026”; a sentence that begins so has no such day.
_BEGINS = re.compile(rb"From \S+ +(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) ")


def mails_in(stream: BinaryIO) -> Iterator[bytes]:
    """Each mail of *stream*, of which only the beginning is kept where it is large.

    An mbox begins with a line “From …”, and so does each of its mails, after a blank line. A mail
    server's pipe begins with such a line too, and has one mail.
    """
    first = stream.readline(_LINE)
    several = first.startswith(b"From ")
    mail = bytearray() if several else bytearray(first)
    blank = cut = False
    while line := stream.readline(_LINE):
        # What a long line is cut into begins no line.
        whole, cut = not cut, not line.endswith(b"\n")
        if several and blank and whole and _BEGINS.match(line):
            if mail.strip():
                yield bytes(mail)
            mail.clear()
            continue
        blank = whole and not line.strip()
        if len(mail) < MOST_BYTES:
            # Lines that look like the next mail's first are kept with a mark before them.
            mail += line[1:] if several and whole and line.startswith(b">From ") else line
    if mail.strip():
        yield bytes(mail)
