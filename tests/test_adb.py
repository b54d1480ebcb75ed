"""`kerasdl benchmark --adb`, with an adb that stands in for a phone."""

import json
import sys

import pytest

from kerasdl.cli import main
from tests import app_bundles

ADB = """#!{python}
import json, os, pathlib, sys

here = pathlib.Path({folder!r})
phone = json.loads((here / "phone.json").read_text())
arguments = sys.argv[1:]
with (here / "log.txt").open("a") as log:
    log.write(" ".join(arguments) + "\\n")
if arguments == ["devices"]:
    print("List of devices attached")
    for name, state in phone["devices"].items():
        print(name, state, sep="\\t")
    sys.exit(0)
assert arguments[0] == "-s" and arguments[1] in phone["devices"]
command = " ".join(arguments[2:])
if command.startswith("shell getprop"):
    known = {{"product.model": "Pixel 9", "soc.model": "Tensor G4", "build.version.release": "16"}}
    print(known[arguments[-1].removeprefix("ro.")])
elif "test -f" in command:
    print(phone.get("tool", "no"))
elif command.startswith("push"):
    assert pathlib.Path(arguments[3]).is_file()
    if phone.get("full"):
        sys.exit("adb: error: failed to copy: No space left on device")
elif "--graph=" in command:
    if phone.get("fails"):
        print("ERROR: Didn't find op for builtin opcode")
        sys.exit(1)
    print('''INFO: count=10 first=9000 curr=4000 min=4000 max=9000 avg=5000 std=10
INFO: count=50 first=4100 curr=4000 min=3900 max=5000 avg=4.2e+03 std=99 p5=3900 median=4000 p95=4800
INFO: Inference timings in us: Init: 12e3, First inference: 9000, Warmup (avg): 5e3, Inference (avg): 4.2e3
INFO: Overall peak memory footprint (MB) via periodic monitoring: 31.5''')
"""


@pytest.fixture
def phone(tmp_path, monkeypatch):
    """A function that puts a phone on the cable; it returns the folder of the bundle."""

    def connect(**about):
        (tmp_path / "phone.json").write_text(json.dumps({"devices": {"R5": "device"}, **about}))
        adb = tmp_path / "adb"
        adb.write_text(ADB.format(python=sys.executable, folder=str(tmp_path)))
        adb.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
        (tmp_path / "tool").write_text("program")
        return app_bundles.write(tmp_path)

    return connect


@pytest.mark.slow
def test_files_are_measured_on_the_phone(tmp_path, phone, capsys):
    bundle = phone()
    command = ["benchmark", str(bundle), "--adb", "--adb-tool", str(tmp_path / "tool"), "--threads", "2"]
    assert main([*command, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["phone"] == {"serial": "R5", "model": "Pixel 9", "chip": "Tensor G4", "android": "16"}
    assert [row["file"] for row in found["artefacts"]] == ["x.float32.tflite", "x.int8.tflite"]
    figures = {"init_ms": 12, "first_ms": 9, "average_ms": 4.2, "p50_ms": 4, "p95_ms": 4.8, "memory_mb": 31.5}
    assert found["artefacts"][0] == {"file": "x.float32.tflite", "bytes": 14, "threads": 2, **figures}
    log = (tmp_path / "log.txt").read_text().splitlines()
    assert log[-1] == "-s R5 shell rm -rf /data/local/tmp/kerasdl"
    assert sum("--num_threads=2" in line for line in log) == 2 and not any("use_gpu" in line for line in log)
    file = str(bundle / "x.int8.tflite")
    assert main(["benchmark", file, "--adb", "--adb-tool", str(tmp_path / "tool"), "--adb-gpu"]) == 0
    shown = capsys.readouterr().out
    assert "x.int8.tflite" in shown and "4.80" in shown and "Pixel 9 (Tensor G4), Android 16" in shown
    assert "use_gpu=true" in (tmp_path / "log.txt").read_text()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("about", "flags", "code", "said"),
    [
        ({"devices": {}}, [], 2, "adb sees no phone"),
        (
            {"devices": {"R5": "device", "R6": "device"}},
            [],
            2,
            "R5 (device), R6 (device). Choose one with --adb",
        ),
        ({"devices": {"R5": "unauthorized"}}, [], 2, "it is unauthorized. Unlock the phone"),
        ({}, ["--adb-serial", "R9"], 2, "no device 'R9'; it knows R5 (device)"),
        ({}, [], 2, "has no /data/local/tmp/benchmark_model"),
        ({}, ["--adb-tool", "nowhere"], 2, "There is no nowhere"),
        ({"tool": "yes", "full": True}, [], 1, "No space left on device"),
        ({"tool": "yes", "fails": True}, [], 1, "failed (exit code 1): ERROR: Didn't find op"),
    ],
)
def test_what_goes_wrong_on_phones_is_said(phone, capsys, about, flags, code, said):
    bundle = phone(**about)
    assert main(["benchmark", str(bundle), "--adb", *flags]) == code
    assert said in capsys.readouterr().err


def test_without_adb_nothing_is_measured(tmp_path, monkeypatch, capsys):
    bundle = app_bundles.write(tmp_path, modes=("float32",))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["benchmark", str(bundle), "--adb"]) == 2
    assert "There is no adb here" in capsys.readouterr().err
    assert main(["benchmark", str(bundle), "--adb-gpu"]) == 2
    assert "Add --adb." in capsys.readouterr().err
    assert main(["benchmark", str(bundle / "x.onnx"), "--adb"]) == 2
    assert "x.onnx is not a TFLite file" in capsys.readouterr().err
    (bundle / "x.float32.tflite").write_text("other")
    assert main(["benchmark", str(bundle), "--adb"]) == 1
    assert "not what was exported" in capsys.readouterr().err
