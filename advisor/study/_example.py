"""A plan to begin with."""

from advisor.recipe import OFFLINE_MODELS
from advisor.study._encoder_states import ContinuedMlm, Derived
from advisor.study._plan import PairPlan, Plan, TaskPlan


def example_plan() -> Plan:
    """A small plan that shows every key."""
    return Plan(
        data="data",
        models={
            "bundled": OFFLINE_MODELS[0],
            "bundled-6": Derived(base=OFFLINE_MODELS[0], layers=6),
            "bundled-mlm": Derived(
                base=OFFLINE_MODELS[0], continued_mlm=ContinuedMlm(bitext=["bitext/en-wo.tsv"])
            ),
        },
        pairs=[
            PairPlan(target="wo", bitext="bitext/en-wo.tsv"),
            PairPlan(target="de", bitext="bitext/en-de.news.tsv+bitext/en-de.talks.tsv"),
        ],
        tasks={
            "pos": TaskPlan(
                train="pos/{source}.train.conllu",
                source_test="pos/{source}.test.conllu",
                target_test="pos/{target}.test.conllu",
            ),
            "topic": TaskPlan(
                train="topic/{source}.train.tsv",
                target_test="topic/{target}.test.tsv",
                target_labels="topic/{target}.dev.tsv",
                targets=["wo"],
            ),
        },
        options=[
            "token-contrastive:joint:0.1",
            "token-contrastive:joint:norms",
            "sentence-contrastive:sequential",
        ],
        seeds=[0, 1, 2],
    )
