"""`kerasdl evaluate`: figures of a run, a bundle or an exported file on the test split."""

from kerasdl import environment
from kerasdl.arguments import Parser


def run(parser: Parser, arguments: list[str]) -> int:
    """Run the command; returns its exit code."""
    parser.add_target("a run, a bundle, or one exported file")
    parser.add_data("where the data is now, or other data with the same classes")
    parser.add_json()
    values = parser.parse(arguments)
    environment.import_tensorflow()
    from kerasdl import loading, shipping, tables
    from kerasdl.evaluate import evaluate

    target = loading.load(values.target)
    splits = target.load_data(values.data)
    figures = {
        "target": values.target,
        "kind": target.predictor.kind,
        **evaluate(target.predictor, target.task, shipping.test_batches(splits)),
        "data_fingerprint": splits.fingerprint,
        "same_data_as_training": splits.fingerprint == target.fingerprint,
    }
    tables.print_document(figures, as_json=values.json)
    return 0
