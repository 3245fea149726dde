#!/usr/bin/env bash
# Test with one process a GPU, or N processes on a CPU-only machine.
# usage: dist_test.sh CONFIG CHECKPOINT PROCESSES [arguments of test.py]
# Several nodes: set NNODES, NODE_RANK, MASTER_ADDR and PORT on each.
set -euo pipefail
[ $# -ge 3 ] || { sed -n '2,4s/^# //p' "$0" >&2; exit 2; }

config=$1
checkpoint=$2
processes=$3
cpus=$(getconf _NPROCESSORS_ONLN)
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-$(((cpus + processes - 1) / processes))}
export LAUNCHER_PID=$$ # torchrun's, which takes this shell's place

exec python -m torch.distributed.run \
    --nnodes="${NNODES:-1}" --node-rank="${NODE_RANK:-0}" \
    --master-addr="${MASTER_ADDR:-127.0.0.1}" --master-port="${PORT:-29500}" \
    --nproc-per-node="$processes" \
    "$(dirname "$0")/test.py" "$config" "$checkpoint" --launcher pytorch "${@:4}"
