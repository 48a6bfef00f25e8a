"""Boot records, as far as they must stay the same when files are added to a medium."""

from __future__ import annotations

from builder.isofile import Contents
from builder.vendor.compare import records

REPORT = """\
El Torito boot img :   1  BIOS  y   none  0x0000  0x00      4         131
El Torito boot img :   2  UEFI  y   none  0x0000  0x00   3260       10926
System area options: 0x00000102
System area summary: MBR isohybrid cyl-align-on GPT
ISO image size/512 : 47628
MBR partition      :   2   0x00  0xef          164         3260
GPT partname local :   1  ISO9660
GPT partition GUID :   1  3230323331313144b231303231333230
GPT start and size :   1  64  43640
GPT partname local :   2  Gap1
GPT type GUID      :   2  a2a0d0ebe5b9334487c068b6b72699c7
"""


def test_kinds_stay_and_places_sizes_cylinders_and_gaps_do_not_count() -> None:
    assert records(Contents(REPORT)) == [
        "El Torito boot img: 1 BIOS y none 0x0000 0x00 4",
        "El Torito boot img: 2 UEFI y none 0x0000 0x00 3260",
        "System area options: 0x00000002",
        "System area summary: MBR isohybrid GPT",
        "MBR partition: 2 0x00 0xef",
        "GPT partname local: 1 ISO9660",
    ]
