"""How good hyperparameter searches are: regret after 50 trials, ours against Keras Tuner and Optuna.

    python benchmarks/tuning.py [--problems branin,mixed] [--arms kerasdl,optuna-tpe] [--seeds 20]
        [--trials 50] [--json tuning.jsonl]

All arms get the same space, and none is told a default configuration. Keras Tuner's oracles are driven as
its own tuner drives them. Ordered choices are ordered for Keras Tuner too, and whole numbers for Optuna.
Results are appended to the file, a line each, and what is there is not run again, so that a run can be cut
and gone on with. Seeds are 100,003 apart: Keras Tuner's seeds i and i + 1 share most of their trials.
"""

import argparse
import contextlib
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tuning_problems
from scipy import stats

from kerasdl.search.space import Parameter

SEED_STEP = 100_003
Tell = Callable[[float], None]
Proposals = Iterator[tuple[dict[str, Any], Tell]]


def kerasdl(space, seed: int, trials: int) -> Proposals:
    from kerasdl.search.bayesian.suggest import Observation, suggest
    from kerasdl.search.objectives import Objective

    seen: list[Observation] = []
    while (values := suggest(space, seen, (), objectives=(Objective("y", "min"),), seed=seed)) is not None:
        yield values, lambda y, values=values: seen.append(Observation(values, {"y": y}))


def _hyperparameters(space: tuple[Parameter, ...]):
    import keras_tuner

    hp = keras_tuner.HyperParameters()
    for part in space:
        with contextlib.ExitStack() as scopes:
            for parent, values in _scopes(space, part):
                scopes.enter_context(hp.conditional_scope(parent, values))
            if part.kind == "choice" and set(part.choices) == {False, True}:
                hp.Boolean(part.name)
            elif part.kind == "choice":
                numeric = not isinstance(part.choices[0], str)
                hp.Choice(part.name, list(part.choices), **({"ordered": part.ordered} if numeric else {}))
            else:
                make = hp.Float if part.kind == "float" else hp.Int
                make(part.name, part.low, part.high, step=part.step, sampling=part.sampling)
    return hp


def _scopes(space: tuple[Parameter, ...], part: Parameter) -> list[tuple[str, list]]:
    """Return a parameter's conditions after those of its parents, as Keras Tuner wants them nested."""
    scopes = []
    for condition in part.conditions:
        parent = next(other for other in space if other.name == condition.parent)
        scopes += [*_scopes(space, parent), (condition.parent, list(condition.values))]
    return scopes


def _keras_tuner(kind: str, space, seed: int, trials: int) -> Proposals:
    import keras_tuner

    make = getattr(keras_tuner.oracles, f"{kind}Oracle")
    objective = keras_tuner.Objective("y", "min")
    oracle = make(objective, max_trials=trials, seed=seed, hyperparameters=_hyperparameters(space))
    oracle.verbose = 0
    with tempfile.TemporaryDirectory() as folder:
        oracle._set_project_dir(folder, "search")
        while (trial := oracle.create_trial("tuner0")).status == "RUNNING":
            values = trial.hyperparameters.values
            active: dict[str, Any] = {}
            for part in space:
                if part.is_active(active):
                    active[part.name] = values[part.name]

            def tell(y, trial=trial):
                oracle.update_trial(trial.trial_id, {"y": y})
                trial.status = "COMPLETED"
                oracle.end_trial(trial)

            yield active, tell


def kt_random(space, seed: int, trials: int) -> Proposals:
    return _keras_tuner("RandomSearch", space, seed, trials)


def kt_bayesian(space, seed: int, trials: int) -> Proposals:
    return _keras_tuner("BayesianOptimization", space, seed, trials)


def _optuna(sampler, space) -> Proposals:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=sampler)
    while True:
        trial = study.ask()
        values: dict[str, Any] = {}
        for part in space:
            if part.is_active(values):
                values[part.name] = _ask(trial, part)
        yield values, lambda y, trial=trial: study.tell(trial, y)


def _ask(trial, part: Parameter):
    if part.kind == "choice" and part.ordered:
        return part.choices[trial.suggest_int(part.name, 0, len(part.choices) - 1)]
    if part.kind == "choice":
        return trial.suggest_categorical(part.name, list(part.choices))
    log = part.sampling == "log"
    if part.sampling == "reverse_log":  # which Optuna lacks: its mirror image
        return part.low + part.high - trial.suggest_float(part.name, part.low, part.high, log=True)
    if part.kind == "int" and log and part.step:
        last = round(np.log(part.high / part.low) / np.log(part.step))
        return round(part.low * part.step ** trial.suggest_int(part.name, 0, last))
    if part.kind == "int":
        return trial.suggest_int(part.name, part.low, part.high, step=part.step or 1, log=log)
    return trial.suggest_float(part.name, part.low, part.high, step=part.step, log=log)


def optuna_tpe(space, seed: int, trials: int) -> Proposals:
    import optuna

    return _optuna(optuna.samplers.TPESampler(seed=seed, multivariate=True, group=True), space)


def optuna_tpe_plain(space, seed: int, trials: int) -> Proposals:
    import optuna

    return _optuna(optuna.samplers.TPESampler(seed=seed), space)


def optuna_gp(space, seed: int, trials: int) -> Proposals:
    import optuna

    return _optuna(optuna.samplers.GPSampler(seed=seed), space)


ARMS = {
    "kerasdl": kerasdl,
    "kt-random": kt_random,
    "kt-bayesian": kt_bayesian,
    "optuna-tpe": optuna_tpe,
    "optuna-tpe-plain": optuna_tpe_plain,
    "optuna-gp": optuna_gp,
}


def search(problem: tuning_problems.Problem, arm: Callable, seed: int, trials: int) -> dict[str, Any]:
    """Run one search; return the regret after each trial, the seconds of a suggestion, the duplicates."""
    proposals, curve, seconds, seen = arm(problem.space, seed, trials), [], [], []
    for _ in range(trials):
        start = time.perf_counter()
        proposal = next(proposals, None)
        seconds.append(time.perf_counter() - start)
        if proposal is None:  # the space is exhausted
            break
        values, tell = proposal
        regret = problem.function(values) - problem.best
        tell(regret + problem.best)
        curve.append(round(min([regret, *curve[-1:]]), 8))
        seen.append(json.dumps(values, sort_keys=True))
    late = statistics.fmean(seconds[-10:])
    return {"curve": curve, "seconds": round(late, 4), "duplicates": len(seen) - len(set(seen))}


def interval(values: list[float]) -> tuple[float, float, float]:
    """Return the median and its 95 % bootstrap interval."""
    draws = np.random.default_rng(0).choice(values, (10_000, len(values)))
    low, high = np.percentile(np.median(draws, axis=1), (2.5, 97.5))
    return float(np.median(values)), float(low), float(high)


def table(rows: list[dict], trials: int) -> Iterator[str]:
    """Write a Markdown table; the last column pairs each arm with ours, seed by seed."""
    yield f"| problem | arm | seeds | regret after {trials} trials (95 %) | s a trial | duplicates | ours |"
    yield "|---|---|---|---|---|---|---|"
    groups: dict[tuple[str, str], dict[int, dict]] = {}
    for row in rows:
        groups.setdefault((row["problem"], row["arm"]), {})[row["seed"]] = row
    for (problem, arm), found in sorted(groups.items()):
        regrets = {seed: row["curve"][-1] for seed, row in found.items()}
        middle, low, high = interval(list(regrets.values()))
        seconds = statistics.median(row["seconds"] for row in found.values())
        most = max(row["duplicates"] for row in found.values())
        ours = {seed: row["curve"][-1] for seed, row in groups.get((problem, "kerasdl"), {}).items()}
        both = [(ours[seed], regrets[seed]) for seed in regrets if seed in ours and arm != "kerasdl"]
        verdict = _paired(both)
        yield (
            f"| {problem} | {arm} | {len(found)} | {middle:.4f} [{low:.4f}, {high:.4f}] | {seconds:.3f} | "
            f"{most} | {verdict} |"
        )


def _paired(both: list[tuple[float, float]]) -> str:
    """Say in how many pairs ours is better, and how likely that is if neither were (Wilcoxon)."""
    if len(both) < 5 or all(a == b for a, b in both):
        return ""
    better, worse = sum(a < b for a, b in both), sum(a > b for a, b in both)
    p = stats.wilcoxon(*zip(*both, strict=True)).pvalue
    return f"better {better}, worse {worse} of {len(both)}, p = {p:.2g}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--problems", default="branin,hartmann6,mixed,held-out,lenet5")
    parser.add_argument("--arms", default="kerasdl,kt-random,kt-bayesian,optuna-tpe,optuna-gp")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--json", type=Path, default=Path("tuning.jsonl"), help="results, a line each")
    options = parser.parse_args()
    lines = options.json.read_text().splitlines() if options.json.exists() else []
    rows = [row for row in map(json.loads, lines) if row["trials"] == options.trials]
    done = {(row["problem"], row["arm"], row["seed"]) for row in rows}
    for index in range(1, options.seeds + 1):
        for name in options.problems.split(","):
            problem = tuning_problems.PROBLEMS[name]()
            for arm in options.arms.split(","):
                if (name, arm, seed := index * SEED_STEP) in done:
                    continue
                result = search(problem, ARMS[arm], seed, options.trials)
                rows.append({"problem": name, "arm": arm, "seed": seed, "trials": options.trials, **result})
                with options.json.open("a") as file:
                    file.write(json.dumps(rows[-1]) + "\n")
    print("\n".join(table(rows, options.trials)))


if __name__ == "__main__":
    main()
