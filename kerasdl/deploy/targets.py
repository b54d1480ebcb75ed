"""The places that a bundle is deployed to, each with the function that generates its files."""

from kerasdl.deploy.description import Generator
from kerasdl.deploy.servers import tf_serving

#: Name -> function that generates the files.
TARGETS: dict[str, Generator] = {
    "tf-serving": tf_serving.generate,
}
