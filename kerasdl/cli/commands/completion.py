"""`kerasdl completion`: print the completion of commands, pipelines and flags for a shell."""

from kerasdl.cli import commands_by_name, completion
from kerasdl.cli.parser import Parser
from kerasdl.report import terminal


def run(parser: Parser, arguments: list[str]) -> int:
    """Run the command; returns its exit code."""
    if arguments[:1] == ["--words"]:  # asked by the shell at each tab
        names, run_command = commands_by_name()
        for word in completion.candidates(arguments[1:], names, run_command):
            terminal.say(word)
        return 0
    parser.add_argument("shell", choices=completion.SHELLS, help="shell to print the completion of")
    parser.epilog = 'In bash: eval "$(kerasdl completion bash)", for good in ~/.bashrc.'
    terminal.say(completion.script(parser.parse(arguments).shell), end="")
    return 0
