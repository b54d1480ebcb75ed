"""Generative networks: images made of noise, and the noise of images."""

import dataclasses
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from kerasdl.data.dataset import Dataset, DataSpec
from kerasdl.data.passes import Batches
from kerasdl.data.source import Source
from kerasdl.data.splits import Split
from kerasdl.errors import UsageError
from kerasdl.inference import latents
from kerasdl.inference.endpoint import Endpoint
from kerasdl.inference.predictor import Predictor
from kerasdl.recipe import Recipe
from kerasdl.report.blocks import Section
from kerasdl.tasks.generation import (
    default_judge,
    figures,
    gallery,
    quality,
    samples,
    summary,
    verdicts,
)
from kerasdl.tasks.generation.endpoints import endpoints, images_of
from kerasdl.tasks.generation.judge import Judge, open_judge, shown
from kerasdl.tasks.task import Task, Verdict

if TYPE_CHECKING:
    import keras

    from kerasdl.network.network import Network

_log = logging.getLogger(__name__)

_NONE = "none"
_DRY_RUN = 200  # samples that are enough to see that it works


@dataclasses.dataclass(frozen=True, kw_only=True)
class Generation(Task):
    """Generation of images like those of the data; the network owns its loss.

    Networks are subclasses of `kerasdl.GenerativeNetwork`.
    """

    # Samples that are compared with real images (FID, KID, precision, recall); 0 for none.
    fid_samples: int = 10_000
    # Run of a classifier of images, in whose features they are compared; empty: a LeNet-5 is trained on the
    # same data first, unless that is there; none: samples are compared with training images by pixels alone.
    judge: str = ""
    # Figure that picks the best epoch: auto is the loss of a network that tells likelihoods, fid of others.
    judge_by: Literal["auto", "loss", "fid"] = "auto"
    # Samples of each epoch that fid is measured on.
    val_fid_samples: int = 1000
    # Draws of latents for each image by which the likelihood of a VAE is measured; 0 for none.
    likelihood_draws: int = 500
    # Test images whose likelihood is measured, spread evenly over the split; 0 for all.
    likelihood_images: int = 1000

    columns: ClassVar = {
        "fid_ratio": ("FID / Keras's", ".3f"),
        "max_difference": ("max difference", ".1e"),
    }
    needs_classes: ClassVar = False
    judges_answers: ClassVar = False
    figures_of: ClassVar = latents.MAKING
    from_data: ClassVar = ("image_shape", "num_classes")

    def __post_init__(self):
        for name in ("likelihood_draws", "likelihood_images", "fid_samples", "val_fid_samples"):
            if getattr(self, name) < 0:
                raise UsageError(f"{name} is {getattr(self, name)}, but it has to be 0 or more.")

    def objectives_of(self, network: "type[Network]") -> tuple[str, ...]:
        """Return `val_fid` where it picks the epochs, or there is no loss; none where there is neither."""
        by_fid = self.judge_by == "fid" or (self.judge_by == "auto" and not network.has_loss)
        if by_fid and self.judge != _NONE and self.val_fid_samples:
            return ("val_fid",)
        return self.objectives if network.has_loss else ()

    def resolve(self, data: Dataset) -> "Generation":
        """Check the judge, and say where there is none."""
        self.network_arguments(data.spec)
        if self.judge in ("", _NONE):
            if self.judge_by == "fid":
                _log.warning("Nothing judges the images: the best epoch is not picked by FID.")
            return self
        found = open_judge(self.judge)
        if found is None:
            raise UsageError(
                f"There is no judge {self.judge}. Give --judge the run of a classifier, --judge '' to train "
                "one on the same data, or --judge none."
            )
        seen = found.look(np.zeros((1, *data.spec.inputs.shape), np.uint8))
        if len(data.spec.class_names) > 1 and found.classes_of(seen, data.spec.class_names) is None:
            missing = next(name for name in data.spec.class_names if name not in found.class_names)
            _log.warning(
                f"The judge {self.judge} does not know all classes of the data ({missing!r} is none of its "
                f"{len(found.class_names)}): no figure by class is measured."
            )
        return self

    @property
    def wants_judge(self) -> bool:
        return not self.judge and self.fid_samples > 0

    def judge_recipe(self, source: Source, data: Dataset) -> Recipe | None:
        """Return a recipe of LeNet-5 on the same data; None for data without classes.

        Raises:
            UsageError: when the examples are not images.
        """
        images_of(data.spec)
        found = default_judge.recipe(source, data)
        if found is None:
            _log.warning(
                "The data has no classes to train a judge on: FID and what else it tells are left out. Name "
                "a classifier of such images with --judge RUN."
            )
        return found

    def judged_by(self, run: str) -> "Generation":
        return dataclasses.replace(self, judge=run)

    def without_machine(self) -> "Generation":
        return dataclasses.replace(self, judge=shown(self.judge))

    def network_arguments(self, data: DataSpec) -> dict[str, Any]:
        """Return the size of the images and the number of classes.

        Raises:
            UsageError: when the examples are not images.
        """
        return {"image_shape": images_of(data).shape, "num_classes": max(1, len(data.class_names))}

    # Training

    def loss(self, data: DataSpec) -> None:
        """Return None: the network has its loss in itself."""

    def metrics(self, data: DataSpec) -> None:
        """Return None: the network has its figures in itself."""

    def validator(self, network: "keras.Model", data: Dataset) -> Callable[[], dict[str, float]] | None:
        """Return the function that measures `val_fid`, where epochs are picked by it."""
        found = self._judge()
        if found is None or self.judge_by == "loss" or not self.val_fid_samples:
            return None
        if self.judge_by == "auto" and network.tells_likelihood:
            return None
        measure = quality.validator(found, network, data, self.val_fid_samples)
        if measure is None and self.judge_by == "fid":
            _log.warning(
                f"The best epoch is not picked by FID: the judge has {found.num_features} features, so that "
                f"{2 * found.num_features} images of the data and as many samples (--val-fid-samples) are "
                "needed."
            )
        return measure

    def score(self, logs: Mapping[str, float]) -> tuple[float, ...]:
        return (-logs["val_fid"],) if "val_fid" in logs else super().score(logs)

    def _judge(self) -> Judge | None:
        return None if self.judge in ("", _NONE) else open_judge(self.judge)

    def sampler(self, network: "keras.Model", data: DataSpec) -> Callable[[], np.ndarray] | None:
        """Return a function that makes a grid of images of the same noise; with a row for each class."""
        from kerasdl.network.generative import GenerativeNetwork

        return gallery.sampler(network, data) if isinstance(network, GenerativeNetwork) else None

    # Judging

    def against_data(
        self, predictor: Predictor, data: Dataset, split: Split, *, dry_run: bool = False
    ) -> tuple[dict[str, Any], Mapping[str, np.ndarray]]:
        """Compare samples with real images: `figures.figures`, without a judge `figures.without_judge`."""
        name = latents.making(predictor.inputs)
        if name is None or not self.fid_samples:
            return {}, {}
        inputs, found = predictor.inputs[name], self._judge()
        count = min(self.fid_samples, _DRY_RUN) if dry_run else self.fid_samples

        def sampling(labels: np.ndarray, seed: int) -> np.ndarray:
            return samples.draw(lambda given: predictor.call(name, given), inputs, labels, seed)

        if found is not None:
            return figures.figures(found, sampling, data, split, count, "labels" in inputs)
        seen, arrays = figures.without_judge(sampling, data, split, count)
        if self.judge == _NONE:
            return seen, arrays
        reason = "no judge is named" if not self.judge else f"the judge {self.judge} is not there"
        _log.warning(f"FID and what else a judge tells are left out: {reason}. Name one with --judge RUN.")
        return {"left_out": f"FID, since {reason}", **seen}, arrays

    def evaluate_further(self, predictor: Predictor, batches: Batches) -> dict[str, Any]:
        """Return the likelihood where the network has one; see `likelihood.figures`."""
        from kerasdl.network.generative import GenerativeNetwork
        from kerasdl.tasks.generation import likelihood

        network = predictor.network
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
        made = endpoints(network, data)
        makes = network is not None and latents.making([one.name for one in made])
        found = self._judge() if makes else None
        return made if found is None else quality.probed(made, found, max(1, len(data.class_names)))

    # Showing

    def summary(self, figures: Mapping[str, Any]) -> str:
        return summary.summary(figures)

    def verdicts(self, figures: Mapping[str, Any]) -> list[Verdict]:
        return verdicts.of_samples(figures)

    def verdicts_of_training(self, history: Sequence[Mapping[str, float]]) -> list[Verdict]:
        return verdicts.of_training(history)

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
