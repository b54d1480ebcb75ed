"""`kerasdl train`: train a pipeline, evaluate, export and verify it."""

import dataclasses
from pathlib import Path

from kerasdl import environment
from kerasdl.arguments import Parser, value_of
from kerasdl.errors import UsageError


def run(parser: Parser, arguments: list[str]) -> int:
    """Run the command; returns its exit code."""
    from kerasdl import catalog, flags

    parser.usage = "kerasdl train PIPELINE [--data DATA] [flags]"
    parser.add_argument("pipeline", metavar="PIPELINE", help="a name of `kerasdl list`, a .py file or a run")
    parser.add_data("digits, a tensorflow-datasets name, a folder, an .npz file")
    parser.add_argument(
        "--print-recipe", action="store_true",
        help="show the recipe and stop; --min-steps may still add epochs, which a run's recipe.json tells",
    )  # fmt: skip
    parser.add_argument("--no-export", dest="export", action="store_false", help="stop after the evaluation")
    parser.add_no_samples()
    parser.add_argument("--dry-run", action="store_true", help="two batches through all stages; keep nothing")
    parser.add_folders("runs", "exported")
    if not arguments or arguments[0].startswith("-"):
        parser.epilog = "kerasdl train PIPELINE --help shows the flags of that pipeline's recipe too."
        if "--help" not in arguments and "-h" not in arguments:
            raise UsageError("The pipeline comes first, as in kerasdl train lenet5 --data digits.")
        parser.parse(arguments)
    environment.import_tensorflow()
    recipe, source = catalog.load(arguments[0])
    if (text := value_of("--data", arguments)) is not None:
        from kerasdl.data import from_text

        recipe = dataclasses.replace(recipe, data=from_text(text))
    flags.add_to(parser, recipe)
    values = vars(parser.parse(arguments))
    recipe = flags.apply(recipe, values)
    if values["print_recipe"]:
        from kerasdl.serialization import to_json

        print(to_json(recipe), end="")
        return 0
    return _train_recipe(recipe, source, values)


def _train_recipe(recipe, source: Path, values: dict) -> int:
    from rich.console import Console

    from kerasdl import tables, trainer

    console = Console(soft_wrap=True)
    result = trainer.train(
        recipe,
        runs_dir=values["runs_dir"],
        exported_dir=values["exported_dir"],
        export=values["export"],
        dry_run=values["dry_run"],
        embed_samples=values["samples"],
        recipe_source=source,
        console=console,
    )
    tables.print_result(console, result, dry_run=values["dry_run"])
    return 1 if result.bundle is not None and result.bundle.failures else 0
