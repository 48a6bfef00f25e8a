"""The image set that the ISO brought: images.json, typed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from appliances.base.agent.datafile import Bytes, Model, load
from appliances.base.agent.errors import AgentError


class Image(Model):
    appliance: str
    instance: str
    fingerprint: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    size: Bytes


class ImageList(Model):
    squashfs: str
    sha256: str
    size: Bytes
    images: list[Image]

    def of(self, appliance: str) -> Image:
        """The image of an appliance; AgentError when the image set lacks it."""
        for image in self.images:
            if image.appliance == appliance:
                return image
        raise AgentError("the image set holds no image of it", appliance=appliance, step="image")


def load_images(path: Path) -> ImageList:
    """Read images.json. Raises AgentError with file and key when it is missing or wrong."""
    return load(ImageList, path)
