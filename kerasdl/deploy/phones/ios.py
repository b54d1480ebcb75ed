"""Generates an iOS project that runs a bundle: SwiftUI and TensorFlowLiteSwift."""

import re
from collections.abc import Mapping
from pathlib import Path

from kerasdl.deploy.app import App
from kerasdl.deploy.description import Content, Described
from kerasdl.deploy.phones.project import Project

#: Version of the pod that the project asks for.
TENSORFLOW_LITE = "2.17.0"

_PROJECT = Project(
    platform="ios",
    assets="App",
    files={
        "Podfile": "Podfile",
        "App.xcodeproj/project.pbxproj": "project.pbxproj",
        "App/MainApp.swift": "MainApp.swift",
        "App/Network.swift": "Network.swift",
        "README.md": "README.md",
    },
    of_pictures={
        "App/ContentView.swift": "PictureView.swift",
        "App/Camera.swift": "Camera.swift",
        "App/Pictures.swift": "Pictures.swift",
    },
    of_texts={"App/ContentView.swift": "TextView.swift", "App/Words.swift": "Words.swift"},
)


def generate(bundle: Described, out: Path) -> Mapping[str, Content]:
    """Return the files of the project by relative path; see `Project.generate`.

    Args:
        bundle: the bundle.
        out: the folder they will lie in.
    """
    identifier = f"org.example.{re.sub('[^a-z0-9-]', '-', bundle.name.lower())}"

    def values(app: App, file: str) -> dict[str, str]:
        stem = file.removesuffix(".tflite")
        return {"stem": stem, "identifier": identifier, "version": TENSORFLOW_LITE}

    return _PROJECT.generate(bundle, values)
