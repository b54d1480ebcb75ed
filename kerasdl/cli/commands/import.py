"""`kerasdl import`: make a run of a Keras model that was not trained here."""
# ruff: noqa: N999

from pathlib import Path

from kerasdl import environment
from kerasdl.cli import import_arguments
from kerasdl.cli.parser import Parser


def run(parser: Parser, arguments: list[str]) -> int:
    """Run the command; returns its exit code."""
    parser.add_argument(
        "target", metavar="MODEL", help="a .keras file, an .h5 file of a whole model, a SavedModel"
    )
    parser.add_data("examples: a folder of images, an .npz or a .csv file, a name of a data set")
    import_arguments.add_to(parser)
    parser.add_folders("runs")
    values = parser.parse(arguments)
    import_arguments.check(values, Path(values.target))
    environment.import_tensorflow()
    from kerasdl.cli import printing
    from kerasdl.jobs import import_model

    wanted = import_arguments.wanted(values, Path(values.target))
    made = import_model.import_model(wanted, runs_dir=values.runs_dir)
    console = printing.open_console(soft_wrap=True)
    printing.print_text(console, made.recipe.task.summary(made.metrics))
    path = str(made.run.path)
    console.print(f"Run     {path}")
    commands = [["kerasdl", "export", path], ["kerasdl", "train", path]]
    printing.print_next(console, commands if made.can_be_trained else commands[:1])
    return 0
