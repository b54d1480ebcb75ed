"""Shell completion, as a shell asks for it."""

import shutil
import subprocess
import sys

import pytest

from kerasdl.cli import main


def completed(capsys, *words):
    assert main(["completion", "--words", *words]) == 0
    return capsys.readouterr().out.split()


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["ev"], ["evaluate"]),
        (["train", "resnet5"], ["resnet50"]),
        (["tune", "lenet"], ["lenet5"]),
        (["train", "lenet5", "--drop"], ["--dropout"]),
        (["train", "lenet5", "--dropout", "0.1", "--pool"], ["--pooling"]),
        (["train", "lenet5", "--pooling", "a"], ["average"]),
        (["train", "nowhere", "--no-exp"], ["--no-export"]),
        (["export", "runs/x/1", "--tflite-io", "u"], ["uint8"]),
        (["export", "--tflite-m"], ["--tflite-modes"]),
        (["predict", "runs/x/1", "a"], []),
        (["trian", "--x"], []),
        (["train", "lenet5", "--data", ""], []),
    ],
)
def test_words_that_can_stand_next(capsys, words, found):
    assert completed(capsys, *words) == found


def test_every_command_has_flags_to_complete(capsys):
    for command in completed(capsys, ""):
        if not command.startswith("-"):
            assert "--help" in completed(capsys, command, "--"), command


def test_the_script_of_bash_works(tmp_path):
    (tmp_path / "kerasdl").write_text(f'#!/bin/sh\nexec {sys.executable} -P -m kerasdl "$@"\n')
    (tmp_path / "kerasdl").chmod(0o755)
    for shell in ("fish", "zsh"):
        assert main(["completion", shell]) == 0
    ask = """
eval "$(kerasdl completion bash)"
COMP_WORDS=(kerasdl train lenet5 --drop); COMP_CWORD=3; _kerasdl; echo "${COMPREPLY[@]}"
"""
    assert shutil.which("bash")
    path = {"PATH": f"{tmp_path}:/usr/bin:/bin", "PYTHONPATH": ":".join(sys.path)}
    ran = subprocess.run(["bash", "-c", ask], capture_output=True, text=True, env=path, check=True)
    assert ran.stdout == "--dropout\n"
