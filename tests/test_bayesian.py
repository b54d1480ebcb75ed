"""The Bayesian optimiser: its parts against other ways to compute them, its suggestions as a whole."""

import json
import math

import numpy as np
import pytest
from scipy import integrate, optimize, stats

from kerasdl.search.bayesian import acquisition, gaussian_process
from kerasdl.search.bayesian import suggest as bayesian
from kerasdl.search.bayesian.encoding import Encoding
from kerasdl.search.bayesian.suggest import Observation, suggest
from kerasdl.search.objectives import Constraint, Objective
from kerasdl.search.space import Condition, Parameter

LOSS = (Objective("loss", "min"),)
RATE = Parameter(name="rate", kind="float", low=1e-4, high=1.0, sampling="log")
MOMENTUM = Parameter(name="momentum", kind="float", low=0.0, high=0.9)


def choice(name, *choices, when=None, **options):
    return Parameter(
        name=name, kind="choice", choices=choices, default=choices[0], conditions=conditions(when), **options
    )


def number(name, low, high, *, when=None, kind="float", **options):
    return Parameter(
        name=name, kind=kind, low=low, high=high, default=low, conditions=conditions(when), **options
    )


def conditions(when):
    return () if when is None else (Condition(when[0], when[1:]),)


EVERYTHING = (
    number("float", -1.0, 3.0),
    number("float_step", 0.0, 1.0, step=0.25),
    number("log", 1e-5, 1e-1, sampling="log"),
    number("log_step", 1e-3, 10.0, sampling="log", step=10),
    number("reverse", 0.5, 0.999, sampling="reverse_log"),
    number("reverse_step", 1.0, 16.0, sampling="reverse_log", step=2),
    number("int", 1, 9, kind="int", step=1),
    number("int_step", 6, 13, kind="int", step=3),
    number("int_log", 4, 4096, kind="int", sampling="log"),
    number("int_log_step", 2, 32, kind="int", sampling="log", step=2),
    number("int_reverse", 2, 90, kind="int", sampling="reverse_log"),
    choice("fixed", 7),
    choice("bool", False, True),
    choice("ordered", 16, 32, 64, ordered=True),
    choice("unordered", "a", "b", "c"),
    number("conditional", 0.0, 1.0, when=("unordered", "a", "b")),
    choice("kind", "x", "y", when=("bool", True)),
    number("nested", 1e-3, 1.0, sampling="log", when=("kind", "y")),
)


def run(space, function, trials, *, seed=0, **options):
    """Search with a function from values to figures, or None where they fail."""
    seen = []
    for _ in range(trials):
        values = suggest(space, seen, (), seed=seed, **{"objectives": LOSS, **options})
        if values is None:
            break
        seen.append(Observation(values, function(values)))
    return seen


def bowl(values):
    rate, momentum = math.log10(values["rate"]), values["momentum"]
    return {"loss": (rate + 2.5) ** 2 + (momentum - 0.6) ** 2}


# Encoding


def test_values_come_back_from_their_positions():
    encoding = Encoding(EVERYTHING)
    for uniform in np.random.default_rng(0).random((200, len(EVERYTHING))):
        values = encoding.decode(encoding.sample(uniform[None])[0])
        again = encoding.decode(encoding.encode(values))
        assert again.keys() == values.keys()
        for name, value in values.items():
            same = pytest.approx(value, rel=1e-9) if isinstance(value, float) else value
            assert again[name] == same and type(again[name]) is type(value)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("float_step", {0.0, 0.25, 0.5, 0.75, 1.0}),
        ("log_step", {1e-3, 1e-2, 1e-1, 1.0, 10.0}),
        ("reverse_step", {16.0, 15.0, 13.0, 9.0, 1.0}),
        ("int", set(range(1, 10))),
        ("int_step", {6, 9, 12}),
        ("int_log_step", {2, 4, 8, 16, 32}),
        ("fixed", {7}),
        ("bool", {False, True}),
        ("ordered", {16, 32, 64}),
    ],
)
def test_steps_and_choices_give_these_values_and_no_others(name, expected):
    encoding = Encoding([parameter for parameter in EVERYTHING if parameter.name == name])
    found = {encoding.decode(row)[name] for row in encoding.sample(np.linspace(0, 0.9999, 200)[:, None])}
    assert {round(value, 9) for value in found} == expected


@pytest.mark.parametrize("name", ["float", "log", "reverse", "int", "int_log", "int_reverse"])
def test_ranges_include_both_ends(name):
    (parameter,) = (parameter for parameter in EVERYTHING if parameter.name == name)
    encoding = Encoding([parameter])
    ends = [encoding.decode(np.array([position]))[name] for position in (0.0, 1.0)]
    assert ends == pytest.approx([parameter.low, parameter.high], rel=1e-12)
    assert [encoding.encode({name: end})[0] for end in ends] == pytest.approx([0.0, 1.0])


def test_middles_follow_the_sampling():
    encoding = Encoding(
        [
            number("log", 1e-4, 1.0, sampling="log"),
            number("linear", 0.0, 4.0),
            number("reverse", 1.0, 100.0, sampling="reverse_log"),
        ]
    )
    middle = encoding.decode(np.array([0.5, 0.5, 0.5]))
    assert middle == pytest.approx({"log": 1e-2, "linear": 2.0, "reverse": 91.0})


def test_a_value_outside_of_its_range_lies_beside_it_and_is_decoded_to_the_end():
    encoding = Encoding([RATE, choice("c", "a", "b")])
    position = encoding.encode({"rate": 10.0, "c": "unknown"})
    assert position[0] == pytest.approx(1.25)
    assert encoding.decode(encoding.snap(position[None])[0])["rate"] == 1.0
    features = encoding.features(position[None])
    assert np.isfinite(features).all() and (features[0, 1:] == 0).all()
    assert encoding.encode({"rate": 0.0, "c": "a"})[0] == -0.5


def test_only_active_parameters_are_decoded_and_count():
    encoding = Encoding(EVERYTHING)
    rows = encoding.sample(np.random.default_rng(1).random((100, len(EVERYTHING))))
    active = encoding.active(rows)
    names = np.array([parameter.name for parameter in EVERYTHING])
    for row, which in zip(rows, active, strict=True):
        values = encoding.decode(row)
        assert set(names[which]) == set(values)
        assert ("conditional" in values) == (values["unordered"] in "ab")
        assert ("nested" in values) == (values["bool"] and values["kind"] == "y")
    other = rows.copy()
    other[~active] = 0.123
    assert (encoding.features(other) == encoding.features(rows)).all()


def test_distances_are_hamming_for_choices_and_a_constant_for_what_one_point_lacks():
    encoding = Encoding((choice("c", "a", "b", "d"), number("x", 0.0, 1.0, when=("c", "a", "b"))))
    trials = [{"c": "a", "x": 0.0}, {"c": "b", "x": 0.0}, {"c": "b", "x": 1.0}, {"c": "d"}]
    features = encoding.features(encoding.encode_all(trials))
    squared = ((features[:, None] - features) ** 2).sum(2)
    assert squared[0, 1] == pytest.approx(1.0)  # another choice, the same number
    assert squared[1, 2] == pytest.approx(1.0)  # another number
    assert squared[0, 3] == squared[2, 3] == pytest.approx(1.5)  # another choice, half for the lack


def test_parameters_of_one_name_under_different_conditions_do_not_mix():
    space = (
        choice("c", "a", "b"),
        number("x", 0.0, 1.0, when=("c", "a")),
        number("x", 10.0, 20.0, when=("c", "b")),
    )
    encoding = Encoding(space)
    for values in ({"c": "a", "x": 0.25}, {"c": "b", "x": 12.5}):
        assert encoding.decode(encoding.encode(values)) == values


def test_all_values_of_a_finite_space_are_listed_once():
    space = (choice("c", "a", "b"), number("n", 1, 3, kind="int", step=1, when=("c", "a")))
    listed = Encoding(space).all_values(10)
    assert listed == [{"c": "a", "n": 1}, {"c": "a", "n": 2}, {"c": "a", "n": 3}, {"c": "b"}]
    assert Encoding(space).all_values(3) is None
    assert Encoding((RATE,)).all_values(10) is None


# The Gaussian process


def some_data(count=30, seed=0):
    encoding = Encoding((RATE, MOMENTUM, choice("c", "a", "b", "d"), number("x", 0.0, 1.0, when=("c", "a"))))
    rng = np.random.default_rng(seed)
    features = encoding.features(encoding.sample(rng.random((count, 4))))
    targets = np.sin(3 * features[:, 0]) + features[:, 1] ** 2 + features[:, 2] + 0.1 * rng.normal(size=count)
    return encoding, features, (targets - targets.mean()) / targets.std()


def hyperparameters():
    return gaussian_process.Hyperparameters(np.array([0.4, 0.9, 1.5, 0.7]), 1.3, 0.02)


@pytest.mark.slow
def test_gradient_of_the_evidence():
    encoding, features, targets = some_data()
    evidence = gaussian_process.Evidence(features, targets, encoding.groups, 4)
    for seed in range(3):
        logs = np.random.default_rng(seed).normal(-0.5, 0.7, 6)
        numeric = optimize.approx_fprime(logs, lambda logs: evidence(logs)[0], 1e-6)
        assert evidence(logs)[1] == pytest.approx(numeric, rel=1e-4, abs=1e-4)


def test_evidence_and_posterior_are_those_of_scikit_learn():
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

    encoding, features, targets = some_data()
    known, wanted = features[:20], features[20:]
    h = hyperparameters()
    kernel = ConstantKernel(h.variance) * Matern(h.scales[encoding.groups], nu=2.5) + WhiteKernel(h.noise)
    theirs = GaussianProcessRegressor(kernel, alpha=1e-8, optimizer=None).fit(known, targets[:20])
    ours = gaussian_process.GaussianProcess(known, targets[:20], encoding.groups, h)
    mean, deviation = theirs.predict(wanted, return_std=True)
    assert ours.predict(wanted)[0] == pytest.approx(mean)
    assert ours.predict(wanted)[1] ** 2 == pytest.approx(deviation**2 - h.noise)
    evidence = gaussian_process.Evidence(known, targets[:20], encoding.groups, 4)
    logs = np.log([*h.scales, h.variance, h.noise])
    others = logs + 0.3
    factors = np.exp(others)
    kernel = ConstantKernel(factors[4]) * Matern(factors[:4][encoding.groups], nu=2.5) + WhiteKernel(
        factors[5]
    )
    second = GaussianProcessRegressor(kernel, alpha=1e-8, optimizer=None).fit(known, targets[:20])

    def prior(logs):
        means = np.append(evidence.prior_means, [])
        return stats.norm.logpdf(logs, means, [0.7] * 4 + [1.0, 2.0]).sum()

    by_hand = [
        -(process.log_marginal_likelihood_value_ + prior(at))
        for process, at in ((theirs, logs), (second, others))
    ]
    assert evidence(others)[0] - evidence(logs)[0] == pytest.approx(by_hand[1] - by_hand[0])


def test_gradients_of_the_posterior():
    encoding, features, targets = some_data()
    process = gaussian_process.GaussianProcess(features, targets, encoding.groups, hyperparameters())
    points = features[:3] + 0.05
    mean, deviation, by_mean, by_deviation = process.predict_with_gradients(points)
    assert (mean, deviation) == (
        pytest.approx(process.predict(points)[0]),
        pytest.approx(process.predict(points)[1]),
    )
    for i, point in enumerate(points):
        for gradient, part in ((by_mean, 0), (by_deviation, 1)):
            numeric = optimize.approx_fprime(
                point, lambda p, part=part: process.predict(p[None])[part][0], 1e-6
            )
            assert gradient[i] == pytest.approx(numeric, rel=1e-3, abs=1e-4)


@pytest.mark.slow
def test_fit_finds_which_parameters_matter_and_how_noisy_values_are():
    rng = np.random.default_rng(0)
    features = rng.random((60, 3))
    targets = np.sin(6 * features[:, 0]) + 0.1 * rng.normal(size=60)
    process = gaussian_process.fit(features, targets / targets.std(), np.arange(3), 3)
    found = process.hyperparameters
    assert found.scales[0] < 0.5 * found.scales[1:].min()
    assert math.sqrt(found.noise) * targets.std() == pytest.approx(0.1, rel=0.4)


def test_believing_keeps_the_mean_and_takes_the_doubt():
    encoding, features, targets = some_data()
    process = gaussian_process.GaussianProcess(features, targets, encoding.groups, hyperparameters())
    point = features[:1] + 0.3
    believed = process.believe(point)
    assert believed.predict(features)[0] == pytest.approx(process.predict(features)[0], abs=1e-6)
    assert believed.predict(point)[1] < 0.5 * process.predict(point)[1]


# The acquisition


def test_log_improvement_against_integration_and_far_into_the_tail():
    for z in (-6.0, -3.0, -1.0001, -0.9999, 0.0, 2.0, 8.0):
        integral = integrate.quad(lambda u, z=z: (z - u) * stats.norm.pdf(u), -np.inf, z, epsabs=0)[0]
        assert acquisition.log_improvement(np.array([z]))[0][0] == pytest.approx(math.log(integral), abs=1e-7)
    z = -np.logspace(0, 7, 200)
    values, slopes = acquisition.log_improvement(z)
    assert np.isfinite(values).all() and (np.diff(values) < 0).all()
    tail = -(z**2) / 2 - 0.5 * math.log(2 * math.pi) - 2 * np.log(-z) + np.log1p(-3 / z**2 + 15 / z**4)
    assert values[z < -30] == pytest.approx(tail[z < -30], rel=1e-9)
    assert slopes[z < -30] == pytest.approx(-z[z < -30], rel=3e-2)
    for z in (-1e3, -40.0, -5.0, -1.5, -0.5, 3.0):
        numeric = (
            acquisition.log_improvement(np.array(z + 1e-5))[0]
            - acquisition.log_improvement(np.array(z - 1e-5))[0]
        ) / 2e-5
        assert acquisition.log_improvement(np.array(z))[1] == pytest.approx(numeric, rel=1e-3)


@pytest.mark.parametrize("best", [None, -1.0, -40.0])
def test_gradient_of_the_acquisition(best):
    encoding, features, targets = some_data()
    process = gaussian_process.GaussianProcess(features, targets, encoding.groups, hyperparameters())
    other = gaussian_process.GaussianProcess(features, -targets[::-1], encoding.groups, hyperparameters())
    worth = acquisition.Acquisition(process, best, ((other, 0.2),))
    points = features[:4] + 0.07
    values, gradients = worth.with_gradient(points)
    assert values == pytest.approx(worth(points))
    for point, gradient in zip(points, gradients, strict=True):
        numeric = optimize.approx_fprime(point, lambda p: worth(p[None])[0], 1e-6)
        assert gradient == pytest.approx(numeric, rel=1e-3, abs=1e-3)


def test_maximise_finds_more_than_many_random_points():
    encoding, features, targets = some_data()
    process = gaussian_process.GaussianProcess(features, targets, encoding.groups, hyperparameters())
    worth = acquisition.Acquisition(process, float(targets.min()))
    rng = np.random.default_rng(3)
    found = acquisition.maximise(worth, encoding, encoding.sample(rng.random((5, 4))), rng)
    random = encoding.sample(np.random.default_rng(4).random((20_000, 4)))
    assert worth(encoding.features(found[:1]))[0] >= worth(encoding.features(random)).max() - 1e-3
    assert (encoding.snap(found) == found).all()


# Suggestions


def test_the_same_arguments_give_the_same_values_also_after_json():
    seen = run((RATE, MOMENTUM), bowl, 8)
    options = {"objectives": LOSS, "seed": 5}
    pending = [{"rate": 0.01, "momentum": 0.5}]
    first = suggest((RATE, MOMENTUM), seen, pending, **options)
    again = [Observation(**json.loads(json.dumps({"values": o.values, "figures": o.figures}))) for o in seen]
    assert suggest((RATE, MOMENTUM), again, json.loads(json.dumps(pending)), **options) == first
    assert json.loads(json.dumps(first)) == first
    assert suggest((RATE, MOMENTUM), seen, pending, objectives=LOSS, seed=6) != first


@pytest.mark.slow
def test_suggestions_hold_active_values_within_their_ranges():
    seen = run(EVERYTHING, lambda values: {"loss": values["float"] ** 2 + len(values)}, 12)
    encoding = Encoding(EVERYTHING)
    for trial in seen:
        assert encoding.decode(encoding.encode(trial.values)).keys() == trial.values.keys()
        assert 1e-5 <= trial.values["log"] <= 1e-1 and ("nested" in trial.values) == (
            trial.values.get("kind") == "y"
        )
    assert len(seen) == 12


def test_pending_trials_are_neither_suggested_again_nor_crowded():
    space = (RATE, MOMENTUM)
    seen, pending = run(space, bowl, 7), []
    for _ in range(4):
        pending.append(suggest(space, seen, pending, objectives=LOSS, seed=0))
    points = Encoding(space).encode_all(pending)
    apart = np.abs(points[:, None] - points).max(2)[np.triu_indices(4, 1)]
    assert apart.min() > 0.01
    assert len({json.dumps(values) for values in [*pending, *(trial.values for trial in seen)]}) == 11


@pytest.mark.parametrize("figures", [lambda values: {"loss": float(values["n"])}, lambda values: None])
def test_a_finite_space_is_searched_without_repeating_and_then_ends(figures):
    space = (choice("c", "a", "b"), number("n", 1, 8, kind="int", step=1), choice("m", 1, 2, when=("c", "b")))
    seen = run(space, figures, 99)
    assert len(seen) == 24 == len({json.dumps(trial.values) for trial in seen})


def test_a_space_without_choice_has_one_trial():
    assert len(run((choice("c", "a"),), lambda values: {"loss": 1.0}, 9)) == 1
    assert len(run((), lambda values: {"loss": 1.0}, 9)) == 1


@pytest.mark.slow
def test_a_diverging_half_is_left_alone():
    def figures(values):
        return None if values["rate"] > 1e-2 else bowl(values)

    for seed in range(4):
        seen = run((RATE, MOMENTUM), figures, 15, seed=seed)
        assert sum(trial.figures is None for trial in seen) <= 3
        assert min(trial.figures["loss"] for trial in seen if trial.figures) < 0.02


@pytest.mark.slow
def test_failures_do_not_end_the_search_nearby():
    calls = []

    def figures(values):
        calls.append(values)
        return None if len(calls) in (2, 5) else bowl(values)

    seen = run((RATE, MOMENTUM), figures, 20)
    assert min(trial.figures["loss"] for trial in seen if trial.figures) < 0.01


def test_figures_that_are_not_finite_count_as_failures():
    seen = run((RATE, MOMENTUM), bowl, 6)
    bad = [Observation(seen[0].values, {"loss": math.nan}), Observation(seen[1].values, {"other": 1.0})]
    worst = [Observation(seen[0].values, None), Observation(seen[1].values, None)]
    options = {"objectives": LOSS, "seed": 0}
    assert suggest((RATE, MOMENTUM), bad + seen[2:], (), **options) == suggest(
        (RATE, MOMENTUM), worst + seen[2:], (), **options
    )


def test_equal_results_do_not_stop_it():
    assert len({json.dumps(t.values) for t in run((RATE, MOMENTUM), lambda values: {"loss": 0.5}, 10)}) == 10


def test_maximising_is_minimising_the_negative():
    seen = run((RATE, MOMENTUM), bowl, 9)
    turned = [Observation(trial.values, {"accuracy": -trial.figures["loss"]}) for trial in seen]
    best = (Objective("accuracy", "max"),)
    assert suggest((RATE, MOMENTUM), turned, (), objectives=best, seed=0) == suggest(
        (RATE, MOMENTUM), seen, (), objectives=LOSS, seed=0
    )


@pytest.mark.slow
def test_constraints_are_kept_and_first_sought():
    limit = Constraint("kb", "<=", 30.0)

    def figures(values):  # good only where it is too large; 15 % of the space is small enough
        size = 100 * (1 - values["momentum"]) + 10 * math.log10(values["rate"])
        return {"loss": values["momentum"] + abs(math.log10(values["rate"]) + 1), "kb": size}

    seen = run((RATE, MOMENTUM), figures, 25, constraints=(limit,))
    keep = [trial for trial in seen if limit.holds(trial.figures)]
    assert len([trial for trial in seen[8:] if limit.holds(trial.figures)]) >= 9
    best = min(trial.figures["loss"] for trial in keep)
    grid = [(m, r) for m in np.linspace(0, 0.9, 300) for r in np.linspace(-4, 0, 300)]
    exact = min(m + abs(r + 1) for m, r in grid if 100 * (1 - m) + 10 * r <= 30)
    assert best < exact + 0.1


@pytest.mark.slow
def test_parego_covers_the_front():
    space = (number("x", 0.0, 1.0), number("y", 0.0, 1.0))

    def figures(values):  # the front is y = 0, a + b = 1 in roots
        x, y = values["x"], values["y"]
        return {"a": x**2 + y, "b": (1 - x) ** 2 + y}

    aims = (Objective("a", "min"), Objective("b", "min"))
    seen = run(space, figures, 30, objectives=aims)
    good = sorted(trial.values["x"] for trial in seen if trial.values["y"] < 0.05)
    assert good[0] < 0.1 and good[-1] > 0.9 and np.diff(good).max() < 0.25


@pytest.mark.slow
def test_it_beats_random_search():
    def branin(values):
        x, y = values["x"], values["y"]
        rest = 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10
        return {"loss": (y - 5.1 / (4 * math.pi**2) * x * x + 5 / math.pi * x - 6) ** 2 + rest}

    space, found = (number("x", -5.0, 10.0), number("y", 0.0, 15.0)), []
    for seed in range(3):
        found.append(min(trial.figures["loss"] for trial in run(space, branin, 25, seed=seed)))
        rng = np.random.default_rng(seed)
        random = [branin(Encoding(space).decode(row))["loss"] for row in rng.random((25, 2))]
        assert found[-1] < min(random)
    assert np.median(found) < 0.45  # 0.398 is the minimum


def test_warping_keeps_the_order_and_the_good_half():
    losses = np.array([0.02, 0.015, 0.01, 0.9, 0.89, 0.012, np.inf, np.inf])
    warped = bayesian.warp(losses)
    assert (warped[[0, 1, 2, 5]][losses[[0, 1, 2, 5]] <= 0.0175] == [0.015, 0.01, 0.012]).all()
    order = np.argsort(losses[:6])
    assert (np.diff(warped[:6][order]) > 0).all()
    assert warped[6] == warped[7] > warped[:6].max() and warped[6] < 0.1


def test_chebyshev_prefers_balance():
    scores = np.array([[0.0, 1.0], [1.0, 0.0], [0.5, 0.5], [1.0, 1.0]])
    assert bayesian.chebyshev(scores, np.array([0.5, 0.5])).argmin() == 2
    assert bayesian.chebyshev(scores, np.array([1.0, 0.0])).argmin() == 0
