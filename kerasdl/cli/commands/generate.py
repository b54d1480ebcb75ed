"""`kerasdl generate`: continue a text with a run, a bundle or an exported file."""

from kerasdl import environment
from kerasdl.cli.parser import Parser
from kerasdl.report import terminal


def run(parser: Parser, arguments: list[str]) -> int:
    """Run the command; returns its exit code."""
    parser.add_target("a run, a bundle, or one exported file, of a language model")
    parser.add_argument(
        "--prompt",
        default="",
        metavar="TEXT",
        help="text to be continued (default: none, as after a new line)",
    )
    for option, kind, shown, help_text in (
        ("--length", int, "INT", "characters to write (default: 500)"),
        ("--temperature", float, "NUMBER", "below 1 keeps to the probable, 0 draws nothing (default: 0.8)"),
        ("--top-k", int, "INT", "draw among so many most probable characters (default: all)"),
        ("--top-p", float, "NUMBER", "draw among those that together are so probable, 0 to 1 (default: 1)"),
        ("--beams", int, "INT", "follow so many texts to find the most probable one (default: 1, draw)"),
        ("--seed", int, "INT", "seed of the draws (default: 0)"),
    ):
        parser.add_argument(option, type=kind, metavar=shown, help=help_text)
    parser.add_json()
    values = parser.parse(arguments)
    environment.import_tensorflow()
    from kerasdl.cli import printing
    from kerasdl.inference.generation import Settings
    from kerasdl.jobs.generate import generate

    given = {
        name: getattr(values, name) for name in ("length", "temperature", "top_k", "top_p", "beams", "seed")
    }
    settings = Settings(**{name: value for name, value in given.items() if value is not None})
    found = generate(values.target, values.prompt, settings)
    if values.json:
        printing.print_document(found, as_json=True)
    else:
        terminal.say(found["prompt"] + found["text"])
    return 0
