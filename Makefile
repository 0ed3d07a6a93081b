# make demo | models | test | coverage | hosts | lint | bench | gpu | setup | clean   (PYTHON=python3.12 make test picks another interpreter)
PYTHON ?= python3
BIN := .venv/bin
# The sampler that `make bench` measures.
FILE ?= runs/demo/diffusion.onnx
.DELETE_ON_ERROR:
.PHONY: setup demo models test coverage hosts hosts-cpp hosts-csharp hosts-web lint bench gpu clean

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

# The models of models_onnx/fashion anew: trained (again from where it stopped), exported, verified and measured with all
# parts; those that applications need are shipped, with a card.
FASHION ?= fashion-mnist
# float32 where the CPU has neither AVX-512 BF16 nor AMX.
PRECISION ?= bfloat16
MODELS := autoencoder mae vae vqvae gan diffusion
train_autoencoder := --steps 3000
train_mae := --steps 6000
train_vae := --steps 8000 --classes
train_vqvae := --steps 8000 --classes
train_gan := --steps 6000
train_diffusion := --steps 36000 --classes
parts_autoencoder := encode decode
parts_vae := encode decode latent
parts_vqvae := encode decode
parts_diffusion := denoise

models: $(MODELS:%=models_onnx/fashion/%/README.md)

models_onnx/fashion/%/README.md: | .venv/ready
	if [ -e runs/models/$*/checkpoint.safetensors ]; then $(BIN)/gen-export train $* --resume --out runs/models/$*; \
	else $(BIN)/gen-export train $* --data $(FASHION) --precision $(PRECISION) $(train_$*) --out runs/models/$*; fi
	$(BIN)/gen-export verify runs/models/$*/$*.onnx --stamp
	$(BIN)/gen-export eval runs/models/$*/$*.onnx --data $(FASHION) --stamp
	mkdir -p $(@D)
	cp $(foreach part,$* $(parts_$*:%=$*.%),runs/models/$*/$(part).onnx) $(@D)
	$(BIN)/gen-export card $(@D)/$*.onnx --license mit

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
