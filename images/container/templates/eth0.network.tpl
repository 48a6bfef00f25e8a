[Match]
Name=eth0

[Network]
{% for address in config_get("user.asrbox.addresses", "")|split:"," %}Address={{ address }}
{% endfor %}Gateway={{ config_get("user.asrbox.gateway", "") }}
LinkLocalAddressing=no
IPv6AcceptRA=no
