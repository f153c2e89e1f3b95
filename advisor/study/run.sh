#!/bin/sh
# Runs the study in this folder, or goes on with it. Options of `advisor study run` may follow.
cd "$(dirname "$0")" || exit 2
export PYTHONPATH=. HF_HUB_OFFLINE=1 OMP_WAIT_POLICY=PASSIVE
exec "${PYTHON:-python3}" -m advisor study run plan.yaml --out study "$@"
