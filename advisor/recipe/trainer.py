"""The recipe on transformers.Trainer: ``python trainer.py recipe.yaml``, or by ``accelerate launch``.

The same command goes on where it was stopped. Change whatever you like: this is your training script.
"""

import sys

from advisor.recipe import read_recipe
from advisor.training import Losses, make_trainer, prepare, save_encoder, scores, train_on, trainable

recipe = read_recipe(sys.argv[1])
targets = {"target": recipe.target_labels} if recipe.target_labels else {}
setting = prepare(recipe, targets | recipe.also_labels)
pairs = setting.pairs()
encoder = trainable(setting, pairs)

if setting.sequential:  # first the alignment loss alone, then the task's
    aligned = Losses(encoder, recipe.option, None, setting.given)
    train_on(make_trainer(setting, aligned, [], pairs, "align"))
    pairs = []

losses = Losses(encoder, recipe.option, setting.fit_head(encoder), setting.given)
trainer = make_trainer(setting, losses, setting.texts.train, pairs, "fine-tune")
train_on(trainer)

if trainer.is_world_process_zero():
    for name, score in scores(setting, losses).items():
        print(f"{setting.texts.task.metric} on {name} text: {score}")
    save_encoder(setting, losses, f"{recipe.output}/encoder")
