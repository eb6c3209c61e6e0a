#!/bin/sh
# The cohort benchmark in one command: builds the driver, unpacks Fashion-MNIST, compares with scikit-learn, PyTorch
# and OpenBLAS, and with other shapes of the same work.  Peers are those that the interpreter has.  Prints Markdown.
#
#   PYTHON=/path/to/python-with-torch-and-scikit-learn test/bench/cohort.sh [short|full|REPETITIONS]
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
python=${PYTHON:-python3}
export PYTHONDONTWRITEBYTECODE=1
data=${FASHION_MNIST:-/usr/share/datasets/fashion-mnist}

make -s -C "$root" build/bench/cohort_bench >&2
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT INT TERM
chmod 755 "$folder" # the server reads the images, too
zcat "$data/train-images-idx3-ubyte.gz" > "$folder/train-images"
zcat "$data/train-labels-idx1-ubyte.gz" > "$folder/train-labels"
cd "$root"
"$python" "$here/cohort.py" "$root/build/bench/cohort_bench" "$folder" "${1:-full}"
