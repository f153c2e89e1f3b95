"""The effect model on simulated evidence with known truth."""

from collections import Counter
from dataclasses import replace
from statistics import NormalDist

import numpy as np
import pytest

from advisor.decide import decide
from advisor.findings import load_tables
from advisor.findings.evidence import LIGHT, Case, Observation
from advisor.findings.model import (
    EffectModel,
    Prediction,
    expectations,
    from_arrays,
    leading,
    scale,
    to_arrays,
)
from advisor.findings.model._design import Design, solve
from advisor.findings.model._labs import PRIOR_SCALE
from advisor.findings.model._spread import Spread
from advisor.options import Option
from tests.unit.findings.simulation import FROZEN, MODELS, TASKS, make_case, simulate

pytestmark = pytest.mark.slow

OF_MODEL = {"alpha": 2.0, "beta": 0.5, "gamma": -1.0}
OF_TASK = {"pos": 1.0, "ner": 0.0, "nli": -0.5}
OF_FROZEN = {"none": 0.0, "lower-half": 0.3, "upper-half": -0.4}


def _planted(seed: int) -> dict[tuple[str, str], float]:
    """Effects of languages on tasks that scatter by exactly .8, among those held out and among the others: so
    few would by chance scatter by .6, and all intervals be too wide."""
    effects = np.random.default_rng(1000 + seed).normal(size=(24, len(TASKS)))
    out = np.arange(24) % 6 == 0
    for rows in (out, ~out):
        effects[rows] *= 0.8 / effects[rows].std()
    return {(f"l{i}", task): float(effects[i, j]) for i in range(24) for j, (task, _) in enumerate(TASKS)}


def _effect(seed: int):  # type: ignore[no-untyped-def]
    by_language = _planted(seed)

    def effect(case: Case, random: np.random.Generator) -> float:
        return (
            OF_MODEL[case.model]
            + OF_TASK[case.task]
            + OF_FROZEN[case.frozen_layers]
            + 0.7 * case.facts[0]
            + by_language[case.target, case.task]
        )

    return effect


def _held_out(case: Case) -> bool:
    return int(case.target[1:]) % 6 == 0


@pytest.fixture(scope="module")
def fits() -> list[tuple[EffectModel, Prediction, np.ndarray, list[Case]]]:
    """Fits to five worlds without a sixth of their languages, and predictions for those."""
    found = []
    for seed in range(5):
        world = simulate(seed, _effect(seed))
        held = np.array([_held_out(observation.case) for observation in world.observations])
        rest = [o for o, out in zip(world.observations, held, strict=True) if not out]
        cases = [o.case for o, out in zip(world.observations, held, strict=True) if out]
        model = EffectModel.fit(rest)
        found.append((model, model.predict(cases), world.truth[held], cases))
    return found


def test_intervals_for_new_languages_cover_the_truth(fits: list) -> None:  # type: ignore[type-arg]
    inside = np.concatenate(
        [(p.quantile(0.1) <= truth) & (truth <= p.quantile(0.9)) for _, p, truth, _ in fits]
    )
    assert 0.75 < inside.mean() < 0.88


def test_planted_effects_are_recovered(fits: list) -> None:  # type: ignore[type-arg]
    """Mean predictions by model, task and option agree with what was planted."""
    for _, prediction, truth, cases in fits:
        correlation = np.corrcoef(prediction.centre, np.arcsinh(truth / 2.5))[0, 1]
        assert correlation > 0.75
        by_model = {
            m: np.mean([z for z, c in zip(prediction.centre, cases, strict=True) if c.model == m])
            for m in MODELS
        }
        assert by_model["alpha"] - by_model["beta"] == pytest.approx(1.5, abs=0.4)
        assert by_model["beta"] - by_model["gamma"] == pytest.approx(1.5, abs=0.4)
        by_option = {
            f: np.mean([z for z, c in zip(prediction.centre, cases, strict=True) if c.frozen_layers == f])
            for f in FROZEN
        }
        assert by_option["lower-half"] > by_option["none"] > by_option["upper-half"]


def test_where_alignment_does_nothing_it_is_not_advised() -> None:
    """With no true effect at all, at most one answer in twenty may be to align, and sure of it."""
    decisions = []
    for seed in range(8):
        world = simulate(seed, lambda case, random: 0.0, noise=0.6)
        model = EffectModel.fit(world.observations)
        for language in (*range(0, 24, 3), 100, 101):  # measured ones and new ones
            for name in MODELS:
                for task, level in TASKS:
                    cases = [make_case(name, task, level, language, frozen, source="") for frozen in FROZEN]
                    options = [Option.parse(f"token-contrastive:sequential:{frozen}") for frozen in FROZEN]
                    direct, first = Counter({"token-contrastive": 3}), {option.kind for option in options}
                    expected = expectations(model.predict(cases), options, direct, first, 0.5)
                    decision = decide(expected, min_gain=0.5)
                    decisions.append((decision.decision, decision.confidence))
    assert np.mean([decision == ("align", "likely") for decision in decisions]) <= 0.05


def test_what_nobody_ran_is_named_after_what_somebody_did() -> None:
    case = make_case("alpha", "ner", "token", 1, "none", source="")
    options = [Option.parse(f"token-contrastive:sequential:{frozen}") for frozen in FROZEN]
    rows = [effect for effect in load_tables().strata[LIGHT] if effect.task == "ner"]
    none, lower, upper = (option.kind for option in options)
    assert leading(case, rows, []) >= {none, lower, upper}
    assert leading(case, rows, [row for row in rows if row.frozen_layers == "upper-half"]) == {upper}
    assert none in leading(replace(case, task="topic"), rows, [])  # as nobody measured that task
    guess = Prediction(np.array([[1.0], [3.0], [2.0]]), np.ones((3, 1)), np.ones(1))
    expected = expectations(guess, options, Counter({"token-contrastive": 1}), {upper}, 0.25)
    assert decide(expected, min_gain=0.25).order[:2] == (options[2], options[1])


def test_a_low_baseline_by_chance_is_no_gain() -> None:
    """Gains that share one unlucky baseline are discounted, gains with baselines of their own are not."""

    def fitted(shared: bool) -> float:
        world = simulate(3, lambda case, random: 0.0, noise=0.6)
        lifted: list[Observation] = []
        for observation in world.observations:
            odd = (observation.case.model, observation.case.task, observation.case.target) == (
                "beta",
                "pos",
                "l5",
            )
            frozen = observation.case.frozen_layers
            lifted.append(
                Observation(
                    observation.case,
                    observation.gain + (1.5 if odd else 0.0),
                    observation.standard_error,
                    observation.baseline if shared else (*observation.baseline, frozen),
                    observation.baseline_error,
                )
            )
        cases = [make_case("beta", "pos", "token", 5, frozen) for frozen in FROZEN]
        return float(EffectModel.fit(lifted).predict(cases).centre.mean())

    assert 0 < fitted(shared=True) < fitted(shared=False)


def test_uncertainty_grows_with_what_is_unseen(fits: list) -> None:  # type: ignore[type-arg]
    model = fits[0][0]

    def sd(name: str, task: str, level: str, language: int) -> float:
        return float(model.predict([make_case(name, task, level, language, "none")]).sd[0])

    seen = sd("alpha", "pos", "token", 1)
    language = sd("alpha", "pos", "token", 99)
    encoder = sd("delta", "pos", "token", 99)
    task = sd("delta", "topic", "sentence", 99)
    assert seen < language < encoder < task


def test_fitting_twice_gives_the_same_numbers() -> None:
    world = simulate(0, _effect(0), languages=8)
    first, second = EffectModel.fit(world.observations), EffectModel.fit(world.observations)
    assert first.columns == second.columns
    assert all(
        np.array_equal(a.mean, b.mean) for a, b in zip(first.posteriors, second.posteriors, strict=True)
    )
    assert first.variances == second.variances


def test_a_model_survives_its_arrays(fits: list) -> None:  # type: ignore[type-arg]
    model, _, _, cases = fits[0]
    asked = [replace(case, source_id="", lab="", run="") for case in cases]
    prediction, again = model.predict(asked), from_arrays(to_arrays(model)).predict(asked)
    assert again.centre == pytest.approx(prediction.centre, abs=1e-2)
    assert again.sd == pytest.approx(prediction.sd, abs=1e-2)


def test_the_parts_add_up_to_the_centre(fits: list) -> None:  # type: ignore[type-arg]
    _, prediction, _, _ = fits[0]
    sums = [sum(parts.values()) for parts in prediction.parts]
    assert prediction.centre == pytest.approx(sums)


def test_probabilities_and_quantiles_agree() -> None:
    centres, sds = np.array([[0.3], [-1.0], [4.0]]), np.array([[1.0], [0.5], [2.0]])
    prediction = Prediction(centres, sds, np.array([1.0]))
    tenth = prediction.quantile(0.1)
    for i in range(3):
        assert prediction.probability_above(float(tenth[i]))[i] == pytest.approx(0.9, abs=2e-3)
    assert np.all((tenth < prediction.mean) & (prediction.mean < prediction.quantile(0.9)))
    assert prediction.probability_above(0.0)[0] == pytest.approx(NormalDist().cdf(0.3))


def test_leaving_out_without_a_refit_predicts_as_a_refit_does() -> None:
    world = simulate(3, _effect(3), languages=12)
    model = EffectModel.fit(world.observations)
    for language in ("l2", "l7"):
        out = [o for o in world.observations if o.case.target == language]
        errors, variances = model.left_out(out)
        rest = [o for o in world.observations if o.case.target != language]
        refitted = EffectModel.fit(rest).predict([o.case for o in out])
        gains = scale.to_scale(np.array([o.gain for o in out]))
        assert np.abs(gains - errors - refitted.centre).max() < 0.15
        assert variances == pytest.approx(np.median(variances), rel=0.5)
        assert np.sqrt(np.mean(errors**2 / variances)) < 2
        in_fit = np.abs(gains - model.predict([o.case for o in out]).centre)
        assert np.mean(np.abs(errors)) > np.mean(in_fit)  # a fit that has seen them errs less


@pytest.mark.parametrize("from_a_file", [False, True])
def test_what_is_given_later_counts_as_if_it_had_been_fitted(
    from_a_file: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the variances held fixed, the update is exactly the fit to everything."""
    world = simulate(0, _effect(0), languages=9).observations
    spread = Spread.fit([o.case for o in world], np.array([o.gain for o in world]))
    monkeypatch.setattr(Spread, "fit", lambda *_: spread)
    own = [o.case.target == "l4" and o.case.task == "pos" for o in world]
    world = [
        replace(o, case=replace(o.case, source_id="", lab="", run="")) if mine else o
        for o, mine in zip(world, own, strict=True)
    ]
    later = [o for o, mine in zip(world, own, strict=True) if mine]
    first = EffectModel.fit([o for o in world if o not in later], iterations=0, grid=(1.4,))
    if from_a_file:
        first = from_arrays(to_arrays(first))
    fitted, updated = EffectModel.fit(world, iterations=0, grid=(1.4,)), first.given(later)

    (after,), (whole,) = updated.posteriors, fitted.posteriors
    places = [updated.columns.index(column) for column in fitted.columns if column in updated.columns]
    kept = [fitted.columns.index(updated.columns[place]) for place in places]
    assert len(kept) > 100
    tolerance = 1e-4 if from_a_file else 1e-9
    assert after.mean[places] == pytest.approx(whole.mean[kept], abs=tolerance)
    block = after.covariance[np.ix_(places, places)]
    assert block == pytest.approx(whole.covariance[np.ix_(kept, kept)], abs=tolerance)


@pytest.mark.parametrize("whole", [True, False])
def test_blocks_are_eliminated_exactly(whole: bool) -> None:
    """Against NumPy's own solver; the last block is empty, the first column shared."""
    random, blocks = np.random.default_rng(0), np.array([-1, 0, 2, 2, 1, -1, 0, 1, 1])
    x, of_row = random.normal(size=(40, 9)), random.integers(0, 3, 40)
    x[(blocks >= 0) & (blocks != of_row[:, None])] = 0
    matrix, vector = x.T @ x + np.eye(9), random.normal(size=9)
    assert (Design.of([[(i, w) for i, w in enumerate(row)] for row in x]).blocks(of_row, 9) == blocks).all()
    solution, inverse, log_determinant = solve(matrix, vector, blocks, whole=whole)
    assert solution == pytest.approx(np.linalg.solve(matrix, vector))
    assert log_determinant == pytest.approx(np.linalg.slogdet(matrix)[1])
    apart = (blocks[:, None] >= 0) & (blocks >= 0) & (blocks[:, None] != blocks)
    assert inverse == pytest.approx(np.where(apart & (not whole), 0.0, np.linalg.inv(matrix)))


def test_offsets_are_taken_off_what_is_given() -> None:
    world = simulate(0, _effect(0), languages=9).observations
    model = EffectModel.fit(world[9:])
    told = model.given(world[:9], np.full(9, 2.0))
    plain = model.given([replace(o, gain=0.0) for o in world[:9]])
    moved = model.given([replace(o, gain=0.0) for o in world[:9]], np.full(9, 2.0))
    cases = [o.case for o in world[:9]]
    assert (moved.predict(cases).centre < plain.predict(cases).centre).all()
    assert (told.predict(cases).sd < model.predict(cases).sd + 1e-9).all()


def test_only_what_was_fitted_can_be_left_out() -> None:
    world = simulate(4, _effect(4), languages=6)
    model = EffectModel.fit(world.observations[:-9])
    with pytest.raises(KeyError):
        model.left_out(world.observations[-9:])


def _labs(seed: int, labs: int, spread: float) -> tuple[list[Observation], list[Case], np.ndarray]:
    """Gains that labs measured of one encoder each, and the truth of what one more lab would measure."""
    random = np.random.default_rng(seed)
    of_lab = random.normal(0, spread, labs + 1)
    of_language = random.normal(0, 0.5, 10)
    observations, cases, truth = [], [], []
    for lab in range(labs + 1):
        for language in range(10):
            case = replace(
                make_case(MODELS[lab % 2], "pos", "token", language, "none", source=f"s{lab}"),
                lab=f"lab{lab}",
                run=f"s{lab}",
            )
            z = 0.8 + of_lab[lab] + of_language[language] + float(random.normal(0, 0.3))
            gain = float(scale.to_points(np.array(z)))
            if lab == labs:
                cases.append(replace(case, lab="", run=""))
                truth.append(gain)
            else:
                key = (f"s{lab}", case.target)
                observations.append(Observation(case, gain + float(random.normal(0, 0.3)), 0.3, key, 0.2))
    return observations, cases, np.array(truth)


@pytest.mark.parametrize("labs", [3, 6])
def test_intervals_for_a_new_lab_cover_what_it_measures(labs: int) -> None:
    """Between-lab spread as it is estimated from the tables; each world's new lab counts once."""
    inside = []
    for seed in range(100):
        observations, cases, truth = _labs(seed, labs, spread=PRIOR_SCALE)
        prediction = EffectModel.fit(observations, iterations=2).predict(cases)
        covered = (prediction.quantile(0.1) <= truth) & (truth <= prediction.quantile(0.9))
        inside.append(covered.mean())
    assert 0.75 <= np.mean(inside) <= 0.88


def test_a_new_lab_is_less_sure_than_one_that_was_seen() -> None:
    observations, cases, _ = _labs(1, 6, spread=2.0)
    model = EffectModel.fit(observations)
    seen = [replace(case, lab="lab0", run="s0", source_id="s0") for case in cases]
    assert (model.predict(seen).sd < model.predict(cases).sd).all()


def test_one_lab_as_statsmodels_sees_it() -> None:
    """The mean over labs of a random-intercept model by REML lies where the effect model's does."""
    from statsmodels.regression.mixed_linear_model import MixedLM

    observations, _, _ = _labs(2, 12, spread=1.0)
    z = scale.to_scale(np.array([o.gain for o in observations]))
    groups = [o.case.lab for o in observations]
    reml = MixedLM(z, np.ones((len(z), 1)), groups).fit()
    model = EffectModel.fit(observations)
    cases = [replace(o.case, lab="", run="") for o in observations]
    assert float(model.predict(cases).centre.mean()) == pytest.approx(float(reml.params[0]), abs=0.35)
    spread = float(sum(p.weight * p.lab_spread for p in model.posteriors))
    assert spread == pytest.approx(float(np.sqrt(reml.cov_re[0, 0])), abs=0.5)


def test_the_kernel_is_a_correlation_and_nearer_is_more() -> None:
    observations, cases, _ = _labs(3, 4, spread=1.0)
    model = EffectModel.fit(observations, iterations=1)
    other = make_case("delta", "nli", "pair", 55, "none", source="")
    same, far = model.kernel(cases[0], [cases[0], other])
    assert same == pytest.approx(1.0)
    assert 0 <= far < same
