[Match]
Name=eth0

[Network]
{% for address in config_get("user.asrbox.addresses", "")|split:"," %}{% if ":" in address %}{% else %}Address={{ address }}
{% endif %}{% endfor %}Gateway={{ config_get("user.asrbox.gateway", "") }}
LinkLocalAddressing=no
IPv6AcceptRA=no
{% for address in config_get("user.asrbox.addresses", "")|split:"," %}{% if ":" in address %}
[Address]
Address={{ address }}
DuplicateAddressDetection=none
{% endif %}{% endfor %}