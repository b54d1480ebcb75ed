"""Train LeNet-5 on digits with every value of a small space: the table that benchmarks/tuning.py searches.

    python benchmarks/tuning_table.py

All that differs in the learning rate alone is trained by one compiled step, from the same first weights. What
is finished is kept in tuning_lenet5.json.part, from which the next call goes on.
"""

import dataclasses
import itertools
import json
from pathlib import Path

from tuning_problems import TABLE

from kerasdl import environment

environment.import_tensorflow()

import keras  # noqa: E402
import numpy as np  # noqa: E402

from kerasdl.data import batches  # noqa: E402
from kerasdl.data.images.digits import Digits  # noqa: E402
from kerasdl.recipe import catalog  # noqa: E402
from kerasdl.training import build, loop  # noqa: E402
from kerasdl.training.devices import Devices  # noqa: E402
from kerasdl.training.plan import plan_run  # noqa: E402

EPOCHS = 5
#: Name -> whether its values are ordered, and the values. The learning rate is last: it needs no new step.
SPACE = {
    "activation": (False, ["tanh", "relu", "silu"]),
    "pooling": (False, ["average", "max"]),
    "optimizer": (False, ["sgd", "adam", "rmsprop"]),
    "dropout": (True, [0.0, 0.3]),
    "batch_size": (True, [32, 128]),
    "learning_rate": (True, [3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1]),
}


def recipe_of(activation: str, pooling: str, optimizer: str, dropout: float, batch_size: int):
    recipe, _ = catalog.load("lenet5")
    model = recipe.model.replace(activation=activation, pooling=pooling, dropout=dropout)
    return dataclasses.replace(
        recipe, model=model, data=Digits(validation_fraction=0.4), epochs=EPOCHS, min_steps=0,
        optimizer=optimizer, batch_size=batch_size, schedule="constant", warmup_epochs=0.0,
        weight_decay=0.0, augmentation=None,
    )  # fmt: skip


def errors(recipe, splits, learning_rates: list[float]) -> list[float]:
    """Train with each learning rate; return the share of the validation split that is wrong in the end."""
    steps = batches.steps_per_epoch(splits.train, recipe.batch_size)
    network, _ = build.make_pair(plan_run(recipe, splits, Devices()))
    variables = [*network.variables, *network.optimizer.variables]
    first = [np.array(variable) for variable in variables]
    images, labels = splits.validation.features, splits.validation.targets
    blocks = batches.training_blocks(splits.train, batch_size=recipe.batch_size, seed=recipe.seed)
    training, found = loop.Loop(network, blocks), []
    for learning_rate in learning_rates:
        for variable, value in zip(variables, first, strict=True):
            variable.assign(value)
        network.optimizer.learning_rate = learning_rate
        done = 0
        while done < EPOCHS * steps:
            done += training.run(EPOCHS * steps - done)[0]
        logits = np.asarray(network(images, training=False))
        wrong = np.isnan(logits).any(axis=1) | (logits.argmax(axis=1) != labels)
        found.append(round(float(wrong.mean()), 5))
    return found


def main() -> None:
    part = TABLE.with_suffix(".json.part")
    rows = json.loads(part.read_text()) if part.exists() else []
    done = {tuple(row[:-2]) for row in rows}
    splits = Digits(validation_fraction=0.4).load()
    *others, learning_rates = (values for _, values in SPACE.values())
    for values in itertools.product(*others):
        if values in done:
            continue
        found = errors(recipe_of(*values), splits, learning_rates)
        rows += [[*values, *pair] for pair in zip(learning_rates, found, strict=True)]
        temporary = part.with_suffix(".new")
        temporary.write_text(json.dumps(rows))
        temporary.replace(part)
        keras.backend.clear_session()
    space = [{"name": name, "ordered": o, "choices": values} for name, (o, values) in SPACE.items()]
    lines = ",\n".join(map(json.dumps, rows))
    Path(TABLE).write_text(f'{{"space": {json.dumps(space)},\n"rows": [\n{lines}\n]}}\n')
    part.unlink()


if __name__ == "__main__":
    main()
