"""What came of telling somebody about an alert, as sentences for the page and the commands.

The table of notices keeps a few words for each channel. Those that come often are whole sentences
here; the others, which name numbers or an error, follow the name of their channel.
"""

from collections.abc import Mapping

from smtp_admin.read_back import read_back
from smtp_admin.translation import gettext, joined

#: What a notice of a mail says where there is nobody to write to.
NOBODY = "no recipients configured"
#: What stands between several outcomes of one notice.
BETWEEN = "; "
#: By channel and outcome: when it opened, and when it ended.
_SENTENCES: Mapping[tuple[str, str], tuple[str, str]] = {
    ("signal", "sent"): (
        gettext("Sent to the app as a signal."),
        gettext("Its end was sent to the app as a signal."),
    ),
    ("webhook", "delivered"): (
        gettext("Sent to the webhook."),
        gettext("Its end was sent to the webhook."),
    ),
    ("signal", "muted"): (
        gettext("Not sent to the app as a signal, because the alert was muted."),
        gettext("Its end was not sent to the app as a signal, because the alert was muted."),
    ),
    ("webhook", "muted"): (
        gettext("Not sent to the webhook, because the alert was muted."),
        gettext("Its end was not sent to the webhook, because the alert was muted."),
    ),
    ("mail", NOBODY): (
        gettext("Not mailed: no recipients are set up. Set SMTP_ADMIN_ALERT_EMAILS."),
        "",  # it was said when it opened
    ),
}
#: Otherwise: by channel, when it opened, ended, or was told again.
_BEGINNINGS: Mapping[str, Mapping[str, str]] = {
    "signal": {
        "opened": gettext("By signal: %(outcome)s."),
        "ended": gettext("Its end, by signal: %(outcome)s."),
    },
    "webhook": {
        "opened": gettext("By webhook: %(outcome)s."),
        "ended": gettext("Its end, by webhook: %(outcome)s."),
    },
    "mail": {
        "opened": gettext("By mail: %(outcome)s."),
        "ended": gettext("Its end, by mail: %(outcome)s."),
        "again": gettext("By mail, once more: %(outcome)s."),
    },
}


def sentence_of(channel: str, event: str, outcome: str) -> str:
    """What came of one notice; empty where it is not worth a sentence of its own.

    Args:
        event: ``opened``, ``ended`` or ``again``.
    """
    whole = _SENTENCES.get((channel, outcome))
    if whole is not None:
        return whole[event == "ended"]
    beginning = _BEGINNINGS[channel].get(event, _BEGINNINGS[channel]["opened"])
    parts = outcome.rstrip(".").split(BETWEEN)
    return gettext(beginning, outcome=joined(map(read_back, parts), BETWEEN))
