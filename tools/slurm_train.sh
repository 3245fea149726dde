#!/usr/bin/env bash
# Train on a Slurm cluster.
# usage: slurm_train.sh PARTITION JOB_NAME CONFIG [arguments of train.py]
# Environment: GPUS (8), GPUS_PER_NODE (8), CPUS_PER_TASK (5), SRUN_ARGS.
# In a job that was requeued (sbatch --requeue) it resumes by itself.
set -euo pipefail
[ $# -ge 3 ] || { sed -n '2,5s/^# //p' "$0" >&2; exit 2; }

export MASTER_PORT=${MASTER_PORT:-$((12000 + RANDOM % 20000))}
per_node=${GPUS_PER_NODE:-8}
read -ra srun_args <<<"${SRUN_ARGS:-}"

exec srun --partition="$1" --job-name="$2" --gres="gpu:$per_node" \
    --ntasks="${GPUS:-8}" --ntasks-per-node="$per_node" --cpus-per-task="${CPUS_PER_TASK:-5}" \
    --kill-on-bad-exit=1 ${srun_args[@]+"${srun_args[@]}"} \
    python -u "$(dirname "$0")/train.py" "$3" --launcher slurm "${@:4}"
