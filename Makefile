# Two commands: `make run` does the main job, `make test` passes the tests. Both make the environment first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
SCREEN := xvfb-run -a -s "-screen 0 1600x1000x24 -nolisten tcp"

# What a Qt window with OpenGL needs on Debian and Ubuntu beside Python; xvfb is the screen where there is none.
WINDOW_PACKAGES := xvfb xauth libegl1 libgl1 libglx-mesa0 libgl1-mesa-dri libglib2.0-0 libfontconfig1 libdbus-1-3 \
	libxkbcommon-x11-0 libxcb-cursor0 libxcb-icccm4 libxcb-image0 libxcb-keysyms1 libxcb-randr0 \
	libxcb-render-util0 libxcb-shape0 libxcb-xinerama0 fonts-dejavu-core

WINDOW_LIBRARIES := libEGL.so.1 libGL.so.1 libxkbcommon-x11.so.0 libxcb-cursor.so.0 libxcb-icccm.so.4 libxcb-image.so.0 \
	libxcb-keysyms.so.1 libxcb-randr.so.0 libxcb-render-util.so.0 libxcb-shape.so.0 libxcb-xinerama.so.0 \
	libdbus-1.so.3 libfontconfig.so.1 libglib-2.0.so.0

.PHONY: run test check bench bench-real env system clean

run: env
	@if [ -n "$$DISPLAY$$WAYLAND_DISPLAY" ] || [ "$$(uname)" = Darwin ]; then \
		$(BIN)/napari-diamant tour --out out; \
	else \
		echo "No display: the tour runs under a virtual one and leaves what it saw in out/."; \
		$(SCREEN) $(BIN)/napari-diamant tour --auto --out out; \
	fi

test: env check
	@if [ -n "$$DISPLAY$$WAYLAND_DISPLAY" ] || [ "$$(uname)" = Darwin ]; then \
		$(BIN)/python -m pytest; else $(SCREEN) $(BIN)/python -m pytest; fi

check: env
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: env
	@if [ -n "$$DISPLAY$$WAYLAND_DISPLAY" ] || [ "$$(uname)" = Darwin ]; then \
		$(BIN)/python benchmarks/run_all.py; else $(SCREEN) $(BIN)/python benchmarks/run_all.py; fi

bench-real: env
	$(BIN)/python benchmarks/real/segment.py

env: system $(READY)

$(READY): pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[all]' --group dev
	@touch $(READY)

system:
	@missing=""; \
	$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || missing="python3-venv"; \
	if [ "$$(uname)" = Linux ]; then \
		for library in $(WINDOW_LIBRARIES); do \
			PATH="$$PATH:/sbin:/usr/sbin" ldconfig -p | grep -q "$$library" || missing="$$missing $(WINDOW_PACKAGES)"; \
		done; \
		command -v xvfb-run >/dev/null && command -v xauth >/dev/null || missing="$$missing $(WINDOW_PACKAGES)"; \
	fi; \
	[ -n "$$missing" ] || exit 0; \
	missing=$$(echo $$missing | tr ' ' '\n' | sort -u | tr '\n' ' '); \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "Installing the system packages that Python and the window need: $$missing"; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null; \
	else \
		echo "System packages are missing and only the administrator can add them. Ask for: apt-get install $$missing" >&2; exit 1; \
	fi

clean:
	rm -rf out dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
