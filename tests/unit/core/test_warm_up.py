"""A short stretch of fine-tuning on a copy, and what one step would do to the task loss."""

import copy

import numpy as np
import pytest
import torch
from torch import Tensor

from probes.batches import LabelledText, Tokenizer
from probes.context import Context, ModelAt
from probes.encoder import Encoder
from probes.errors import RunError
from probes.gradients import GradientAccumulator, Receive
from probes.gradients.between import Pulls
from probes.gradients.lookahead import _change, _stepped, look_ahead
from probes.gradients.rounds import GradientRounds
from probes.gradients.warm_up import LEARNING_RATE, AdamScale, _draw, warm_up
from probes.heads import Head
from probes.machine.precision import PassPrecision
from probes.progress import Stopwatch
from probes.signals import Point
from probes.tasks import level_called
from tests.conftest import Load
from tests.models import HIDDEN, sample_items, whole_gradient


class Material:
    """A working copy, a head and labelled texts for it."""

    def __init__(self, load: Load, name: str = "bert", count: int = 30) -> None:
        original = load(name)
        self.items, labels = sample_items(Tokenizer(original.tokenizer, 64), "token", count)
        self.encoder = original.working_copy(range(len(original.tokenizer)))
        generator = torch.Generator().manual_seed(0)
        weight = 0.3 * torch.randn(len(labels), HIDDEN, generator=generator)
        self.head = Head(weight, torch.zeros(len(labels)), level_called("token"))

    def loss(self) -> float:
        batch = level_called("token").collate(self.items, self.encoder)
        with torch.no_grad():
            return float(self.head.loss(self.encoder, batch))

    def warm(self, steps: int = 6, seed: int = 0) -> AdamScale:
        return warm_up(
            self.encoder,
            self.head,
            self.items,
            steps=steps,
            batch_size=8,
            context=Context(seed=seed),
        )

    def at(self, point: Point = "theta_warm") -> ModelAt:
        return ModelAt(point, self.encoder, self.head, Tokenizer(self.encoder.tokenizer, 64))


def weights(encoder: Encoder) -> list[Tensor]:
    return [parameter.detach().clone() for parameter in encoder.parameters()]


@pytest.mark.parametrize("name", ["bert", "modernbert", "t5"])
def test_warming_up_moves_every_layer_and_lowers_the_loss(load: Load, name: str) -> None:
    material = Material(load, name)
    before, at_first = (
        {b: [p.detach().clone() for p in g] for b, g in blocks(material).items()},
        material.loss(),
    )
    material.warm(steps=40)
    assert material.loss() < at_first
    for block, group in blocks(material).items():
        moved = [not torch.equal(a, b) for a, b in zip(before[block], group, strict=True)]
        assert any(moved), block
    assert not material.encoder.base.training
    assert not any(module.training for module in material.encoder.base.modules())


def blocks(material: Material) -> dict[str, list[torch.nn.Parameter]]:
    return material.encoder.block_parameters()


def test_the_same_seed_warms_up_the_same_way(load: Load) -> None:
    first, second, other = Material(load), Material(load), Material(load)
    torch.manual_seed(1)
    first.warm(seed=3)
    torch.manual_seed(2)
    second.warm(seed=3)
    other.warm(seed=4)
    assert all(map(torch.equal, weights(first.encoder), weights(second.encoder)))
    assert torch.equal(first.head.weight, second.head.weight)
    assert not all(map(torch.equal, weights(first.encoder), weights(other.encoder)))


def test_dropout_is_on_while_warming_up(load: Load) -> None:
    plain, without = Material(load), Material(load)
    for module in without.encoder.base.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    plain.warm()
    without.warm()
    assert not all(map(torch.equal, weights(plain.encoder), weights(without.encoder)))


def test_the_scale_is_positive_and_as_long_as_each_block(load: Load) -> None:
    material = Material(load)
    scale = material.warm()
    sizes = {block: sum(p.numel() for p in group) for block, group in blocks(material).items()}
    assert {block: len(values) for block, values in scale.blocks.items()} == sizes
    for values in scale.blocks.values():
        assert torch.isfinite(values).all()
        assert (values > 0).all()
        assert float(values.max()) > 1e-8  # more than Adam's epsilon somewhere


def test_after_one_step_the_scale_is_the_gradients_size(load: Load) -> None:
    # With one step, sqrt(v / (1 - beta)) is |g|, here after clipping.
    material = Material(load)
    for module in material.encoder.base.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    chosen = next(_draw(material.items, 1, 8, 0))
    batch = level_called("token").collate(chosen, material.encoder)
    parameters = [*material.encoder.parameters(), *material.head.parameters()]
    gradients = torch.autograd.grad(material.head.loss(material.encoder, batch), parameters)
    norm = torch.cat([g.flatten() for g in gradients]).norm()
    expected = gradients[0].flatten().abs() * min(1.0, 1.0 / float(norm))
    scale = material.warm(steps=1)
    first = scale.blocks["embeddings"][: expected.numel()]
    torch.testing.assert_close(first, expected, atol=2e-7, rtol=1e-3)


def test_a_loss_that_is_not_finite_is_reported(load: Load) -> None:
    material = Material(load)
    with torch.no_grad():
        material.head.weight.fill_(float("nan"))
    with pytest.raises(RunError, match="not finite"):
        material.warm()
    assert not material.encoder.base.training


def test_every_item_is_drawn_before_any_is_drawn_again() -> None:
    material = [LabelledText(None, (i,)) for i in range(10)]  # type: ignore[arg-type]
    batches = list(_draw(material, 5, 4, seed=0))
    assert [len(batch) for batch in batches] == [4] * 5
    drawn = [item.labels[0] for batch in batches for item in batch]
    assert sorted(drawn[:10]) == sorted(drawn[10:]) == list(range(10))
    small = list(_draw(material[:3], 2, 8, seed=0))
    assert all(0 < len(batch) <= 8 for batch in small)


def rounds_along(material: Material, sign: float, precision: PassPrecision = "fp32") -> GradientRounds:
    """An objective whose gradient is the task's own, or its opposite."""
    parameters = blocks(material)
    batch = level_called("token").collate(material.items, material.encoder)
    found = whole_gradient(material.head.loss(material.encoder, batch), parameters)
    direction = {block: sign * torch.cat(list(pieces)) for block, pieces in found.items()}
    accumulator = GradientAccumulator({block: [len(v)] for block, v in direction.items()}, ["made-up"])

    def hand_over(receive: Receive) -> None:
        for block, vector in direction.items():
            receive(block, 0, vector)

    for _ in range(3):
        accumulator.add_round({"made-up": hand_over})
    return GradientRounds(
        losses=(),
        cosines=(),
        conflicts=(),
        moments=accumulator.moments(),
        objectives=("made-up",),
        pulls=Pulls(("made-up",), (), {}),
        mean_gradient=accumulator.mean,
        rounds=3,
        precision=precision,
        release=accumulator.release,
    )


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("name", ["bert", "t5"])
def test_a_step_along_the_task_gradient_helps_and_against_it_hurts(
    load: Load, name: str, sign: float
) -> None:
    material = Material(load, name)
    before = weights(material.encoder)
    adam = AdamScale({block: torch.ones(sum(map(torch.numel, g))) for block, g in blocks(material).items()})
    rows = look_ahead(
        material.at(),
        rounds_along(material, sign),
        {"source": material.items, "target-labels": material.items[:10]},
        Stopwatch(),
        adam,
    )
    assert [(row.scaling, row.on) for row in rows] == [
        (scaling, on) for scaling in ("raw", "adam") for on in ("source", "target-labels")
    ]
    raw = rows[0]
    assert raw.objective == "made-up"
    assert raw.change.value is not None
    assert raw.change.value * sign > 0
    assert raw.step == pytest.approx(
        0.05 * LEARNING_RATE * sum(p.numel() for p in material.encoder.parameters()) ** 0.5
    )
    assert all(torch.equal(a, b) for a, b in zip(before, weights(material.encoder), strict=True))


def test_what_the_warm_up_did_not_reach_does_not_take_the_whole_step() -> None:
    # As for embeddings of target-language words: no task gradient has ever come by, so v is 0 there.
    torch.manual_seed(0)
    task, unseen = 1000, 10
    scale = AdamScale({"a": torch.rand(task) + 0.5, "b": torch.full((unseen,), 1e-8)})
    gradient = {"a": torch.randn(task), "b": torch.randn(unseen)}
    for size in (1e-3, 1.0, 1e3):
        direction = scale.direction({block: size * g for block, g in gradient.items()})
        assert all(torch.equal(direction[block].sign(), gradient[block].sign()) for block in gradient)
        steps = {block: float(d.square().sum()) for block, d in direction.items()}
        assert steps["b"] == pytest.approx(unseen, rel=1e-3)  # one learning rate each, as Adam's first step
        assert steps["b"] < 0.1 * steps["a"]


def test_along_the_task_gradient_adam_goes_where_adam_goes() -> None:
    torch.manual_seed(0)
    gradient = torch.randn(1000)
    scale = AdamScale({"a": gradient.abs()})  # v is what this gradient made it
    assert torch.allclose(scale.direction({"a": 3 * gradient})["a"], gradient.sign() / 2**0.5)


def test_looking_ahead_in_bf16_sees_the_step(load: Load) -> None:
    # Weights that were cast before the step must not serve after it.
    material = Material(load)
    adam = AdamScale({block: torch.ones(sum(map(torch.numel, g))) for block, g in blocks(material).items()})
    both: tuple[PassPrecision, ...] = ("fp32", "bf16")
    full, half = (
        look_ahead(
            material.at(),
            rounds_along(material, 1.0, precision),
            {"source": material.items},
            Stopwatch(),
            adam,
        )[1].change.value
        for precision in both
    )
    assert full is not None
    assert full > 0.1
    assert half == pytest.approx(full, rel=0.1)


def test_without_adam_there_are_raw_steps_only(load: Load) -> None:
    material = Material(load)
    rows = look_ahead(
        material.at("theta0"), rounds_along(material, 1.0), {"source": material.items}, Stopwatch()
    )
    assert [row.scaling for row in rows] == ["raw"]


def test_the_change_is_the_difference_of_measured_losses(load: Load) -> None:
    material = Material(load)
    rounds = rounds_along(material, 1.0)
    (row,) = look_ahead(material.at("theta0"), rounds, {"source": material.items}, Stopwatch())
    before = material.loss()
    with _stepped(material.encoder, rounds.mean_gradient("made-up"), row.step):
        after = material.loss()
    assert row.change.value == pytest.approx(100 * (1 - after / before), rel=0.01, abs=1e-4)


def test_the_weights_come_back_also_after_an_error(load: Load) -> None:
    material = Material(load)
    before = weights(material.encoder)
    direction = rounds_along(material, 1.0).mean_gradient("made-up")
    distances = []

    def interrupted() -> None:
        with _stepped(material.encoder, direction, 3.0):
            distances.append(distance(before, weights(material.encoder)))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert distances == pytest.approx([3.0], rel=1e-3)
    assert distance(before, weights(material.encoder)) == 0


def distance(before: list[Tensor], after: list[Tensor]) -> float:
    return float(torch.cat([(a - b).flatten() for a, b in zip(before, after, strict=True)]).norm())


def test_a_direction_of_zero_goes_nowhere(load: Load) -> None:
    material = Material(load)
    before = weights(material.encoder)
    nowhere = {block: torch.zeros(sum(map(torch.numel, g))) for block, g in blocks(material).items()}
    with _stepped(material.encoder, nowhere, 3.0):
        assert all(torch.equal(a, b) for a, b in zip(before, weights(material.encoder), strict=True))


def test_the_change_has_a_jackknife_interval_over_texts() -> None:
    generator = np.random.default_rng(0)
    before = np.stack([generator.uniform(1, 3, 12), np.ones(12)], axis=1)
    after = copy.deepcopy(before)
    after[:, 0] *= generator.uniform(0.8, 1.0, 12)
    found = _change(before, after)
    assert found.value == pytest.approx(100 * (1 - after[:, 0].sum() / before[:, 0].sum()))
    without = [
        100 * (1 - np.delete(after[:, 0], i).sum() / np.delete(before[:, 0], i).sum()) for i in range(12)
    ]
    error = np.sqrt(11 / 12 * np.sum((without - np.mean(without)) ** 2))
    assert found.high is not None
    assert found.value is not None
    assert found.high - found.value == pytest.approx(2.200985 * error)  # t(0.975, 11)
    assert _change(before[:2], after[:2]).value is None
