"""The container image's names, and the image itself where something here can build one."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from typing import Final

from scripts.releasing.address import Address
from scripts.releasing.checkout import Checkout
from scripts.releasing.refusal import Refusal
from scripts.releasing.version import ReleaseVersion

ENGINES: Final = ("docker", "podman", "buildah")  # as scripts/image tries them


def names(version: ReleaseVersion, address: Address | None) -> Sequence[str]:
    """Return all that the image is tagged as; without an address names of this machine."""
    image = "txtoken" if address is None else address.image
    return [f"{image}:{tag}" for tag in version.image_tags]


def engine() -> str | None:
    """Return what builds images here, if anything does."""
    for name in ENGINES:
        if shutil.which(name) and not subprocess.run([name, "info"], capture_output=True, check=False).returncode:  # noqa: S603
            return name
    return None


def build(checkout: Checkout, tags: Sequence[str]) -> None:
    """Build it with all its tags.

    Raises:
        Refusal: what is here cannot.
    """
    try:
        checkout.run("env", f"IMAGE={tags[0]}", "scripts/image", *(f"--tag={tag}" for tag in tags[1:]))
    except Refusal as refusal:
        hint = "Say --without-image to release without building it here; the workflow builds the published one."
        raise Refusal(*refusal.problems, hint) from None
