"""Generates an iOS project that runs a bundle: SwiftUI and TensorFlowLiteSwift."""

import math
import re
from collections.abc import Mapping
from pathlib import Path

from kerasdl.deploy.app import app_of
from kerasdl.deploy.description import Content, Described
from kerasdl.deploy.phones.render import render

#: Version of the pod that the project asks for.
TENSORFLOW_LITE = "2.17.0"

_FILES = {
    "Podfile": "Podfile",
    "App.xcodeproj/project.pbxproj": "project.pbxproj",
    "App/MainApp.swift": "MainApp.swift",
    "App/Network.swift": "Network.swift",
    "README.md": "README.md",
}
_OF_PICTURES = {
    "App/ContentView.swift": "PictureView.swift",
    "App/Camera.swift": "Camera.swift",
    "App/Pictures.swift": "Pictures.swift",
}
_OF_TEXTS = {"App/ContentView.swift": "TextView.swift", "App/Words.swift": "Words.swift"}


def generate(bundle: Described, out: Path) -> Mapping[str, Content]:
    """Return the files of the project by relative path.

    Args:
        bundle: the bundle.
        out: the folder they will lie in.

    Raises:
        UsageError: when it has no TFLite file, or that takes neither a picture nor a text.
        RunFailedError: when a file of it has changed since the export.
    """
    app = app_of(bundle, "The app")
    file = app.tflite_file(None)
    values = {
        "app": app,
        "file": file,
        "stem": file.removesuffix(".tflite"),
        "identifier": f"org.example.{re.sub('[^a-z0-9-]', '-', bundle.name.lower())}",
        "elements": math.prod(app.shape),
        "version": TENSORFLOW_LITE,
    }
    files = _FILES | (_OF_PICTURES if app.picture else _OF_TEXTS)
    assets = {f"App/{name}": app.checked(name) for name in (file, *app.assets)}
    return {path: render("ios", name, values) for path, name in files.items()} | assets
