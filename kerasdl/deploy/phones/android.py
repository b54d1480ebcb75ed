"""Generates an Android project that runs a bundle: Kotlin, LiteRT's CompiledModel, no other library."""

import math
import re
from collections.abc import Mapping
from pathlib import Path

from kerasdl.deploy.app import app_of
from kerasdl.deploy.description import Content, Described
from kerasdl.deploy.phones.render import render

#: Versions that the project asks for; Kotlin's has to read what LiteRT was compiled with.
LITERT, KOTLIN, ANDROID_PLUGIN, GRADLE = "2.1.5", "2.3.0", "8.13.0", "8.13"

_MAIN = "app/src/main"
_FILES = {
    "settings.gradle.kts": "settings.gradle.kts",
    "build.gradle.kts": "build.gradle.kts",
    "app/build.gradle.kts": "app.gradle.kts",
    "gradle.properties": "gradle.properties",
    "gradle/wrapper/gradle-wrapper.properties": "gradle-wrapper.properties",
    f"{_MAIN}/AndroidManifest.xml": "AndroidManifest.xml",
    f"{_MAIN}/res/values/strings.xml": "strings.xml",
    f"{_MAIN}/res/values/styles.xml": "styles.xml",
    f"{_MAIN}/kotlin/MainActivity.kt": "MainActivity.kt",
    f"{_MAIN}/kotlin/Network.kt": "Network.kt",
    "README.md": "README.md",
}
_OF_PICTURES = {f"{_MAIN}/kotlin/Pictures.kt": "Pictures.kt"}
_OF_TEXTS = {f"{_MAIN}/kotlin/Words.kt": "Words.kt"}


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
        "package": f"org.example.{re.sub('[^a-z0-9]', '', bundle.name.lower()) or 'network'}".replace(
            "example.", "example.n" if bundle.name[:1].isdigit() else "example."
        ),
        "elements": math.prod(app.shape),
        "versions": {"litert": LITERT, "kotlin": KOTLIN, "plugin": ANDROID_PLUGIN, "gradle": GRADLE},
    }
    files = _FILES | (_OF_PICTURES if app.picture else _OF_TEXTS)
    assets = {f"{_MAIN}/assets/{name}": app.checked(name) for name in (file, *app.assets)}
    return {path: render("android", name, values) for path, name in files.items()} | assets
