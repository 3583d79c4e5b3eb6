"""Whether receivers will believe mail from a domain: SPF, DKIM, DMARC, MX."""
