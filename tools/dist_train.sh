#!/usr/bin/env bash
# Train with one process a GPU, or N processes on a CPU-only machine.
# usage: dist_train.sh CONFIG PROCESSES [--max-restarts N] [arguments of train.py]
# Several nodes: set NNODES, NODE_RANK, MASTER_ADDR and PORT on each.
# Other options of torchrun: TORCHRUN_ARGS='--log-dir=logs --tee=3'.
set -euo pipefail
[ $# -ge 2 ] || { sed -n '2,5s/^# //p' "$0" >&2; exit 2; }

config=$1
processes=$2
shift 2
restarts=${PET_MAX_RESTARTS:-0} # torchrun reads this variable, too
arguments=()
while [ $# -gt 0 ]; do
    case $1 in
    --max-restarts | --max_restarts) restarts=${2:?$1 takes a number} && shift ;;
    --max-restarts=* | --max_restarts=*) restarts=${1#*=} ;;
    *) arguments+=("$1") ;;
    esac
    shift
done
address=${MASTER_ADDR:-127.0.0.1}
port=${PORT:-29500}
nodes=${NNODES:-1}
node=${NODE_RANK:-0}
if [ "$restarts" = 0 ]; then
    rendezvous=(--node-rank="$node" --master-addr="$address" --master-port="$port")
else
    # torchrun's static rendezvous, and a store that all starts share, hand the addresses of the ended
    # processes to the new ones, which then wait for nobody.
    export TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1
    rendezvous=(--max-restarts="$restarts")
    if [ "$nodes" = 1 ]; then # c10d would share the port of another job; this takes a free one
        rendezvous+=(--standalone --local-addr="$address")
    else
        rendezvous+=(--rdzv-backend=c10d --rdzv-endpoint="$address:$port"
            --rdzv-conf="is_host=$((node == 0))${RDZV_CONF:+,$RDZV_CONF}")
    fi
fi
read -ra torchrun_args <<<"${TORCHRUN_ARGS:-}"
cpus=$(getconf _NPROCESSORS_ONLN)
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-$(((cpus + processes - 1) / processes))}
export LAUNCHER_PID=$$ # torchrun's, which takes this shell's place

exec python -m torch.distributed.run \
    --nnodes="$nodes" --nproc-per-node="$processes" "${rendezvous[@]}" \
    ${torchrun_args[@]+"${torchrun_args[@]}"} \
    "$(dirname "$0")/train.py" "$config" --launcher pytorch ${arguments[@]+"${arguments[@]}"}
