# A fresh machine needs a C compiler, make, and Python 3.10 or newer with its headers, venv and test package.
# All else (cmake, ninja, Cython, the linters) comes from PyPI into .venv; everything built lies under build/.

PYTHON ?= python3
DEMO_DIR ?= build/demo
# The storage that `make bench` is about.
BENCH_DIR ?= build/bench
# For pytest, which runs in tests/: make test-faults ARGS="unit -k sparse"
ARGS ?=

ROOT := $(CURDIR)
BIN := $(ROOT)/.venv/bin
# cmake, ninja, ctest and the linters of .venv, before those of the machine.
export PATH := $(BIN):$(PATH)

CORE := $(wildcard csrc/*.[ch] csrc/*.def csrc/engines/*.[ch] csrc/engines/*.def)
SOURCES := pyproject.toml CMakeLists.txt README.md LICENSE $(CORE) \
           $(wildcard fastcopy/*.py* fastcopy/*.px[di] fastcopy/py.typed fastcopy/*/*.py fastcopy/*/*.json)
C_FILES := $(filter %.c %.h,$(CORE)) $(wildcard tests/c/*.[ch])
PY_FILES := fastcopy tests tools bench docs

# A build folder for each kind of build; pip and cmake find their earlier results in it.
INSTALL := $(BIN)/python -m pip install -q --no-build-isolation --no-deps
setting = --config-settings $(1)

.PHONY: demo bench bench-quick bench-peers bench-publish test test-full test-c test-faults test-release test-contract lint format sanitize \
        sanitize-thread sanitize-c sanitize-python venv release faults docs share clean

demo: release
	$(BIN)/python bench/demo.py $(DEMO_DIR)

# ---- the benchmark ---------------------------------------------------------------------------------

# make bench ARGS="--only 'size-*' cold-1GiB"
bench: release
	$(BIN)/python bench/run.py $(BENCH_DIR) $(ARGS)

bench-quick: release
	$(BIN)/python bench/run.py $(BENCH_DIR) --quick $(ARGS)

# The run that bench/results/ and the README show: on a quiet machine, as root, with the peers installed.
bench-publish: release
	$(BIN)/python bench/run.py $(BENCH_DIR) --results bench/results --readme README.md

# What it is compared with: from the distribution as root, by cargo as anybody.
bench-peers:
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then apt-get update -qq && \
	    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
	    coreutils rsync fio e2fsprogs xfsprogs btrfs-progs util-linux; fi
	cargo install --locked --root build/peers xcp cpz fcp b3sum
	cargo install --locked --root build/peers/uutils uu_cp

# ---- builds ----------------------------------------------------------------------------------------

venv: .venv/.filled
.venv/.filled: pyproject.toml tools/requirements.py
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python tools/requirements.py dev >.venv/requirements.txt
	$(BIN)/python -m pip install -q cmake ninja -r .venv/requirements.txt
	touch $@

# What users get, in .venv.
release: build/.release
build/.release: $(SOURCES) .venv/.filled
	$(INSTALL) --force-reinstall $(call setting,build-dir=build/cmake-release) .
	touch $@

# What most tests need, in a folder for PYTHONPATH: system calls can be made to fail.
faults: build/.faults
build/.faults: $(SOURCES) .venv/.filled
	rm -rf build/faults
	$(INSTALL) --target build/faults $(call setting,build-dir=build/cmake-faults) \
	    $(call setting,cmake.define.FASTCOPY_FAULTS=ON) .
	touch $@

# The same under AddressSanitizer and UndefinedBehaviorSanitizer.
build/.asan: $(SOURCES) .venv/.filled
	rm -rf build/asan
	$(INSTALL) --target build/asan $(call setting,build-dir=build/cmake-asan) \
	    $(call setting,cmake.define.FASTCOPY_FAULTS=ON) \
	    $(call setting,cmake.define.FASTCOPY_SANITIZE=address$(,)undefined) .
	touch $@
, := ,

# $(call c-tests,folder,cmake options[,wrapper]): the core and its C tests, which need no Python.
define c-tests
	cmake -S . -B build/$(1) -G Ninja -DFASTCOPY_TESTS=ON $(2) >/dev/null
	cmake --build build/$(1)
	$(3) ctest --test-dir build/$(1) --output-on-failure --no-tests=error
endef

# For those who make packages: what is made from the parsers, in the folders where shells and man look.
share: release
	mkdir -p build/share/man/man1 build/share/bash-completion/completions build/share/zsh/site-functions \
	    build/share/fish/vendor_completions.d
	$(BIN)/fastcopy manual >build/share/man/man1/fastcopy.1
	$(BIN)/fastcopy completion bash >build/share/bash-completion/completions/fastcopy
	$(BIN)/fastcopy completion zsh >build/share/zsh/site-functions/_fastcopy
	$(BIN)/fastcopy completion fish >build/share/fish/vendor_completions.d/fastcopy.fish

# ---- tests -----------------------------------------------------------------------------------------

# In tests/, not in the root of the tree: there, `import fastcopy` would find the sources, without the extension.
# $(call pytest,folder of the build)
pytest = cd tests && PYTHONPATH=$(1) $(BIN)/pytest

test: test-c test-faults test-release test-contract

test-c: venv
	$(call c-tests,c)

test-faults: faults
	$(call pytest,$(ROOT)/build/faults) $(ARGS)

test-release: release
	$(call pytest) -m release $(ARGS)

# CPython's own suite over our functions, with every interpreter there is.
test-contract: release
	mkdir -p build/contract
	$(BIN)/python tests/contract/every_interpreter.py build/contract

# The whole product of engines, shapes, filesystems and faults, where `make test` walks a sample.
test-full:
	FASTCOPY_FULL=1 $(MAKE) test

# ---- the site --------------------------------------------------------------------------------------

# build/docs/html/index.html. The reference is made from the installed package, so that one is built first.
docs: release
	$(BIN)/sphinx-build -q -W --keep-going -E -d build/docs/doctrees docs build/docs/html

# ---- linters ---------------------------------------------------------------------------------------

lint: venv
	ruff check $(PY_FILES)
	ruff format --check $(PY_FILES)
	mypy
	basedpyright
	clang-format --dry-run -Werror $(C_FILES)
	$(call strict,gcc)
	if command -v clang >/dev/null; then $(call strict,clang); else echo 'no clang here: not tried'; fi

strict = cmake -S . -B build/strict-$(1) -G Ninja -DCMAKE_C_COMPILER=$(1) -DFASTCOPY_TESTS=ON -DFASTCOPY_WERROR=ON \
    >/dev/null && cmake --build build/strict-$(1)

format: venv
	ruff check --fix $(PY_FILES)
	ruff format $(PY_FILES)
	clang-format -i $(C_FILES)

# ---- sanitizers ------------------------------------------------------------------------------------

sanitize: sanitize-thread sanitize-c sanitize-python

# Kernels that scatter the address space widely leave older versions of TSan no room for their shadow: setarch -R.
sanitize-thread: venv
	$(call c-tests,c-tsan,-DFASTCOPY_SANITIZE=thread,TSAN_OPTIONS=halt_on_error=1 setarch -R)

sanitize-c: venv
	$(call c-tests,c-asan,-DFASTCOPY_SANITIZE=address$(,)undefined)

# Not those tests that are about pages, commands and Python alone: they would only wait for slow processes.
BESIDE_THE_CORE := --ignore=cli --ignore=unit/test_documentation.py --ignore=unit/test_command.py \
    --ignore-glob='unit/test_bench*' --ignore-glob='unit/test_measure*' --ignore-glob='*/test_manifests.py'

# The interpreter is not instrumented: the runtimes come in by LD_PRELOAD, and what it leaks at exit is not our affair.
SANITIZER_LIBS = $(shell $(CC) -print-file-name=libasan.so):$(shell $(CC) -print-file-name=libubsan.so)
sanitize-python: build/.asan
	export LD_PRELOAD=$(SANITIZER_LIBS) PYTHONMALLOC=malloc FASTCOPY_SANITIZER=address \
	    ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1 && $(call pytest,$(ROOT)/build/asan) $(BESIDE_THE_CORE) $(ARGS)

clean:
	rm -rf build .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis
