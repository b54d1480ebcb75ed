"""`kerasdl interpolate`: go from one image to another through a network's latents."""

from pathlib import Path

from kerasdl import environment
from kerasdl.cli.parser import Parser
from kerasdl.report import terminal


def run(parser: Parser, arguments: list[str]) -> int:
    """Run the command; returns its exit code."""
    parser.add_target("a run, a bundle, or one exported file, of a generative network")
    parser.add_argument("--from", dest="first", type=Path, metavar="IMAGE",
                        help="image to begin at, of a network with encode (default: drawn)")  # fmt: skip
    parser.add_argument("--to", dest="last", type=Path, metavar="IMAGE", help="image file to end at")
    parser.add_argument("--steps", type=int, default=8, metavar="INT", help="images, both ends among them "
                        "(default: 8)")  # fmt: skip
    parser.add_argument("--class", dest="class_name", metavar="NAME|INDEX",
                        help="class that is asked for (default: a row for each)")  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, metavar="INT",
                        help="seed of the ends that are drawn (default: 0)")  # fmt: skip
    parser.add_argument("--out", type=Path, default=Path("interpolation.png"), metavar="FILE",
                        help="strip.png, or film.gif (default: interpolation.png)")  # fmt: skip
    parser.add_json()
    values = parser.parse(arguments)
    environment.import_tensorflow()
    from kerasdl.cli import printing
    from kerasdl.jobs import open as loading
    from kerasdl.jobs.interpolate import Settings, interpolate

    names = ("first", "last", "steps", "class_name", "seed")
    settings = Settings(**{name: getattr(values, name) for name in names})
    found = interpolate(loading.load(values.target), settings, values.out)
    if values.json:
        printing.print_document(found, as_json=True)
    else:
        terminal.say(f"{found['steps']} steps in {found['out']}")
    return 0
