"""The sinks that the suite runs with: one or more for each driver."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

from tests.transports.contract import (
    folder_sink,
    mailgun_sink,
    memory_sink,
    sendmail_sink,
    ses_sink,
    smtp_sink,
)
from tests.transports.contract.sink import Ability, Sink

OpenSink = Callable[[Path], AbstractContextManager[Sink]]

SINKS: Mapping[str, tuple[OpenSink, frozenset[Ability]]] = {
    "smtp-pipelined": (smtp_sink.sink(pipelining=True), smtp_sink.SMTPSink.can),
    "smtp-one-by-one": (smtp_sink.sink(pipelining=False), smtp_sink.SMTPSink.can),
    "mailgun": (mailgun_sink.sink, mailgun_sink.MailgunSink.can),
    "ses": (ses_sink.sink(by_role=False), ses_sink.SESSink.can),
    "ses-role": (ses_sink.sink(by_role=True), ses_sink.SESSink.can),
    "sendmail": (sendmail_sink.sink, sendmail_sink.SendmailSink.can),
    "memory": (memory_sink.sink, memory_sink.MemorySink.can),
    "folder": (folder_sink.sink, folder_sink.FolderSink.can),
}
