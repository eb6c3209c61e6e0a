"""Trains the same trials in PyTorch, one at a time, from an in-memory tensor, on one thread.

Reads what cohort_bench --dump wrote: the same rows, batches, learning rates and initial weights.  The
rows of each epoch are put in order before the clock starts, so that a mini-batch is a view: the peer pays for
no DataLoader and no gathering, which the cohort's figure includes.
Prints one line of JSON like cohort_bench's.
"""
import json
import os
import resource
import sys

for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[name] = "1"
import numpy
import torch


def cpu_seconds():
    own = resource.getrusage(resource.RUSAGE_SELF)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def network(inputs, units, classes, weights):
    sizes = [inputs] + ([units] if units else []) + [classes]
    layers = []
    at = 0
    for i, (n, m) in enumerate(zip(sizes, sizes[1:])):
        layer = torch.nn.Linear(n, m)
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(weights[at : at + n * m].reshape(m, n)))
            layer.bias.copy_(torch.from_numpy(weights[at + n * m : at + n * m + m]))
        at += n * m + m
        layers.append(layer)
        if i + 2 < len(sizes):
            layers.append(torch.nn.ReLU())
    return layers[0] if len(layers) == 1 else torch.nn.Sequential(*layers)


def main():
    folder, inputs, units, classes, trials, epochs, batch = sys.argv[1], *map(int, sys.argv[2:8])
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    x = torch.from_numpy(numpy.fromfile(folder + "/x.f32", numpy.float32).reshape(-1, inputs))
    y = torch.from_numpy(numpy.fromfile(folder + "/labels.u32", numpy.uint32).astype(numpy.int64))
    rows = len(y)
    order = numpy.fromfile(folder + "/order.u32", numpy.uint32).astype(numpy.int64)
    order = torch.from_numpy(order.reshape(-1, rows))
    weights = numpy.fromfile(folder + "/weights.f32", numpy.float32)
    weights = weights.reshape(-1, (1 + (inputs + 1) * units + (units + 1) * classes)
                              if units else 1 + (inputs + 1) * classes)
    loss_of = torch.nn.functional.cross_entropy
    losses = []
    # first calls pay for set-up: leave them out
    warm = network(inputs, units, classes, weights[0][1:])
    optimizer = torch.optim.SGD(warm.parameters(), lr=0.1, momentum=0.9)
    for _ in range(20):
        loss_of(warm(x[:batch]), y[:batch]).backward()
        optimizer.step()
    ordered = [(x[order[epoch]], y[order[epoch]]) for epoch in range(epochs)]
    began = cpu_seconds()
    for trial in range(trials):
        model = network(inputs, units, classes, weights[trial][1:])
        optimizer = torch.optim.SGD(model.parameters(), lr=float(weights[trial][0]), momentum=0.9)
        curve = []
        for epoch in range(epochs):
            xs, ys = ordered[epoch]
            total = 0.0
            count = 0
            for at in range(0, rows, batch):
                optimizer.zero_grad(set_to_none=True)
                loss = loss_of(model(xs[at : at + batch]), ys[at : at + batch])
                loss.backward()
                optimizer.step()
                total += loss.item()
                count += 1
            curve.append(total / count)
        losses.append(curve)
    spent = cpu_seconds() - began
    print(json.dumps({"provider": "PyTorch " + torch.__version__, "seconds": spent, "rows": rows,
                      "epochs": epochs, "losses": losses}))


main()
