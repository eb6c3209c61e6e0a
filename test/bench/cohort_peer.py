"""Trains the same trials in another library, one at a time, from a matrix in memory, on one thread.

    cohort_peer.py LIBRARY FOLDER INPUTS UNITS CLASSES TRIALS EPOCHS BATCH     LIBRARY: torch, torch_bf16, sklearn

torch_bf16 is PyTorch with set_float32_matmul_precision("medium"), which lets it multiply in bfloat16 where the processor can.

Reads what cohort_bench --dump wrote: the same rows, batches, learning rates and initial weights.  The
rows of each epoch are put in order before the clock starts, so that a mini-batch is a view: the peer pays for
no DataLoader and no gathering, which the cohort's figure includes.  In scikit-learn the trainer of
mini-batches with momentum is MLPClassifier, without a hidden layer for softmax regression; SGDClassifier
knows neither, and no softmax.  It checks the data at each call: its clock runs over a call that trains several epochs, all in
the first one's order, and its losses are of epochs off the clock.  Prints one line of JSON like cohort_bench's.
"""
import json
import os
import resource
import sys
import warnings

for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[name] = "1"
import numpy


def cpu_seconds():
    own = resource.getrusage(resource.RUSAGE_SELF)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def layers(sizes, weights):
    """The matrices (units x inputs) and biases that follow each other in weights."""
    at = 0
    for n, m in zip(sizes, sizes[1:]):
        yield weights[at : at + n * m].reshape(m, n), weights[at + n * m : at + n * m + m]
        at += n * m + m


class Torch:
    epochs_a_call = None  # it is called for each batch

    def __init__(self):
        import torch

        self.torch = torch
        self.name = "PyTorch " + torch.__version__
        torch.set_num_threads(1)
        torch.set_flush_denormal(True)

    def data(self, x, y):
        return self.torch.from_numpy(x), self.torch.from_numpy(y.astype(numpy.int64))

    def start(self, sizes, weights, rate, batch, x, y):
        torch, modules = self.torch, []
        for w, b in layers(sizes, weights):
            layer = torch.nn.Linear(w.shape[1], w.shape[0])
            with torch.no_grad():
                layer.weight.copy_(torch.from_numpy(w))
                layer.bias.copy_(torch.from_numpy(b))
            modules += [torch.nn.ReLU(), layer] if modules else [layer]
        model = modules[0] if len(modules) == 1 else torch.nn.Sequential(*modules)
        return model, torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9, fused=True), batch

    def epoch(self, trial, x, y):
        model, optimizer, batch = trial
        loss_of = self.torch.nn.functional.cross_entropy
        total = count = 0
        for at in range(0, len(y), batch):
            optimizer.zero_grad(set_to_none=True)
            loss = loss_of(model(x[at : at + batch]), y[at : at + batch])
            loss.backward()
            optimizer.step()
            total += loss.detach()
            count += 1
        return float(total) / count


class TorchBf16(Torch):
    def __init__(self):
        super().__init__()
        self.torch.set_float32_matmul_precision("medium")


class Sklearn:
    epochs_a_call = 5

    def __init__(self):
        import sklearn
        from sklearn.neural_network import MLPClassifier

        self.classifier = MLPClassifier
        self.name = "scikit-learn " + sklearn.__version__
        warnings.simplefilter("ignore")

    def data(self, x, y):
        return x, y.astype(numpy.int64)

    def start(self, sizes, weights, rate, batch, x, y):
        model = self.classifier(hidden_layer_sizes=tuple(sizes[1:-1]), solver="sgd", alpha=0.0, batch_size=batch,
                                learning_rate_init=rate, momentum=0.9, nesterovs_momentum=False, shuffle=False,
                                max_iter=self.epochs_a_call, warm_start=True, tol=0.0, n_iter_no_change=self.epochs_a_call)
        model.partial_fit(x[:batch], y[:batch], classes=numpy.arange(sizes[-1]))  # makes the arrays
        for i, (w, b) in enumerate(layers(sizes, weights)):
            model.coefs_[i][...] = w.T
            model.intercepts_[i][...] = b
        for velocity in model._optimizer.velocities:
            velocity[...] = 0
        return model

    def call(self, model, x, y):
        model.fit(x, y)

    def epoch(self, model, x, y):
        return model.partial_fit(x, y).loss_


def main():
    folder, inputs, units, classes, trials, epochs, batch = sys.argv[2], *map(int, sys.argv[3:9])
    library = {"torch": Torch, "torch_bf16": TorchBf16, "sklearn": Sklearn}[sys.argv[1]]()
    sizes = [inputs] + ([units] if units else []) + [classes]
    x = numpy.fromfile(folder + "/x.f32", numpy.float32).reshape(-1, inputs)
    y = numpy.fromfile(folder + "/labels.u32", numpy.uint32)
    order = numpy.fromfile(folder + "/order.u32", numpy.uint32).reshape(-1, len(y))[:epochs]
    weights = numpy.fromfile(folder + "/weights.f32", numpy.float32)
    weights = weights.reshape(-1, 1 + sum((n + 1) * m for n, m in zip(sizes, sizes[1:])))
    ordered = [library.data(x[rows], y[rows]) for rows in order]
    # first calls pay for set-up: leave them out
    warm = library.data(x[: 20 * batch], y[: 20 * batch])
    library.epoch(library.start(sizes, weights[0][1:], 0.1, batch, *warm), *warm)
    losses, spent = [], 0.0
    for trial in range(trials):
        began = cpu_seconds()
        model = library.start(sizes, weights[trial][1:], float(weights[trial][0]), batch, *ordered[0])
        if library.epochs_a_call:
            library.call(model, *ordered[0])
            spent += (cpu_seconds() - began) / library.epochs_a_call * epochs
            model = library.start(sizes, weights[trial][1:], float(weights[trial][0]), batch, *ordered[0])
            losses.append([library.epoch(model, *rows) for rows in ordered])
        else:
            losses.append([library.epoch(model, *rows) for rows in ordered])
            spent += cpu_seconds() - began
    print(json.dumps({"provider": library.name, "seconds": spent, "rows": len(y), "losses": losses}))


main()
