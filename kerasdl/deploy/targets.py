"""The places that a bundle is deployed to, each with the function that generates its files."""

from kerasdl.deploy.description import Generator
from kerasdl.deploy.phones import android, ios
from kerasdl.deploy.servers import docker, kserve, tf_serving, triton

#: Name -> function that generates the files.
TARGETS: dict[str, Generator] = {
    "tf-serving": tf_serving.generate,
    "docker": docker.generate,
    "kserve": kserve.generate,
    "triton": triton.generate,
    "android": android.generate,
    "ios": ios.generate,
}
