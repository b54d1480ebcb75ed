"""A training run that is a trial of a search."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from kerasdl.data.dataset import Dataset
from kerasdl.data.source import Source
from kerasdl.export.tflite import Converter
from kerasdl.jobs import export
from kerasdl.runs import folder as runs
from kerasdl.runs import record
from kerasdl.tasks.task import Task
from kerasdl.training.callbacks.stops import PRUNED

if TYPE_CHECKING:
    import keras


@dataclasses.dataclass(frozen=True, kw_only=True)
class Trial:
    """Differences between a trial of a search and a run that ships.

    It is judged on the validation split alone, its exported files too: whoever chooses by the test split has
    no test left. It has no page and no test figures; `kerasdl evaluate` gives them for the one that wins.

    Attributes:
        load: loads the data of a recipe from its source, for its task.
        observe: gets the figures of each epoch, those before an interruption too; a reason that it returns
            ends the training with that epoch, and then nothing is exported.
        formats: what to export, to measure it; nothing when empty.
        tflite_modes: modes of the TFLite files.
    """

    load: Callable[[Source, Task], Dataset]
    observe: Callable[[Mapping[str, float]], str | None]
    formats: tuple[str, ...] = ()
    tflite_modes: tuple[str, ...] = ()

    def finish(
        self,
        run: runs.Run,
        dataset: Dataset,
        converter: Converter | None,
        settings: export.Settings,
        network: "keras.Model",
    ) -> tuple[dict[str, Any], Any]:
        """End a trial.

        Args:
            run: the run of the trial.
            dataset: its data.
            converter: converts to TFLite; None where nothing is exported.
            settings: of an export; the formats are those of the trial.
            network: its best network.

        Returns:
            The figures of the epoch that it kept, and the bundle where files are exported to be measured.
        """
        best = run.read_json("metrics.json")["best_epoch"]
        figures = record.read(run.path).history[best - 1]
        bundle = None
        if converter is not None and not str(run.read_json("status.json")["stopped"]).startswith(PRUNED):
            run.update_status(stage="exporting")
            judged = dataclasses.replace(dataset, test=dataset.validation)
            settings = dataclasses.replace(settings, formats=self.formats, tflite_modes=self.tflite_modes)
            bundle = export.export_run(run, judged, converter, settings, network)
        run.update_status(stage="finished")
        return figures, bundle
