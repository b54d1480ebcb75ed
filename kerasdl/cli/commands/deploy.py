"""`kerasdl deploy`: write what a server or an app needs around a bundle."""

from pathlib import Path

from kerasdl.cli.parser import Parser
from kerasdl.report import terminal


def run(parser: Parser, arguments: list[str]) -> int:
    """Run the command; returns its exit code."""
    from kerasdl.deploy.targets import TARGETS

    parser.add_argument(
        "target", metavar="BUNDLE",
        help="a bundle, or a folder of versions such as exported/lenet5, of which the newest counts",
    )  # fmt: skip
    parser.add_argument("--to", metavar="TARGET", required=True, help=", ".join(TARGETS))
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="(default: deploy/NAME-TARGET)")
    parser.add_argument(
        "--link", action="store_true",
        help="give model files a second name instead of a copy, where the disk can: it takes no space",
    )  # fmt: skip
    values = parser.parse(arguments)
    from kerasdl.jobs import deploy

    out = deploy.deploy(values.target, values.to, values.out, link=values.link)
    for file in sorted(path for path in out.rglob("*") if path.is_file() and path.name != ".kerasdl.json"):
        terminal.say(file)
    terminal.say(f"Read {out / 'README.md'} next.")
    return 0
