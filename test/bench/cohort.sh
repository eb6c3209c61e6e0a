#!/bin/sh
# The cohort benchmark in one command: builds the driver, unpacks Fashion-MNIST, compares with PyTorch.
#
#   PYTHON=/path/to/python-with-torch test/bench/cohort.sh [repetitions]
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
python=${PYTHON:-python3}
data=${FASHION_MNIST:-/usr/share/datasets/fashion-mnist}

"$python" -c 'import torch' || { echo "cohort.sh: set PYTHON to a python with PyTorch" >&2; exit 2; }
make -s -C "$root" build/bench/cohort_bench >&2
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT INT TERM
zcat "$data/train-images-idx3-ubyte.gz" > "$folder/train-images"
zcat "$data/train-labels-idx1-ubyte.gz" > "$folder/train-labels"
cd "$root"
PYTHON=$python "$python" "$here/cohort.py" "$root/build/bench/cohort_bench" "$folder" "${1:-5}"
