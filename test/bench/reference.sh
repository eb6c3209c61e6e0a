#!/bin/sh
# A fixed configuration trained here and in PyTorch from the same initial weights on the same batches: the
# losses of the first three epochs agree to 1e-4, for softmax regression and for a network.
#
#   PYTHON=/path/to/python-with-torch test/bench/reference.sh
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
python=${PYTHON:-python3}

"$python" -c 'import torch' || { echo "reference.sh: set PYTHON to a python with PyTorch" >&2; exit 2; }
make -s -C "$root" build/bench/cohort_bench >&2
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT INT TERM
status=0
for units in 0 64; do
	"$root/build/bench/cohort_bench" --synthetic 8000,40,6 --units $units --trials 3 --epochs 3 \
		--dump "$folder" > "$folder/ours"
	"$python" "$here/cohort_peer.py" torch "$folder" 40 $units 6 3 3 128 > "$folder/theirs"
	"$python" - "$folder" $units <<'END' || status=1
import json, sys
ours, theirs = (json.loads(open(sys.argv[1] + "/" + name).read()) for name in ("ours", "theirs"))
apart = max(abs(x - y) for a, b in zip(ours["losses"], theirs["losses"]) for x, y in zip(a, b))
name = "network 40-%s-6" % sys.argv[2] if sys.argv[2] != "0" else "softmax 40-6"
for a, b in zip(ours["losses"], theirs["losses"]):
    print(" ", name, "ours", a, "theirs", b)
print("%s: losses of three epochs differ by at most %.1e (allowed 1e-4) from %s" % (name, apart, theirs["provider"]))
sys.exit(apart > 1e-4)
END
done
exit $status
