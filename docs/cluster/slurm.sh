#!/bin/bash
# raysim on Slurm: a Ray cluster for the time of one job. sbatch docs/cluster/slurm.sh fedrsclip --trials 20 --seeds 5
# Submitted again with OUT=DIR of an earlier job, it goes on where that one stopped.
#SBATCH --job-name=raysim
#SBATCH --nodes=3
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=8
#SBATCH --gpus-per-node=1
#SBATCH --time=08:00:00
#SBATCH --signal=B:TERM@120        # two minutes before the end: raysim stops, everything finished is on disk
set -euo pipefail
. "${RAYSIM_ENV:-$HOME/raysim-env}/bin/activate"            # the environment with raysim, the same on every node
OUT=${OUT:-$SLURM_SUBMIT_DIR/results/slurm-$SLURM_JOB_ID}   # on storage that all nodes share, so that it outlives them
export RAYSIM_CACHE=${RAYSIM_CACHE:-$SLURM_SUBMIT_DIR/raysim-cache}   # features are computed once, not on every node
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH=$HOME/.ray/auth_token  # nobody else on these nodes can join
[ -f "$RAY_AUTH_TOKEN_PATH" ] || ray get-auth-token --generate > /dev/null

head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | sed -n 1p)     # this script runs there, and so do the drivers
address=$(srun --nodes=1 --ntasks=1 --nodelist="$head" hostname --ip-address | awk '{print $1}')
port=$((20000 + SLURM_JOB_ID % 20000))                                # two jobs on one node do not meet
export RAY_ADDRESS=$address:$port

node() {  # start Ray on some nodes of the job; it ends with the job
    srun --overlap --ntasks-per-node=1 "$@" --disable-usage-stats --num-cpus="$SLURM_CPUS_PER_TASK" --block &
}
node --nodes=1 --ntasks=1 --nodelist="$head" ray start --head --node-ip-address="$address" --port="$port"
until ray status > /dev/null 2>&1; do sleep 2; done
if [ "$SLURM_NNODES" -gt 1 ]; then
    node --nodes=$((SLURM_NNODES - 1)) --ntasks=$((SLURM_NNODES - 1)) --exclude="$head" ray start --address="$RAY_ADDRESS"
fi

resume=()
[ -e "$OUT/run.json" ] && resume=(--resume)
raysim sweep "$@" --out "$OUT" "${resume[@]}" &
sweep=$!
trap 'kill -TERM "$sweep"; wait "$sweep"' TERM
wait "$sweep"
