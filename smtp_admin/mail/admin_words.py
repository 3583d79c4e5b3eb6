"""What mails to admins say, by type and key: in the languages of pages, not those of shipped mails.

Their templates are the same in all languages. A text that a catalogue does not have is in English,
it alone.
"""

from collections.abc import Mapping

from smtp_admin.translation import gettext

ADMIN_WORDS: Mapping[str, Mapping[str, str]] = {
    "alert": {
        "needs": gettext("This needs your attention:"),
        "has_ended": gettext("This alert has ended:"),
        "ended": gettext("Alert ended"),
        "critical": gettext("Critical"),
        "warning": gettext("Warning"),
        "since": gettext("Since"),
        "until": gettext("Until"),
        "all": gettext("All alerts"),
        "for_filters": gettext("For filters"),
    },
    "weekly_summary": {
        "whose": gettext("Partner"),
        "sent": gettext("Sent"),
        "failed": gettext("Failed sends"),
        "dead": gettext("Dead letters"),
        "bounced": gettext("Bounced"),
        "complained": gettext("Marked as spam"),
        "waiting": gettext("Waiting now"),
        "together": gettext("Total"),
        "needs": gettext("This needs your attention:"),
        "nothing": gettext("Nothing needs attention."),
        "overview": gettext("Overview"),
    },
}
