#!/usr/bin/env bash
# The demo bundle from nothing: demonstrations, encoders, training stages, export, evaluation.
#
#   scripts/train_demo.sh [WORK]        WORK (default demo-work) holds data, runs and logs
#
# Two CPU cores need about two hours. Killed at any moment, the same command goes on where it was: recording skips
# episodes that are there, encoders that are finished are kept, and every training stage resumes at its last state.
set -euo pipefail

work=$(realpath -m "${1:-demo-work}")
repo=$(cd "$(dirname "$0")/.." && pwd)
seed=0
mkdir -p "$work/encoders"
cd "$work"

pvla data demo data/demo --episodes 240 --failures 50 --recoveries 80 --afterwards 40 --seed $seed --workers 2

if [ ! -f encoders/vision.safetensors ]; then
  python "$repo/scripts/pretrain_encoders.py" data/demo --out encoders --text-steps 1200 --vision-steps 1500 --seed $seed
fi
sed "s#source = \"demo\".*#source = \"encoders\"#" "$repo/pvla/presets/tiny.toml" > tiny.toml

train() { OMP_NUM_THREADS=1 pvla train "$1" --data data/demo --preset tiny.toml --runs runs --seed $seed -q; }

pvla data features data/demo --preset tiny.toml --workers 2

# Two stages at a time, one core each: a small network gains little from a second core. `wait PID` hands on a failure.
trap 'kill $(jobs -p) 2>/dev/null || true' EXIT
train progress & other=$!
train world-model
wait $other
train action-decoder & other=$!
train evaluator
train latent-expert
wait $other

# Chosen on scenes 2000000 to 2000055, which no result is measured on.
pvla export --target cpu --runs runs --half --name demo --guidance fast --scale 30 \
  --settings "$repo/scripts/demo_settings.json" --out "$repo/pvla/assets/demo"
pvla eval sim --bundle "$repo/pvla/assets/demo" --out eval
