"""What each code can come from, at which step and with which settings.

Settings, network, encryption, mail program: looked at after the server's own words.
"""

from smtp_admin.diagnosis.causes import Row

_TRIED_AGAIN = "Waiting mail is tried again by itself."
_READING = "110 143 993 995"
_OTHER_SERVICES = "21 22 53 80 443 3306 5432 6379 8080"

SETTINGS = (
    Row(
        "host_missing",
        "No mail server is entered.",
        "Enter the host name that your provider documents, often as “outgoing server (SMTP)”.",
        codes="missing_host",
    ),
    Row(
        "field_unusable",
        "A field, or a variable of the environment, holds what cannot be used.",
        "Correct the field that is marked. A variable is corrected where the app is started, and "
        "then the app is started again.",
        codes="invalid_input",
    ),
    Row(
        "reading_port",
        "This is the port of a server for reading mail (IMAP or POP3), not for sending.",
        "Use port 587 with STARTTLS, or 465 with SSL/TLS.",
        codes="destination_not_allowed not_smtp connection_refused timeout",
        ports=_READING,
        sure=True,
    ),
    Row(
        "other_service_port",
        "This is the port of another service, such as a web server.",
        "Use port 587 with STARTTLS, or 465 with SSL/TLS.",
        codes="destination_not_allowed not_smtp",
        ports=_OTHER_SERVICES,
        sure=True,
    ),
    Row(
        "reading_host",
        "This host is for reading mail (IMAP or POP3), not for sending.",
        "Look for the outgoing server (SMTP) of your provider: its name often begins with smtp.",
        codes="dns_failed connection_refused unreachable timeout connection_lost not_smtp",
        hosts=r"^(imap|pop3?)\d?\.",
    ),
    Row(
        "port_not_allowed",
        "This platform does not connect to {port}.",
        "Mail servers listen on 587, 465, 2525 or 25. If yours really uses another, the "
        "platform's operator can allow it (SMTP_ADMIN_ALLOWED_PORTS).",
        codes="destination_not_allowed",
        steps="validate",
        sure=True,
    ),
    Row(
        "address_not_allowed",
        "The host leads to an address that is not public, so this platform does not connect to it.",
        "Use the server's public name. For a server in your own network the platform's operator "
        "can allow that network (SMTP_ADMIN_ALLOWED_NETWORKS).",
        codes="destination_not_allowed",
    ),
    Row(
        "destination_changed",
        "The stored password was saved for another host, port, security or login, and only goes "
        "there.",
        "Enter the password again. If the server wants no login, leave the login empty.",
        codes="password_required",
    ),
    Row(
        "key_missing",
        "The stored password cannot be opened: the key it was encrypted with is missing.",
        "The platform's operator puts the key back into SMTP_ADMIN_SECRET_KEYS; “flask "
        "smtp-admin keys check” shows which passwords need it. Or enter the password again.",
        codes="unavailable",
    ),
    Row(
        "tested_too_often",
        "This platform limits how often one person may test.",
        "Wait as long as the message says.",
        codes="rate_limited",
        quiet=True,
        sure=True,
    ),
)

NETWORK = (
    Row(
        "short_host",
        "The host has no domain: such a name is only known inside one network.",
        "Enter the whole name, such as smtp.example.com.",
        codes="dns_failed",
        hosts=r"^[^.:]+$",
        sure=True,
    ),
    Row(
        "name_service_away",
        "The name service of this platform, or that of the domain, did not answer. Whether there "
        "is such a server is not known.",
        "Try again in a minute. If it goes on, the platform's operator must look at its DNS.",
        codes="dns_failed",
        message=r"looked up just now",
        sure=True,
    ),
    Row(
        "ses_region",
        "Amazon SES has no mail server for the region in this name.",
        "Use email-smtp.REGION.amazonaws.com with the region in which the domain is verified.",
        codes="dns_failed",
        providers="ses",
    ),
    Row(
        "host_misspelt",
        "There is no server with this name: it is misspelt, or not the one for sending.",
        "Compare it letter by letter with your provider's help page.",
        codes="dns_failed",
    ),
    Row(
        "name_service",
        "The name is new, or the name service of this platform does not answer properly.",
        "New names can take some hours. If others can look it up, the platform's operator must "
        "look at its DNS.",
        codes="dns_failed",
    ),
    Row(
        "name_service_slow",
        "The name service did not answer in time.",
        "Try again in a minute. If it goes on, the platform's operator must look at its DNS.",
        codes="timeout",
        steps="dns",
        sure=True,
    ),
    Row(
        "ssl_expected",
        "On port 465 the server waits for encryption before it says a word.",
        "Choose SSL/TLS as security. STARTTLS belongs to port 587.",
        codes="timeout connection_lost not_smtp",
        steps="greeting -",
        ports="465",
        security="tls none",
    ),
    Row(
        "starttls_expected",
        "On {port} the server begins without encryption, and SSL/TLS wants it at once.",
        "Choose STARTTLS as security, or port 465 with SSL/TLS.",
        codes="timeout connection_lost not_smtp tls_failed",
        steps="tls -",
        ports="25 587 2525 2587",
        security="ssl",
        sure=True,
    ),
    Row(
        "speaks_plain",
        "The server begins without encryption on {port}, and SSL/TLS wants it at once.",
        "Choose STARTTLS as security, or the port that your provider documents for SSL/TLS.",
        codes="tls_failed",
        message=r"at once on this port",
        sure=True,
    ),
    Row(
        "port_25_blocked",
        "Something on the way blocks port 25: most hosting providers and networks do.",
        "Use port 587 with STARTTLS or 465 with SSL/TLS. Port 25 is meant for mail between "
        "servers.",
        codes="timeout unreachable",
        steps="connect -",
        ports="25",
    ),
    Row(
        "port_2525_instead",
        "Something on the way blocks {port}; some hosting providers block all usual mail ports.",
        "Try port 2525 with STARTTLS: this provider listens there too, for that very reason.",
        codes="timeout connection_refused unreachable",
        steps="connect -",
        providers="sendgrid mailgun postmark sparkpost mailtrap",
        ports="25 465 587",
    ),
    Row(
        "port_2587_instead",
        "Something on the way blocks {port}; some hosting providers block all usual mail ports.",
        "Amazon SES also listens on 2587 (STARTTLS) and 2465 (SSL/TLS). The platform's operator "
        "must allow these ports first (SMTP_ADMIN_ALLOWED_PORTS).",
        codes="timeout connection_refused unreachable",
        steps="connect -",
        providers="ses",
        ports="25 465 587",
    ),
    Row(
        "nothing_listens",
        "The server is there, but nothing listens on {port}, or a firewall refuses it.",
        "Use the port that your provider documents: mostly 587 with STARTTLS or 465 with SSL/TLS.",
        codes="connection_refused",
    ),
    Row(
        "service_stopped",
        "The mail service on that server is not running at the moment.",
        f"Ask whoever runs it. {_TRIED_AGAIN}",
        codes="connection_refused",
    ),
    Row(
        "no_way",
        "No way leads from this platform to the server's address.",
        "Check the host. If it is right, the platform's operator looks at network and firewall; "
        "a server that only has an IPv6 address needs IPv6 there.",
        codes="unreachable",
    ),
    Row(
        "firewall",
        "A firewall on the way swallows what is sent to {port}, or the host is the wrong one.",
        "Try your provider's other ports, and ask the platform's hosting provider whether it "
        "blocks mail ports.",
        codes="timeout",
        steps="connect -",
    ),
    Row(
        "slow_greeting",
        "The server lets callers wait before its first word, against spam, or something in "
        "between swallowed it.",
        "If the port is one for SSL/TLS, such as 465, choose that as security. Otherwise try again "
        "in a few minutes.",
        codes="timeout",
        steps="greeting",
    ),
    Row(
        "server_slow",
        "The server, or a filter before it, is overloaded and takes too long to answer.",
        f"Try again in a few minutes. {_TRIED_AGAIN}",
        codes="timeout",
    ),
    Row(
        "refused_caller",
        "The server hung up before its first word: it may refuse this platform's address.",
        "Ask its operator whether it blocks the address, or try port 587.",
        codes="connection_lost",
        steps="connect greeting",
    ),
    Row(
        "hung_up_at_login",
        "The server hung up during the login, as some do with a wrong one or after many failures.",
        "Check login and password; if they are right, wait an hour before the next try.",
        codes="connection_lost",
        steps="auth",
    ),
    Row(
        "interrupted",
        "The connection broke: the server was restarted or overloaded, or a filter on the way "
        "cut it.",
        f"Try again in a few minutes. {_TRIED_AGAIN} If only certain mails break it, a filter "
        "dislikes what is in them.",
        codes="connection_lost",
    ),
    Row(
        "not_a_mail_server",
        "What answers there is not a mail server, or a firewall changes what it says.",
        "Check host and port: 587 with STARTTLS or 465 with SSL/TLS are usual.",
        codes="not_smtp",
    ),
)

ENCRYPTION = (
    Row(
        "port_25_plain",
        "Many servers offer no encryption on port 25.",
        "Use port 587 with STARTTLS.",
        codes="tls_not_offered",
        ports="25",
    ),
    Row(
        "no_starttls",
        "The server offers no STARTTLS on {port}.",
        "Try port 465 with SSL/TLS, or the port that your provider documents. For a server in "
        "your own network that has no encryption at all, choose No encryption.",
        codes="tls_not_offered",
    ),
    Row(
        "starttls_removed",
        "A firewall or virus scanner on the way removes the offer of encryption.",
        "Try port 465 with SSL/TLS, and tell whoever runs the network.",
        codes="tls_not_offered",
    ),
    Row(
        "slipped_in",
        "Something was put into the connection before the encryption began, which can be an "
        "attack on it.",
        "Nothing secret was sent. Try port 465 with SSL/TLS, and tell whoever runs the network.",
        codes="tls_failed",
        message=r"slipped into",
        sure=True,
    ),
    Row(
        "client_certificate_refused",
        "The server wants a client certificate, or another one than this sender's.",
        "Ask the server's operator for one, and enter it with its key.",
        codes="tls_failed",
        message=r"how we prove who we are",
        sure=True,
    ),
    Row(
        "client_certificate_unusable",
        "The client certificate of this sender and its key do not work together.",
        "Enter both again, as the server's operator gave them; the key has no passphrase.",
        codes="tls_failed",
        message=r"key does not belong|or its key cannot",
        sure=True,
    ),
    Row(
        "own_authority_unreadable",
        "The certificate authority that was entered for this sender cannot be read.",
        "Enter it again, from “-----BEGIN CERTIFICATE-----” to the end.",
        codes="tls_failed",
        message=r"authority of this sender",
        sure=True,
    ),
    Row(
        "authorities_unreadable",
        "The file of certificates that this platform trusts cannot be read.",
        "The platform's operator can mend the file that SMTP_ADMIN_CA_FILE names.",
        codes="tls_failed",
        message=r"this platform trusts cannot",
        sure=True,
    ),
    Row(
        "starttls_failed",
        "The server offered encryption but did not start it.",
        "That is a fault of the server. Try port 465 with SSL/TLS, and tell its operator.",
        codes="tls_failed",
        steps="starttls",
    ),
    Row(
        "old_encryption",
        "The server only knows encryption that is broken by now: older than TLS 1.2, or with "
        "weak keys.",
        "Its operator must bring it up to date. Ask your provider whether it has a newer host.",
        codes="tls_failed",
        message=r"unsupported.protocol|protocol.version|no.protocols|wrong.ssl.version|too.small|"
        r"too.weak",
        sure=True,
    ),
    Row(
        "no_common_encryption",
        "The server and this platform have no kind of encryption in common; it may be older than "
        "TLS 1.2.",
        "Check that port and security belong together; then ask the server's operator.",
        codes="tls_failed",
    ),
    Row(
        "certificate_expired",
        "The server's certificate has expired.",
        "Its operator must renew it. If it was renewed, the mail service still has to be "
        "restarted with the new one.",
        codes="certificate_error",
        message=r"has expired",
        sure=True,
    ),
    Row(
        "certificate_early",
        "The server's certificate is not valid yet: a clock is wrong.",
        "Check the clock of the mail server, and the one of this platform.",
        codes="certificate_error",
        message=r"not valid yet|not yet valid",
        sure=True,
    ),
    Row(
        "certificate_address",
        "Certificates are made out to names, and an IP address is entered as host.",
        "Enter the server's name instead of its address.",
        codes="certificate_error",
        message=r"another name|mismatch",
        hosts=r"^[\d.]+$|:",
        sure=True,
    ),
    Row(
        "certificate_name",
        "The certificate is for another name than the host that is entered: often that is an alias "
        "in your own domain for a provider's server.",
        "Use the host name that the provider documents. On web hosting that is the name of the "
        "server itself.",
        codes="certificate_error",
        message=r"another name|mismatch",
        sure=True,
    ),
    Row(
        "certificate_self_signed",
        "The certificate is self-signed, so nobody vouches for it.",
        "The server's operator installs one of a public authority, or the platform's operator "
        "adds yours (SMTP_ADMIN_CA_FILE).",
        codes="certificate_error",
        message=r"self-signed",
        sure=True,
    ),
    Row(
        "certificate_unknown",
        "The certificate's authority is unknown: a private one, or the server does not send its "
        "intermediate certificates.",
        "The server's operator installs the whole chain, or the platform's operator adds the "
        "private authority (SMTP_ADMIN_CA_FILE).",
        codes="certificate_error",
    ),
    Row(
        "inspected",
        "Something on the way opens encrypted connections and shows a certificate of its own.",
        "Ask whoever runs the network to leave connections to {host} alone.",
        codes="certificate_error",
    ),
)

PROGRAM = (
    Row(
        "mail_program_missing",
        "The program that hands mail to this machine's mail server is not there, or may not be "
        "run.",
        "The platform's operator installs a mail server, or sets SMTP_ADMIN_SENDMAIL to the "
        "program that there is. Or choose another way of sending.",
        codes="program_missing",
    ),
    Row(
        "mail_program_refuses",
        "The mail system of this machine lets only some of its users send, and this platform is "
        "none of them.",
        "The platform's operator allows it: with Postfix in authorized_submit_users, with msmtp "
        "in its login.",
        codes="program_refused",
    ),
    Row(
        "mail_program_setup",
        "The mail system of this machine is set up wrongly, or does not know the arguments in "
        "SMTP_ADMIN_SENDMAIL.",
        "The platform's operator corrects what the program names in its own words.",
        codes="program_failed",
        message=r"not set up properly",
        sure=True,
    ),
    Row(
        "mail_program_trouble",
        "The mail system of this machine has a full disk, no memory or no network, or is being "
        "restarted.",
        f"The platform's operator looks at its log. {_TRIED_AGAIN}",
        codes="program_failed",
    ),
)

SITUATIONS: tuple[Row, ...] = (*SETTINGS, *NETWORK, *ENCRYPTION, *PROGRAM)
