"""Generates an Android project that runs a bundle: Kotlin, LiteRT's CompiledModel, no other library."""

import re
from collections.abc import Mapping
from pathlib import Path

from kerasdl.deploy.description import Content, Described
from kerasdl.deploy.phones.project import Project

#: Versions that the project asks for; Kotlin's has to read what LiteRT was compiled with.
LITERT, KOTLIN, ANDROID_PLUGIN, GRADLE = "2.1.5", "2.3.0", "8.13.0", "8.13"

_MAIN = "app/src/main"
_PROJECT = Project(
    platform="android",
    assets=f"{_MAIN}/assets",
    files={
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
    },
    of_pictures={f"{_MAIN}/kotlin/Pictures.kt": "Pictures.kt"},
    of_texts={f"{_MAIN}/kotlin/Words.kt": "Words.kt"},
)


def generate(bundle: Described, out: Path) -> Mapping[str, Content]:
    """Return the files of the project by relative path; see `Project.generate`.

    Args:
        bundle: the bundle.
        out: the folder they will lie in.
    """
    name = re.sub("[^a-z0-9]", "", bundle.name.lower()) or "network"
    values = {
        "package": f"org.example.{'n' * bundle.name[:1].isdigit()}{name}",
        "versions": {"litert": LITERT, "kotlin": KOTLIN, "plugin": ANDROID_PLUGIN, "gradle": GRADLE},
    }
    return _PROJECT.generate(bundle, lambda app, file: values)
