"""Docker: an image of TensorFlow Serving that holds one version, to roll out and back by its tag."""

from collections.abc import Mapping
from pathlib import Path

from kerasdl.deploy.description import Content, Described
from kerasdl.deploy.servers import tf_serving
from kerasdl.deploy.template import Templates

_TEMPLATES = Templates(Path(__file__).parent / "templates")


def generate(bundle: Described, out: Path) -> Mapping[str, Content]:
    """Return the files that `docker build` needs, the SavedModel among them.

    Raises:
        UsageError: when the bundle holds no SavedModel.
    """
    alone = {"versions": [bundle.version], "canary": bundle.version, "is_image": True}
    values = tf_serving.values_of(bundle) | alone
    files: dict[str, Content] = {**tf_serving.server_files(values)}
    files |= _TEMPLATES.fill({"Dockerfile": "Dockerfile"}, values)
    place = f"models/{bundle.name}/{bundle.version}"
    return files | {f"{place}/{name}": bundle.folder / name for name in bundle.saved_model}
