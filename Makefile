# make demo | test | coverage | hosts | lint | bench | gpu | setup | clean   (PYTHON=python3.12 make test picks another interpreter)
PYTHON ?= python3
BIN := .venv/bin
# The sampler that `make bench` measures.
FILE ?= runs/demo/diffusion.onnx
.DELETE_ON_ERROR:
.PHONY: setup demo test coverage hosts hosts-cpp hosts-csharp hosts-web lint bench gpu clean

setup: .venv/ready

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[cpu,train,dev,oracle]'
	touch $@

# What an application installs: no torch, no onnx.
.venv-runtime/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv-runtime
	.venv-runtime/bin/python -m pip install -q -c constraints.txt -e '.[cpu]'
	touch $@

demo: .venv/ready .venv-runtime/ready
	rm -rf runs/demo
	$(BIN)/gen-export train diffusion --data sprites --size tiny --steps 4000 --batch-size 32 \
		--lr 0.002 --preview-every 1000 --out runs/demo
	@echo "Sampling from an environment without torch:"
	.venv-runtime/bin/gen-export sample runs/demo/diffusion.onnx --seed 7 --count 36 --ppm runs/demo/out.ppm --png runs/demo/out.png

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

test: lint
	$(BIN)/python -m pytest -q -n 2 --dist loadfile --durations=10

# Apart from `test`: tracing every line takes as long again.
coverage: .venv/ready
	$(BIN)/python -m pytest -q -n 2 --dist loadfile --cov --cov-report=term:skip-covered

hosts: hosts-cpp hosts-csharp hosts-web

LIBRARY := .venv/lib/python3*/site-packages/onnxruntime/capi/libonnxruntime.so.*

# Needs g++, cmake and, for the headers, apt or ONNXRUNTIME_ROOT.
hosts-cpp: .venv/ready
	runtime/cpp/tools/check.sh $(LIBRARY) build/cpp

# Needs Mono, which it installs on Debian, and npm.
hosts-csharp: .venv/ready
	runtime/csharp/tools/check.sh $(LIBRARY) build/csharp

# Needs Node and npm, and for the page Chromium, which it installs on Debian.
hosts-web: .venv/ready
	runtime/web/tools/check.sh build/web
	runtime/web/browser/check.sh build/web

bench: .venv/ready
	$(BIN)/python bench/cold_start.py $(FILE)
	$(BIN)/python bench/sampling_loop.py $(FILE)

# Needs an NVIDIA GPU and a torch with CUDA: every test that does, then a record of how fast training is.
gpu: .venv/ready
	$(BIN)/python -m pytest -q -m cuda
	$(BIN)/python bench/gpu.py --out docs/measurements-cuda.md

clean:
	rm -rf .venv .venv-runtime runs/demo dist build .coverage* .pytest_cache .ruff_cache .hypothesis
