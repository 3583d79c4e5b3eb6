"""How bad a returned mail is, by what the recipient's server said: the table of replies decides.

The number of a report is often ``5.0.0`` and says nothing. Then only the words after ``said:``
count, because what stands before them names hosts and addresses that may look like anything.
"""

import re

from smtp_admin.events.event import Bounce
from smtp_admin.events.severity import weighed

_SAID = re.compile(
    r"\b(?:said|responded with|replied|reason:|answered)\s*:?\s+(?=\W{0,2}[245][0-9]{2}\b)",
    re.IGNORECASE,
)
_IN_REPLY = re.compile(r"\(in reply to [^)]{0,60}\)?\s*$", re.IGNORECASE)
_CODE = re.compile(r"(?<![\w.])([245])\.([0-9]{1,3})\.([0-9]{1,3})(?![\w.])")
_REPLY = re.compile(r"(?<![\w.#-])([45][0-9]{2})(?=[ \-:;]|$)")
_ADDRESS = re.compile(r"<?[^\s<>@,;:()\[\]\"']{1,64}@[^\s<>@,;:()\[\]\"']{1,253}>?")
#: Host names look like words: “mx.mailspamprotection.com” is no opinion about spam.
_HOST = re.compile(r"\b(?:[a-z0-9_-]+\.){1,8}[a-z]{2,24}\b(?:\[[0-9a-f.:]*\])?", re.IGNORECASE)
_FULL = re.compile(
    r"quota|mail ?box (?:is |was )?(?:over|full|exceeds)|full mailbox|out of storage|"
    r"(?:maximum|allowed) (?:mailbox )?size|insufficient (?:disk )?(?:space|storage)|"
    r"storage (?:limit|space)|not enough space|disk (?:space )?full",
    re.IGNORECASE,
)
_GONE = re.compile(
    r"(?:user|account|mailbox|recipient|address|addressee|person)\b.{0,60}\b(?:unknown|"
    r"not (?:be )?found|does(?: not|n.t) (?:exist|have)|not exist|not listed|no longer|invalid|"
    r"unavailable|disabled|deactivated|discontinued|inactive|suspended|closed|not recogni[sz]ed|"
    r"not known|has left)|"
    r"(?:no|not|unknown|invalid|bad|non.?existent|unrouteable|undeliverable|inactive|disabled) "
    r"(?:\w+ ){0,2}(?:such )?(?:user|account|mailbox|recipient|address|person|username|addressee)|"
    r"no such (?:user|person|local|recipient|mailbox)|recipnotfound|recipientnotfound|"
    r"(?:host|domain)(?: name| or domain name)?\b.{0,40}\b(?:not found|unknown|does not exist)|"
    r"unrouteable (?:mail )?domain|null ?mx|does not accept (?:any )?(?:e-?mail|mail)|"
    r"couldn.t be found or is invalid|wasn.t found at",
    re.IGNORECASE,
)
_POLICY = re.compile(
    r"spam|blacklist|block ?list|black ?hole|\bblocked\b|\brbl\b|dnsbl|\bpolicy\b|virus|reputation|"
    r"unsolicited|malware|phish|spf|dkim|dmarc|content|attachment|too (?:large|big)|message size|"
    r"size limit|rate limit|receiving mail at a rate|too many|access denied|not authori[sz]ed|"
    r"relay(?:ing)? (?:access )?denied|greylist|suspicious|bulk mail|unauthenticated",
    re.IGNORECASE,
)
_OWN = re.compile(r"\b(?:sender|sending|your (?:account|server|ip|host|domain))\b", re.IGNORECASE)
_BARRED = re.compile(r"spam|block|reputation|policy", re.IGNORECASE)
_PASSING = re.compile(
    r"timed? ?out|connection refused|could not connect|couldn.t connect|no route|unreachable|"
    r"try again|retry (?:time|timeout)|too long|temporar|deferred|greylist|lost connection|"
    r"message expired|expired|hop count|too many hops|mail loop|loops? back|resources",
    re.IGNORECASE,
)
#: 5.1.x about the sender's own address, and 5.2.x, are not about who should have it.
_OF_SENDER = {"5.1.7", "5.1.8", "5.1.9"}
_NO_SUCH_PLACE = {"5.4.4", "5.4.310"}
_SAYS_NOTHING = {"5.0.0", "4.0.0", "5.5.0"}


def told(words: str) -> str:
    """What the recipient's server said, of all the words that a report has."""
    plain = " ".join(words.split())
    plain = re.sub(r"^(?:smtp|x-[\w-]+|lmtp|dns|unix)\s*;\s*", "", plain, flags=re.IGNORECASE)
    found = list(_SAID.finditer(plain))
    if found:
        plain = plain[found[-1].end() :]
    return _IN_REPLY.sub("", plain).strip(" '\"")[:1000]


def code_in(status: str, words: str) -> str:
    """The code that says most: of the words, else of the report; empty where there is none."""
    said = told(words)
    found = _CODE.search(said)
    # Of a mail that failed for good, the last passing reply is only its story.
    if found and found[0] not in _SAYS_NOTHING and status[:1] in ("", found[1]):
        return found[0]
    if status and status not in _SAYS_NOTHING:
        return status
    reply = _REPLY.search(said)
    return reply[1] if reply else (found[0] if found else status)


def bounce_of(status: str, words: str) -> Bounce:
    """How bad a failure is; empty where nothing tells.

    Args:
        status: the enhanced code of the report (RFC 3463), or empty.
        words: all that was said, of which only the server's own words count.
    """
    said = told(words)
    code = code_in(status, words)
    reply = _REPLY.search(said)
    # Names of hosts and addresses are no words of anybody.
    plain = _HOST.sub(" ", _ADDRESS.sub(" ", said))
    if code in {"5.2.2", "4.2.2"} or _FULL.search(plain):
        return "soft"
    if code.startswith("4.") or (reply and reply[1][0] == "4" and not code.startswith("5.")):
        return "soft"
    table = weighed("", _for_table(status, said))
    if table in {"hard", "policy"} and not _GONE.search(plain):
        # A number alone may mislead, and so may a word; what the table says of both counts.
        return "policy" if code in _OF_SENDER else table
    if _GONE.search(plain) and code not in _OF_SENDER:
        return "policy" if _is_only_policy(code, plain) else "hard"
    if code in _OF_SENDER or code.startswith(("5.7.", "5.6.", "5.5.")) or code == "5.3.4":
        return "policy"
    if _POLICY.search(plain):
        return "policy"
    if _PASSING.search(plain):
        return "soft"
    if code.startswith("5.1.") or code == "5.2.1" or code in _NO_SUCH_PLACE:
        return "hard"
    if code.startswith(("5.4.", "5.3.", "5.2.")):
        return "soft"
    return table


def _is_only_policy(code: str, plain: str) -> bool:
    """Whether words like “account … suspended” stand in a sentence about the sender."""
    return bool(_OWN.search(plain)) or (code.startswith("5.7.") and bool(_BARRED.search(plain)))


def _for_table(status: str, said: str) -> str:
    """The words with the report's number, where they have none of their own."""
    if not status or _CODE.search(said):
        return said
    reply = _REPLY.search(said)
    if reply:
        return f"{said[: reply.end()]} {status} {said[reply.end() :].strip(' -:;')}"
    return f"550 {status} {said}" if status.startswith("5") else f"450 {status} {said}"
