"""The engine of ``advtasks upscale`` for Python."""

from __future__ import annotations

from advtasks.inference.engine import ImageModel


class Upscaler(ImageModel):
    """Enlarges images: ``Upscaler.load("RUN")(image)``. See :class:`advtasks.inference.engine.ImageModel` for the kinds
    of images, options, threads and errors; every bundle and community model that enlarges can be loaded.

    Attributes:
        scale: output size over input size.
    """

    @property
    def scale(self) -> int:
        """Output size over input size."""
        return self.manifest.scale
