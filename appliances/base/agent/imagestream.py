"""How the folder of an appliance becomes the stream of an unified image.

The builder makes the same stream to know the fingerprint, and the agent makes it to import the image: bytes decide. So
does the version of tar (GNU tar 1.34 and 1.35 write different headers for the same files): both take the base's own.
"""

ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}


def tar(folder: str) -> list[str]:
    """The command that writes the stream of `folder` ({metadata.yaml,rootfs/,templates/}) to standard output."""
    return [
        "tar",
        "-C",
        folder,
        "--sort=name",
        "--format=pax",
        "--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime",
        "--numeric-owner",
        "--xattrs",
        "--xattrs-include=security.capability",
        "--record-size=256K",  # bytes per write; the end is padded to it
        "-cf",
        "-",
        "metadata.yaml",
        "rootfs",
        "templates",
    ]
