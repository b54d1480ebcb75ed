"""Generative networks: images made of noise, and the noise of images."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from kerasdl.data.dataset import Dataset, DataSpec
from kerasdl.data.passes import Batches
from kerasdl.errors import UsageError
from kerasdl.inference import latents
from kerasdl.inference.endpoint import Endpoint
from kerasdl.inference.predictor import Predictor
from kerasdl.report.blocks import Section
from kerasdl.tasks.generation import gallery
from kerasdl.tasks.generation.endpoints import endpoints, image_spec
from kerasdl.tasks.task import Task

if TYPE_CHECKING:
    import keras


@dataclasses.dataclass(frozen=True, kw_only=True)
class Generation(Task):
    """Generation of images like those of the data; the network owns its loss.

    Networks are subclasses of `kerasdl.GenerativeNetwork`.
    """

    # Draws of latents for each image by which the likelihood of a VAE is measured; 0 for none.
    likelihood_draws: int = 500
    # Test images whose likelihood is measured, the first ones; 0 for all.
    likelihood_images: int = 1000

    columns: ClassVar = {"nll": ("-log p(x)", ".2f"), "max_difference": ("max difference", ".1e")}
    needs_classes: ClassVar = False
    from_data: ClassVar = ("image_shape", "num_classes")

    def __post_init__(self):
        for name in ("likelihood_draws", "likelihood_images"):
            if getattr(self, name) < 0:
                raise UsageError(f"{name} is {getattr(self, name)}, but it has to be 0 or more.")

    def network_arguments(self, data: DataSpec) -> dict[str, Any]:
        """Return the size of the images and the number of classes.

        Raises:
            UsageError: when the examples are not images.
        """
        spec = image_spec(data)
        if spec is None:
            raise UsageError(
                "The data has no images to make others like them. Give --data digits, --data mnist, or a "
                "folder of images."
            )
        return {"image_shape": spec.shape, "num_classes": max(1, len(data.class_names))}

    # Training

    def loss(self, data: DataSpec) -> None:
        """Return None: the network has its loss in itself."""

    def metrics(self, data: DataSpec) -> None:
        """Return None: the network has its figures in itself."""

    def sampler(self, network: "keras.Model", data: DataSpec) -> Callable[[], np.ndarray] | None:
        """Return a function that makes a grid of images of the same noise; with a row for each class."""
        from kerasdl.network.generative import GenerativeNetwork

        return gallery.sampler(network, data) if isinstance(network, GenerativeNetwork) else None

    # Judging

    def evaluate_further(
        self, predictor: Predictor, batches: Batches, network: "keras.Model | None"
    ) -> dict[str, Any]:
        """Return the likelihood where the network has one; see `likelihood.figures`."""
        from kerasdl.network.generative import GenerativeNetwork
        from kerasdl.tasks.generation import likelihood

        tells = isinstance(network, GenerativeNetwork) and network.tells_likelihood
        if not tells or not self.likelihood_draws:
            return {}
        return likelihood.figures(network, batches, self.likelihood_draws, self.likelihood_images)

    def gallery(self, predictor: Predictor, data: Dataset) -> Mapping[str, np.ndarray]:
        """Return samples, reconstructions, ways between images and latents; see `gallery.make`."""
        return gallery.make(predictor, data)

    # Shipping

    def endpoints(
        self, network: "keras.Model | None", data: DataSpec, fitted: Mapping[str, Any]
    ) -> tuple[Endpoint, ...]:
        """Return the calls of the network: see `kerasdl.GenerativeNetwork.calls`."""
        return endpoints(network, data)

    # Showing

    def sections(
        self,
        figures: Mapping[str, Any],
        class_names: Sequence[str],
        mistakes: Mapping[str, np.ndarray] | None,
    ) -> Sequence[Section]:
        """Return the sections of a generative network; see `page.sections`."""
        from kerasdl.tasks.generation.page import sections

        return sections(figures, class_names, mistakes or {})

    def try_command(self, path: str, endpoints: Sequence[str], example: str) -> list[str]:
        """Return the command that makes images, or the one that describes them."""
        if latents.making(endpoints):
            return ["kerasdl", "generate", path, "--out", "grid.png"]
        return ["kerasdl", "encode", path, "some.png"] if "encode" in endpoints else []
